"""One trial: simulate a market, replay it with the risk watch, and keep what is judged."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from detectors.catalogue import CATALOGUE
from detectors.incidents.alerts import Alert
from detectors.incidents.kind import CASCADE, CONTAGION, kind
from detectors.risk.ladder import Side
from detectors.risk_watch.contagion import Contagion
from detectors.risk_watch.monitor import RECORD_SECONDS, RiskMonitor, record_second
from detectors.risk_watch.output import RiskOutput
from detectors.risk_watch.records import RiskRecord
from service.exchange.measures import Truth
from service.exchange.simulation import START_NS
from service.pipeline.wire import STREAMS
from service.replay.files import stream_path
from service.replay.risk import RiskReplay
from service.scorecard.matrix import Trial
from service.scorecard.risk.forecast import (
    KEPT_NS,
    SECOND,
    Forecast,
    State,
    forecast,
    liquidations_of,
)
from service.scorecard.risk.scores import Sample, sample
from service.scorecard.trial import outputs_of, simulated, task_of
from service.settings.types import Settings

FLOW = "flow"
"""Stands for all detectors of order flow."""


class Incident(Struct):
    """An incident from its opening to its end, or to the end of the trial.

    ``critical_ns`` is when it became critical. ``whale_ratio`` is the largest account that it
    named, as a share of the open interest.
    """

    detector: str
    symbol: str
    opened_ns: int
    ended_ns: int
    critical_ns: int | None = None
    whale_ratio: float | None = None
    summary: str = ""

    def open_at(self, ts_event: int) -> bool:
        """Whether it is open at a moment."""
        return self.opened_ns <= ts_event < self.ended_ns


class Told(Struct, frozen=True):
    """What an alert of `contagion` tells: from which symbol, and to which others, in order.

    ``back``: a move of the nearest of the others would spread to the first likewise.
    """

    ts_event: int
    seed: str
    reached: list[str]
    back: bool


class RiskOutcome(Struct):
    """The result of a trial. Times are nanoseconds of event time.

    ``liquidated`` are the accounts with a liquidation, by symbol.
    """

    trial: Trial
    began_ns: int
    ended_ns: int
    symbols: list[str]
    truths: list[Truth]
    incidents: list[Incident] = []
    told: list[Told] = []
    samples: list[Sample] = []
    forecasts: list[Forecast] = []
    liquidated: dict[str, int] = {}

    @property
    def cascades(self) -> list[Truth]:
        """The first cascade of each symbol: later ones are its aftermath."""
        return first_cascades(self.truths)


def first_cascades(truths: Iterable[Truth]) -> list[Truth]:
    """The first cascade of each symbol, in the order of onsets."""
    first: dict[str, Truth] = {}
    for truth in sorted(truths, key=lambda truth: truth.starts_at):
        if truth.kind == "cascade":
            first.setdefault(truth.symbol, truth)
    return list(first.values())


USUAL = Settings()


def run(trial: Trial, settings: Settings = USUAL) -> RiskOutcome:
    """Run a trial. Deterministic: the same arguments give the same outcome."""
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        truths = simulated(trial, directory)
        return watched(directory, trial, truths, settings)


def watched(
    directory: Path, trial: Trial, truths: list[Truth], settings: Settings = USUAL
) -> RiskOutcome:
    """Replay the streams of a directory with the risk watch, and keep what is judged."""
    ended_ns = START_NS + round(trial.seconds * 1e9)
    outcome = RiskOutcome(trial, START_NS, ended_ns, [], truths)
    streams = [name for name in STREAMS if stream_path(directory, name) is not None]
    task = task_of(streams, CATALOGUE, trial.false_alarms_per_day)
    replay = RiskReplay(directory, settings, with_records=True)
    notes = _Notes(outcome, replay.monitor)
    for output in outputs_of(directory, task):
        for alert in output.alerts:
            if kind(alert.detector, alert.severity) == "alarm":
                notes.take_alert(alert, FLOW)
        for signal in output.signals:
            # One by one: what an alert was made of is only to be seen until the next.
            notes.take(replay.take([signal]))
    notes.take(replay.finish())
    outcome.symbols = sorted(task.monitors)
    liquidations = liquidations_of(directory)
    outcome.liquidated = {
        symbol: len({each.account for each in its}) for symbol, its in liquidations.items()
    }
    for cascade in outcome.cascades:
        found = forecast(cascade, notes.before(cascade), liquidations.get(cascade.symbol, []))
        if found is not None:
            outcome.forecasts.append(found)
    return outcome


class _Notes:
    """Collects incidents, samples and the states before cascades, into an outcome."""

    def __init__(self, outcome: RiskOutcome, monitor: RiskMonitor) -> None:
        self._outcome = outcome
        self._monitor = monitor
        self._onsets = {its.symbol: its.starts_at for its in outcome.cascades}
        self._incidents: dict[str, Incident] = {}
        self._kept: defaultdict[tuple[str, Side], list[State]] = defaultdict(list)

    def take(self, output: RiskOutput) -> None:
        """Take what the risk watch gives, while its state is still the one that it is made of."""
        for alert in output.alerts:
            self.take_alert(alert, alert.detector)
            if alert.detector == CONTAGION and alert.status == "firing":
                self._told(alert, self._monitor.contagion)
        by_second: defaultdict[tuple[str, int], list[RiskRecord]] = defaultdict(list)
        for record in output.records:
            by_second[record.symbol, record.ts_event].append(record)
        for (symbol, ts_event), records in by_second.items():
            self._take_records(symbol, ts_event, records)

    def take_alert(self, alert: Alert, detector: str) -> None:
        """Open, change or end an incident."""
        outcome = self._outcome
        its = self._incidents.get(alert.alert_id)
        if its is None:
            its = Incident(detector, alert.symbol, alert.ts_event, outcome.ended_ns)
            its.summary = alert.summary
            self._incidents[alert.alert_id] = its
            outcome.incidents.append(its)
        if alert.status == "resolved":
            its.ended_ns = alert.ts_event
            return
        if alert.severity == "critical" and its.critical_ns is None:
            its.critical_ns = alert.ts_event
        for evidence in alert.evidence:
            if detector == CASCADE and evidence.feature == "whale":
                its.whale_ratio = max(its.whale_ratio or 0.0, evidence.value)

    def before(self, cascade: Truth) -> dict[Side, list[State]]:
        """The states of a cascade's symbol before its onset, by side."""
        sides: tuple[Side, Side] = ("long", "short")
        return {side: self._kept[cascade.symbol, side] for side in sides}

    def _told(self, alert: Alert, contagion: Contagion) -> None:
        spread = contagion.spread
        assert spread is not None
        seed = spread.symbols[spread.seed // 2]
        steps = [spread.symbols[step.target // 2] for step in spread.path]
        reached = [symbol for symbol in dict.fromkeys(steps) if symbol != seed]
        back = "likewise" in alert.summary
        self._outcome.told.append(Told(alert.ts_event, seed, reached, back))

    def _take_records(self, symbol: str, ts_event: int, records: list[RiskRecord]) -> None:
        monitor = self._monitor
        states = [State(its, monitor.assessments[symbol][its.side]) for its in records]
        if ts_event // SECOND % RECORD_SECONDS == record_second(symbol):
            learned, book = monitor.learned.get(symbol), monitor.books.get(symbol)
            self._outcome.samples.append(sample(states, learned, book))
        onset = self._onsets.get(symbol)
        if onset is not None and onset - KEPT_NS <= ts_event <= onset:
            for state in states:
                self._kept[symbol, state.record.side].append(state)
