"""The risk of liquidations over recorded streams, beside the replay of the symbols."""

from collections.abc import Iterable
from pathlib import Path

from detectors.closing import Signal
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput
from service.replay.risk_files import risk_events
from service.settings.assembly import venue_monitor
from service.settings.types import Settings

_FOR_EVER_NS = 2**63 - 1


class RiskReplay:
    """Follows the risk of a directory, as far as the signals of its symbols have come.

    Parameters
    ----------
    directory
        The directory of the streams.
    settings
        The settings.
    with_records
        Whether the records are wanted, beside the alerts.
    suppressed_alarms
        Counts the incidents that are held back, see `RiskMonitor`.
    """

    def __init__(
        self,
        directory: Path,
        settings: Settings,
        *,
        with_records: bool,
        suppressed_alarms: SuppressedAlarms | None = None,
    ) -> None:
        self._venue = venue_monitor(
            settings, with_records=with_records, suppressed_alarms=suppressed_alarms
        )
        self._events = risk_events(directory, settings)
        self._next = next(self._events, None)

    @property
    def monitor(self) -> RiskMonitor:
        """The monitor of the risk of liquidations."""
        return self._venue.risk

    def take(self, signals: Iterable[Signal]) -> RiskOutput:
        """Take the signals of a step, in the order of their bars; return what is due."""
        output = RiskOutput()
        for signal in signals:
            if signal.book is not None:
                self._events_before(signal.ts_event, output)
                its = self._venue.summarise(signal.symbol, signal.ts_event, signal.book)
                output.join(its)
        return output

    def stop_at(self, ts_event: int) -> RiskOutput:
        """Take what is left up to a moment, the moment included, and close the seconds before."""
        output = RiskOutput()
        self._events_before(ts_event + 1, output)
        output.join(self._venue.close_until(ts_event))
        return output

    def finish(self) -> RiskOutput:
        """Take what is left, and close its last second."""
        output = RiskOutput()
        last_ns = self._events_before(_FOR_EVER_NS, output)
        output.join(self._venue.close_until(last_ns + 1_000_000_000))
        return output

    def _events_before(self, ts_event: int, output: RiskOutput) -> int:
        last_ns = self.monitor.closed_ns
        while self._next is not None and self._next.ts_event < ts_event:
            last_ns = self._next.ts_event
            output.join(self._venue.take(self._next))
            self._next = next(self._events, None)
        return last_ns
