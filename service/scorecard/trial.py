"""One trial: simulate a market, watch it through the path that replay takes, note what was said."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.progress import Progress

from detectors.catalogue import ALARMING, CATALOGUE
from detectors.detector import Detector
from detectors.incidents.kind import DRIFT, FEED_INTEGRITY
from detectors.judging.calibration import DAY_SECONDS
from detectors.judging.peers import PeerPrior, PeerPriors
from detectors.parameters import share_per_day
from detectors.symbol import Signal
from service.exchange.measures import Truth
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS
from service.pipeline.output import Output, Tally
from service.pipeline.task import PartitionTask
from service.pipeline.wire import STREAMS
from service.replay.engine import outputs
from service.replay.files import stream_path
from service.report.summary import Summary
from service.scorecard.baselines import BASELINES
from service.scorecard.matrix import Trial
from service.settings.assembly import parameters
from service.settings.types import Settings

LARGEST_BUDGET = 10.0
"""Readings are noted that a budget of so many false alarms a symbol-day would make alarms of."""


class Alarm(Struct, frozen=True):
    """An alarm of a detector or an incident's opening.

    ``feature`` is its first evidence; ``budget_per_day`` the least budget at which it is an alarm,
    where that is known.
    """

    symbol: str
    ts_event: int
    feature: str = ""
    budget_per_day: float = 0.0


class Outcome(Struct):
    """What a trial came to.

    ``incidents`` are the openings and escalations that the service would publish, ``drifts`` the
    openings of drift incidents, ``feeds`` the openings and escalations of feed incidents;
    ``distrusted`` are those of the ``incidents`` that say that their inputs are not to be trusted.
    ``alarms`` are each detector's own, baselines included, bar by bar; ``likely`` what our
    detectors would say at other budgets up to the largest. Times are nanoseconds of event time.
    """

    trial: Trial
    began_ns: int
    ended_ns: int
    symbols: list[str]
    truths: list[Truth]
    incidents: list[Alarm]
    alarms: dict[str, list[Alarm]]
    scored_bars: dict[str, int]
    drifts: list[Alarm] = []
    likely: list[Alarm] = []
    feeds: list[Alarm] = []
    distrusted: list[Alarm] = []


def run(trial: Trial, priors: PeerPriors, *, baselines: bool = True) -> Outcome:
    """Run a trial. Deterministic: the same arguments come to the same outcome.

    ``borrowed`` is what the detectors and the baselines have learned from other symbols. Without
    ``baselines`` only our detectors watch.
    """
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        outcome = Outcome(
            trial=trial,
            began_ns=START_NS,
            ended_ns=START_NS + round(trial.seconds * 1e9),
            symbols=[],
            truths=_simulate(trial, directory),
            incidents=[],
            alarms={},
            scored_bars={},
        )
        watch(directory, outcome, priors, baselines=baselines)
    return outcome


def watch(directory: Path, outcome: Outcome, priors: PeerPriors, *, baselines: bool = True) -> None:
    """Watch the streams of a directory, and note in the outcome what was said."""
    watching = BASELINES if baselines else ()
    outcome.alarms = {name: [] for name in (*ALARMING, *(its.name for its in watching))}
    budget = outcome.trial.false_alarms_per_day
    task = _task(directory, CATALOGUE, budget, priors)
    _watch(directory, task, outcome)
    if watching:
        # Each has the whole budget to itself.
        whole = budget * len(watching)
        _watch_baselines(directory, _task(directory, watching, whole, priors), outcome)
    outcome.symbols = sorted(task.monitors)


def learn_peer_priors(trial: Trial) -> list[dict[str, PeerPrior]]:
    """The priors that each symbol of a market has by its end, for detectors and baselines."""
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        _simulate(trial, directory)
        detectors = (*CATALOGUE, *BASELINES)
        task = _task(directory, detectors, trial.false_alarms_per_day, {})
        for _ in _outputs(directory, task):
            pass
        return [
            {s.detector.name: prior for s in monitor.scorers if (prior := s.peer_prior())}
            for _, monitor in sorted(task.monitors.items())
        ]


def _simulate(trial: Trial, directory: Path) -> list[Truth]:
    chosen = scenario(trial.scenario, strength=trial.strength, start_seconds=trial.start_seconds)
    return simulate_to_directory(
        directory,
        scenario=chosen,
        seed=trial.seed,
        symbols=trial.symbols,
        duration_seconds=trial.seconds,
        events_per_second=trial.events_per_second,
    ).truths


def _task(
    directory: Path,
    detectors: tuple[Detector, ...],
    false_alarms_per_day: float,
    priors: PeerPriors,
) -> PartitionTask:
    settings = Settings()
    budgeted = msgspec.structs.replace(
        parameters(settings), false_alarms_per_day=false_alarms_per_day
    )
    return PartitionTask(
        [name for name in STREAMS if stream_path(directory, name) is not None],
        budgeted,
        detectors,
        max_disorder_ns=settings.time.max_disorder_ms * 1_000_000,
        max_symbols=settings.limits.symbols,
        tally=Tally(),
        priors=priors,
    )


def _watch(directory: Path, task: PartitionTask, outcome: Outcome) -> None:
    for output in _outputs(directory, task):
        for signal in output.signals:
            outcome.likely += _likely(signal, task)
            _note(signal, outcome)
        for alert in output.alerts:
            if alert.status == "firing":
                told = {FEED_INTEGRITY: outcome.feeds, DRIFT: outcome.drifts}.get(
                    alert.detector, outcome.incidents
                )
                alarm = Alarm(alert.symbol, alert.ts_event, alert.evidence[0].feature)
                told.append(alarm)
                if alert.inputs and told is outcome.incidents:
                    outcome.distrusted.append(alarm)


def _watch_baselines(directory: Path, task: PartitionTask, outcome: Outcome) -> None:
    for output in _outputs(directory, task):
        for signal in output.signals:
            _note(signal, outcome)


def _note(signal: Signal, outcome: Outcome) -> None:
    for name, reading in signal.detectors.items():
        if reading.status == "scoring":
            outcome.scored_bars[name] = outcome.scored_bars.get(name, 0) + 1
        if reading.alarm:
            feature = reading.contributions[0].feature if reading.contributions else ""
            outcome.alarms[name].append(Alarm(signal.symbol, signal.ts_event, feature))


def _likely(signal: Signal, task: PartitionTask) -> list[Alarm]:
    p_values = [r.p_value for r in signal.detectors.values() if r.p_value is not None]
    if not p_values:
        return []
    bars_per_day = DAY_SECONDS / task.parameters.bar_seconds
    sharing = sum(detector.alarms for detector in task.detectors)
    needed = min(p_values) * bars_per_day / share_per_day(1.0, sharing)
    if needed > LARGEST_BUDGET:
        return []
    return [Alarm(signal.symbol, signal.ts_event, budget_per_day=needed)]


def _outputs(directory: Path, task: PartitionTask) -> Iterator[Output]:
    with Progress(disable=True) as silent:
        yield from outputs(directory, Settings(), task, Summary(str(directory)), silent)
