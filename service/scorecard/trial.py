"""One trial: simulate a market, process it as replay does, record the alarms."""

import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.progress import Progress

from detectors.catalogue import ALARMING, CATALOGUE
from detectors.closing import Signal
from detectors.detector import Detector
from detectors.incidents.kind import DRIFT, FEED_INTEGRITY
from detectors.judging.tail import DAY_SECONDS
from detectors.market_data.events import LATEST_NS, Event
from detectors.parameters import effective_tests
from detectors.scorer import Reading
from service.exchange.measures import Truth
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS
from service.pipeline.output import Output, Tally
from service.pipeline.task import PartitionTask
from service.pipeline.wire import STREAMS
from service.replay.engine import outputs
from service.replay.files import STREAM_NAMES, stream_path
from service.report.summary import Summary
from service.scorecard.baselines import baseline_detectors
from service.scorecard.matrix import Trial
from service.settings.assembly import parameters
from service.settings.types import Settings

BATCH_NS = 60 * 1_000_000_000
"""Event time of one batch of events in memory."""

LARGEST_BUDGET = 10.0
"""The largest budget, in false alarms per symbol-day, at which candidate alarms are recorded."""


class Alarm(Struct, frozen=True):
    """An alarm of a detector, or the opening of an incident.

    ``feature`` is the first evidence. ``budget_per_day`` is the smallest budget at which it is an
    alarm, where known. An alarm is ``effective`` unless it is suppressed.
    """

    symbol: str
    ts_event: int
    feature: str = ""
    budget_per_day: float = 0.0
    effective: bool = True


class Outcome(Struct):
    """The result of a trial.

    ``incidents`` are the openings and escalations that the service would publish, and the alarms
    that it tells within an open incident. Updates on the market's state are no alarms. ``drifts``
    are what it would publish of drift incidents, and ``feeds`` of feed incidents.
    ``distrusted`` are the ``incidents`` that report unreliable inputs. ``alarms`` are those of each
    detector and baseline, bar by bar. ``candidates`` are the detectors' alarms at other budgets, up
    to the largest. Times are nanoseconds of event time.
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
    candidates: list[Alarm] = []
    feeds: list[Alarm] = []
    distrusted: list[Alarm] = []


def run(trial: Trial, *, baselines: bool = True) -> Outcome:
    """Run a trial. Deterministic: the same arguments give the same outcome.

    Without ``baselines`` only the detectors run.
    """
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        outcome = Outcome(
            trial=trial,
            began_ns=START_NS,
            ended_ns=START_NS + round(trial.seconds * 1e9),
            symbols=[],
            truths=simulated(trial, directory),
            incidents=[],
            alarms={},
            scored_bars={},
        )
        watch(directory, outcome, baselines=baselines)
    return outcome


def watch(directory: Path, outcome: Outcome, *, baselines: bool = True) -> None:
    """Process the streams of a directory, and record the alarms in the outcome."""
    streams = [name for name in STREAMS if stream_path(directory, name) is not None]
    _watch(streams, partial(outputs_of, directory), outcome, baselines=baselines)


def watch_events(
    events: Sequence[Event], outcome: Outcome, *, baselines: bool = True
) -> PartitionTask:
    """Process events, and record the alarms in the outcome; return the final state.

    The result is that of files with the same events: `PartitionTask` gives the same result for any
    division into batches.
    """
    batches = list(_batches(events))
    streams = [name for name in STREAMS if any(name in batch for batch in batches)]
    return _watch(streams, partial(_outputs_of, batches), outcome, baselines=baselines)


def _watch(
    streams: Sequence[str],
    run_task: Callable[[PartitionTask], Iterator[Output]],
    outcome: Outcome,
    *,
    baselines: bool,
) -> PartitionTask:
    budget = outcome.trial.false_alarms_per_day
    task = task_of(streams, CATALOGUE, budget)
    outcome.alarms = {name: [] for name in ALARMING}
    _run_detectors(run_task(task), task, outcome)
    if baselines:
        _run_baselines(streams, run_task, outcome)
    outcome.symbols = sorted(task.monitors)
    return task


def simulated(trial: Trial, directory: Path) -> list[Truth]:
    """Write the market of a trial to a directory; return its ground truth."""
    chosen = scenario(trial.scenario, strength=trial.strength, start_seconds=trial.start_seconds)
    return simulate_to_directory(
        directory,
        scenario=chosen,
        seed=trial.seed,
        symbols=trial.symbols,
        duration_seconds=trial.seconds,
        events_per_second=trial.events_per_second,
    ).truths


def task_of(
    streams: Sequence[str],
    detectors: tuple[Detector, ...],
    false_alarms_per_day: float,
) -> PartitionTask:
    """A new task for these streams, with default settings but for the budget."""
    settings = Settings()
    budgeted = msgspec.structs.replace(
        parameters(settings), false_alarms_per_day=false_alarms_per_day
    )
    return PartitionTask(
        streams,
        budgeted,
        detectors,
        max_disorder_ns=settings.time.max_disorder_ms * 1_000_000,
        max_symbols=settings.limits.symbols,
        tally=Tally(),
    )


def _run_detectors(outputs: Iterable[Output], task: PartitionTask, outcome: Outcome) -> None:
    for output in outputs:
        for signal in output.signals:
            budget = _least_budget(signal, task.parameters.bar_seconds)
            if budget <= LARGEST_BUDGET:
                candidate = Alarm(signal.symbol, signal.ts_event, budget_per_day=budget)
                outcome.candidates.append(candidate)
            for name, reading in signal.detectors.items():
                _record(name, signal, reading, outcome, alarm=reading.alarm)
        for alert in output.alerts:
            if alert.status == "firing" and alert.reason not in ("worse", "better"):
                target = {FEED_INTEGRITY: outcome.feeds, DRIFT: outcome.drifts}.get(
                    alert.detector, outcome.incidents
                )
                alarm = Alarm(alert.symbol, alert.ts_event, alert.evidence[0].feature)
                target.append(alarm)
                if alert.inputs and target is outcome.incidents:
                    outcome.distrusted.append(alarm)


def _run_baselines(
    streams: Sequence[str],
    run_task: Callable[[PartitionTask], Iterator[Output]],
    outcome: Outcome,
) -> None:
    """Run the baselines: each has the whole budget, and no controller above its tails."""
    detectors = baseline_detectors()
    tests = effective_tests(detectors)
    budget = outcome.trial.false_alarms_per_day
    task = task_of(streams, detectors, budget)
    bars_per_day = DAY_SECONDS / task.parameters.bar_seconds
    # The p-values are corrected for the tests of all baselines.
    least = {
        detector.name: budget / bars_per_day * tests / effective_tests([detector])
        for detector in detectors
    }
    outcome.alarms |= {name: [] for name in least}
    for output in run_task(task):
        for signal in output.signals:
            for name, reading in signal.detectors.items():
                p_value = reading.p_value
                is_alarm = p_value is not None and p_value <= least[name]
                _record(name, signal, reading, outcome, alarm=is_alarm)


def _record(name: str, signal: Signal, reading: Reading, outcome: Outcome, *, alarm: bool) -> None:
    if reading.status == "scoring":
        outcome.scored_bars[name] = outcome.scored_bars.get(name, 0) + 1
    if alarm:
        feature = reading.contributions[0].feature if reading.contributions else ""
        its = Alarm(signal.symbol, signal.ts_event, feature, effective=reading.suppressed is None)
        outcome.alarms[name].append(its)


def _least_budget(signal: Signal, bar_seconds: float) -> float:
    """The smallest budget at which a bar is an alarm, without the controllers."""
    p_values = (r.p_value for r in signal.detectors.values() if r.p_value is not None)
    return min(p_values, default=math.inf) * DAY_SECONDS / bar_seconds


def outputs_of(directory: Path, task: PartitionTask) -> Iterator[Output]:
    """Feed a task from the streams of a directory, and yield its output step by step."""
    with Progress(disable=True) as silent:
        yield from outputs(directory, Settings(), task, Summary(str(directory)), silent)


def _batches(events: Iterable[Event]) -> Iterator[dict[str, list[Event]]]:
    """Divide events, which are in order, into batches by stream."""
    batch: dict[str, list[Event]] = defaultdict(list)
    until_ns = 0
    for event in events:
        if event.ts_event >= until_ns:
            if batch:
                yield batch
            batch, until_ns = defaultdict(list), event.ts_event + BATCH_NS
        batch[STREAM_NAMES[event.kind]].append(event)
    if batch:
        yield batch


def _outputs_of(batches: Iterable[dict[str, list[Event]]], task: PartitionTask) -> Iterator[Output]:
    """Feed a task from memory, and yield its output step by step."""
    read: dict[str, int] = defaultdict(int)
    for batch in batches:
        for name, events in batch.items():
            first = read[name]
            read[name] += len(events)
            task.feed(name, events, first_offset=first, next_offset=read[name])
        yield task.advance()
    for name in read:
        task.aligner.set_idle(name)
    yield task.advance()
    yield task.rest(LATEST_NS)  # nothing comes any more
