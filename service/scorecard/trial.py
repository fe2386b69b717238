"""One trial: simulate a market, watch it through the path that replay takes, note what was said."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.progress import Progress

from detectors.catalogue import CATALOGUE
from detectors.detector import Detector
from service.assembly import parameters
from service.demo.measures import Truth
from service.demo.recording import simulate_to_directory
from service.demo.scenarios import scenario
from service.demo.simulation import START_NS
from service.files import stream_path
from service.replay import Summary, outputs
from service.scorecard.baselines import BASELINES
from service.scorecard.matrix import Trial
from service.settings import Settings
from service.task import Output, PartitionTask, Tally
from service.wire import STREAMS


class Alarm(Struct, frozen=True):
    """An alarm of a detector or an incident's opening; ``feature`` is its first evidence."""

    symbol: str
    ts_event: int
    feature: str = ""


class Outcome(Struct):
    """What a trial came to.

    ``incidents`` are the openings and escalations that the service would publish; ``alarms`` each
    detector's own alarms, baselines included, bar by bar. Times are nanoseconds of event time.
    """

    trial: Trial
    began_ns: int
    ended_ns: int
    symbols: list[str]
    truths: list[Truth]
    incidents: list[Alarm]
    alarms: dict[str, list[Alarm]]
    scored_bars: dict[str, int]


def run(trial: Trial) -> Outcome:
    """Run a trial. Deterministic: the same trial comes to the same outcome."""
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        chosen = scenario(
            trial.scenario, strength=trial.strength, start_seconds=trial.start_seconds
        )
        recording = simulate_to_directory(
            directory,
            scenario=chosen,
            seed=trial.seed,
            symbols=trial.symbols,
            duration_seconds=trial.seconds,
            events_per_second=trial.events_per_second,
        )
        outcome = Outcome(
            trial=trial,
            began_ns=START_NS,
            ended_ns=START_NS + round(trial.seconds * 1e9),
            symbols=[],
            truths=recording.truths,
            incidents=[],
            alarms={},
            scored_bars={},
        )
        watch(directory, outcome)
    return outcome


def watch(directory: Path, outcome: Outcome) -> None:
    """Watch the streams of a directory, and note in the outcome what was said."""
    outcome.alarms = {detector.name: [] for detector in (*CATALOGUE, *BASELINES)}
    budget = outcome.trial.false_alarms_per_day
    _watch(directory, CATALOGUE, budget, outcome, incidents=True)
    # Each baseline has the whole budget to itself.
    _watch(directory, BASELINES, budget * len(BASELINES), outcome, incidents=False)


def _watch(
    directory: Path,
    detectors: tuple[Detector, ...],
    false_alarms_per_day: float,
    outcome: Outcome,
    *,
    incidents: bool,
) -> None:
    settings = Settings()
    budgeted = msgspec.structs.replace(
        parameters(settings), false_alarms_per_day=false_alarms_per_day
    )
    task = PartitionTask(
        [name for name in STREAMS if stream_path(directory, name) is not None],
        budgeted,
        detectors,
        max_disorder_ns=settings.time.max_disorder_ms * 1_000_000,
        max_symbols=settings.limits.symbols,
        tally=Tally(),
    )
    for output in _outputs(directory, settings, task):
        for signal in output.signals:
            for name, reading in signal.detectors.items():
                if reading.status == "scoring":
                    outcome.scored_bars[name] = outcome.scored_bars.get(name, 0) + 1
                if reading.alarm:
                    feature = reading.contributions[0].feature if reading.contributions else ""
                    outcome.alarms[name].append(Alarm(signal.symbol, signal.ts_event, feature))
        if incidents:
            outcome.incidents += [
                Alarm(alert.symbol, alert.ts_event, alert.evidence[0].feature)
                for alert in output.alerts
                if alert.status == "firing"
            ]
    outcome.symbols = sorted(task.monitors)


def _outputs(directory: Path, settings: Settings, task: PartitionTask) -> Iterator[Output]:
    with Progress(disable=True) as silent:
        yield from outputs(directory, settings, task, Summary(str(directory)), silent)
