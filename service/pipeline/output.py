"""The output of a partition's task, and the counters of its events."""

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct, field

from detectors.closing import Signal
from detectors.counts import Counts
from detectors.estimators import LeftOut
from detectors.incidents.alerts import Alert
from detectors.kill_switch.switch import KillSwitch
from detectors.market_data.bar import Bar
from detectors.market_data.events import Event

AlertKey = tuple[str, str, str, int]
"""The identity of an alert: its id, status and severity, and the number of the update."""


def alert_key(alert: Alert) -> AlertKey:
    """Return the identity of an alert."""
    return (alert.alert_id, alert.status, alert.severity, alert.update)


def opens_or_escalates(alert: Alert) -> bool:
    """Whether an alert opens an incident or makes it critical; updates and ends do neither."""
    return alert.status == "firing" and alert.update == 0


class PublishedUntil(Struct, frozen=True):
    """The event times up to which the output of a task is already published."""

    signals_until_ns: int = 0
    alerts_until_ns: int = 0


class Output(Struct):
    """The output of a step of a task, in the order of event time.

    ``bars`` holds every closed bar with its signal, also if the signal is already published.
    ``forgotten`` names the evicted symbols: their snapshots must be deleted. ``set_aside`` holds
    the symbols that failed, with the reason. ``refused`` holds their events that were read already.
    ``lifted`` names the symbols whose kill switch must be deleted from its topic. ``left_out``
    holds the plug-ins that failed for a symbol.
    """

    alerts: list[Alert] = []
    switches: list[KillSwitch] = []
    signals: list[Signal] = []
    bars: list[tuple[Bar, Signal]] = []
    forgotten: list[str] = []
    set_aside: dict[str, str] = {}
    refused: list[Event] = []
    lifted: list[str] = []
    left_out: list[LeftOut] = []


class Watcher(Protocol):
    """Receives the output of the partitions of a process."""

    def owns(self, numbers: Collection[int]) -> None:
        """Set the partitions that this process owns from now on."""

    def take(self, number: int, output: Output) -> None:
        """Take the output of a step of a partition, after it was published."""


class Tally(Struct):
    """Counters of events by result; tasks may share one.

    fed = scored + late + skipped + waiting + repeated + unwatched + refused. Unwatched events
    belong to symbols above the limit, refused events to symbols that are set aside. Repeated
    events have a sequence number that was already received.
    """

    released: int = 0
    skipped: int = 0
    unwatched: int = 0
    refused: int = 0
    evicted_symbols: int = 0
    withheld_alerts: int = 0
    market: Counts = field(default_factory=Counts)

    @property
    def late(self) -> int:
        """The number of late events."""
        return self.market.late

    @property
    def repeated(self) -> int:
        """The events that were seen already, by their sequence numbers."""
        return self.market.repeated_events

    @property
    def scored(self) -> int:
        """The number of watched events that were not late."""
        watched = self.released - self.unwatched - self.refused
        return watched - self.market.late - self.repeated
