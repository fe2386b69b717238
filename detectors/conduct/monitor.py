"""Follows how a venue treats its positions, in event time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter

from msgspec import Raw, ValidationError, json

from detectors.conduct.crowding import Crowding, Reading
from detectors.conduct.detector import Detector, Remembering, Scene
from detectors.conduct.incident import Incident, Verdict
from detectors.incidents.alerts import Alert
from detectors.incidents.kind import OF_CONDUCT
from detectors.incidents.suppression import NEVER, Suppression, limits, maintenance_reason
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import RiskOutput, Statement

SECOND_NS = 1_000_000_000

Published = Mapping[tuple[str, str], tuple[int, frozenset[str]]]
"""By stream and symbol of statements: the time of the newest that was published, and the keys of
those of that time."""


class ConductMonitor:
    """The detectors of a venue's conduct, and their incidents.

    Parameters
    ----------
    detectors
        New detectors.
    suppression
        The maintenance windows, in which incidents are held back; overrides do not matter.
    suppressed_alarms
        Counts the seconds in which an incident was held back.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] = (),
        *,
        suppression: Suppression = NEVER,
        suppressed_alarms: SuppressedAlarms | None = None,
    ) -> None:
        self.detectors = tuple(detectors)
        self.suppression = suppression
        self.suppressed_alarms = {} if suppressed_alarms is None else suppressed_alarms
        self._incidents: dict[tuple[str, str], Incident] = {}
        self._published: Published = {}
        self._published_ns = 0
        self._resumed: dict[tuple[str, str], Alert] = {}
        self._memories: list[Memory] = []

    @property
    def open_alerts(self) -> list[Alert]:
        """The last alert of each open incident."""
        alerts = (its.alert for its in self._incidents.values())
        return [alert for alert in alerts if alert is not None]

    @property
    def crowding(self) -> dict[str, Reading]:
        """How crowded each symbol is; {} without that detector."""
        for its in self.detectors:
            if isinstance(its, Crowding):
                return its.readings
        return {}

    def missing(self, streams: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return what each detector needs and is not among these streams; {} if nothing."""
        lacking = {
            its.name: tuple(name for name in its.needs if name not in streams)
            for its in self.detectors
        }
        return {name: needed for name, needed in lacking.items() if needed}

    def memory(self, symbol: str) -> dict[str, Raw]:
        """Return what the detectors remember of a symbol, by their names."""
        found = {}
        for its in self.detectors:
            state = its.memory(symbol) if isinstance(its, Remembering) else None
            if state is not None:
                found[its.name] = Raw(json.encode(state))
        return found

    def resume(
        self,
        alerts: Iterable[Alert],
        published: Published,
        published_ns: int,
        memories: Iterable[Memory] = (),
    ) -> None:
        """Continue where another monitor stopped: withhold what it published.

        Parameters
        ----------
        alerts
            What was published last, in any order; those of other detectors do not matter.
        published
            The newest statements that were published.
        published_ns
            Up to where all alerts were published, as far as other records show it.
        memories
            The newest memory of each symbol. A detector goes on from it at its second; what came
            before is not counted twice.
        """
        last: dict[tuple[str, str], Alert] = {}
        for alert in sorted(alerts, key=attrgetter("ts_event")):
            if alert.detector in OF_CONDUCT:
                last[alert.symbol, alert.detector] = alert
        self._memories = sorted(memories, key=attrgetter("ts_event"))
        self._published = published
        self._published_ns = max([published_ns, *(its.ts_event for its in last.values())])
        self._resumed = {key: its for key, its in last.items() if its.status == "firing"}

    def go_live(self) -> None:
        """Take over the open incidents that were published before, if not yet."""
        for (symbol, name), alert in self._resumed.items():
            for detector in self.detectors:
                if detector.name == name:
                    self._incident(symbol, detector).resume(alert)
        self._resumed = {}
        self._published_ns = 0

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Take an event, just before the scene does."""
        for detector in self.detectors:
            detector.take(event, scene)

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Take the summary of the bar that ends at ``ends_at``."""
        for detector in self.detectors:
            detector.summarise(symbol, ends_at, summary)

    def close(self, ts_event: int, scene: Scene, output: RiskOutput) -> None:
        """Close the second that ends at ``ts_event``."""
        withheld = ts_event <= self._published_ns
        if self._resumed and not withheld:
            self.go_live()
        for detector in self.detectors:
            verdicts = detector.judge(ts_event, scene)
            for symbol in verdicts:
                self._incident(symbol, detector)
            for (symbol, name), incident in self._incidents.items():
                if name == detector.name:
                    verdict = verdicts.get(symbol)
                    if withheld:
                        incident.note(ts_event, verdict)
                    else:
                        output.alerts += self._step(ts_event, symbol, name, incident, verdict)
            output.statements += [its for its in detector.statements if not self._is_known(its)]
            detector.statements.clear()
        while self._memories and self._memories[0].ts_event <= ts_event:
            self._restore(self._memories.pop(0))
        self._incidents = {
            key: its for key, its in self._incidents.items() if not its.is_over(ts_event)
        }

    def _restore(self, memory: Memory) -> None:
        for its in self.detectors:
            state = memory.conduct.get(its.name)
            if state is not None and isinstance(its, Remembering):
                # A memory of another version is as good as none.
                with suppress(ValueError, ValidationError):
                    its.restore(memory.symbol, json.decode(state, type=its.remembered))

    def _incident(self, symbol: str, detector: Detector) -> Incident:
        key = (symbol, detector.name)
        if key not in self._incidents:
            self._incidents[key] = Incident(
                symbol, detector.name, detector.version, detector.quiet_ns, detector.over
            )
        return self._incidents[key]

    def _step(
        self, ts_event: int, symbol: str, name: str, incident: Incident, verdict: Verdict | None
    ) -> list[Alert]:
        why = None
        if self.suppression.windows:
            its = limits(self.suppression, symbol, name)
            why = maintenance_reason(its, ts_event - SECOND_NS)
        if why is None:
            return incident.step(ts_event, verdict)
        alerts = incident.hold_back(ts_event, verdict, why)
        if incident.suppressed is not None:
            count = self.suppressed_alarms.get((name, "maintenance"), 0)
            self.suppressed_alarms[name, "maintenance"] = count + 1
        return alerts

    def _is_known(self, its: Statement) -> bool:
        """Whether a statement was published before, by another monitor."""
        newest_ns, keys = self._published.get((its.stream, its.symbol), (0, frozenset()))
        return its.ts_event < newest_ns or (its.ts_event == newest_ns and its.key in keys)
