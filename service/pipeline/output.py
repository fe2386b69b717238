"""What a partition's task gives out, and the count of what became of its events."""

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct, field

from detectors.incidents.alerts import Alert
from detectors.incidents.kill_switch import KillSwitch
from detectors.market_data.bar import Bar
from detectors.open_bar import Counts
from detectors.symbol import Signal

AlertKey = tuple[str, str, str]
"""What makes two alerts the same: id, status and severity."""


def alert_key(alert: Alert) -> AlertKey:
    """The identity of an alert."""
    return (alert.alert_id, alert.status, alert.severity)


class PublishedUntil(Struct, frozen=True):
    """Event times up to which what a task gives rise to is out already."""

    signals_until_ns: int = 0
    alerts_until_ns: int = 0


class Output(Struct):
    """What a step of a task gives rise to, in the order of event time.

    ``bars`` are all that closed, with their signals: those too whose signals are out already.
    ``forgotten`` names the symbols that were evicted: their snapshots are to be deleted.
    """

    alerts: list[Alert] = []
    switches: list[KillSwitch] = []
    signals: list[Signal] = []
    bars: list[tuple[Bar, Signal]] = []
    forgotten: list[str] = []


class Watcher(Protocol):
    """Who is told what the partitions of a process give rise to."""

    def owns(self, numbers: Collection[int]) -> None:
        """Know which partitions are this process's from now on, and no others."""

    def take(self, number: int, output: Output) -> None:
        """Take what a step of a partition gave rise to, once it was published."""


class Tally(Struct):
    """What became of events; tasks may share one.

    fed = scored + late + skipped + waiting + unwatched: of symbols that there was no room for.
    """

    released: int = 0
    skipped: int = 0
    unwatched: int = 0
    evicted_symbols: int = 0
    withheld_alerts: int = 0
    market: Counts = field(default_factory=Counts)

    @property
    def late(self) -> int:
        """The events that came too late for their place."""
        return self.market.late

    @property
    def scored(self) -> int:
        """The events that came in time and were watched."""
        return self.released - self.market.late - self.unwatched
