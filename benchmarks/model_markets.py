"""The tuning markets on which models are compared: simulated once, features stored bar by bar.

Only the models' inputs are stored, in a folder named after a digest of the code.
Where the detectors or the simulated exchange have changed, everything is simulated again.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from rich.progress import Progress

from detectors.catalogue import CATALOGUE
from detectors.closing import Signal
from detectors.market_data.bar import Bar
from service.exchange.measures import Truth
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from service.pipeline.output import Tally
from service.pipeline.wire import STREAMS
from service.replay.engine import outputs
from service.report.summary import Summary
from service.scorecard.matrix import MUST_ALARM, MUST_NOT_ALARM, REGIMES, Trial, trials
from service.scorecard.score import MEASURED
from service.settings.assembly import partition_task
from service.settings.types import Settings

ROOT = Path(__file__).resolve().parents[1]

ALARMING = [detector for detector in CATALOGUE if detector.alarms]


class Track(msgspec.Struct):
    """The statistics of one detector for one symbol.

    Their names, and their values per bar: None for a bar without any, and for a missing value.
    ``explained`` holds the numbers of the bars that the activity of the market explains.
    """

    features: list[str]
    bars: list[list[float | None] | None] = []
    explained: list[int] = []

    def append(self, x: dict[str, float], *, explained: bool) -> None:
        """Add a bar."""
        if explained:
            self.explained.append(len(self.bars))
        self.bars.append([x.get(name) for name in self.features] if x else None)


class Recorded(msgspec.Struct):
    """One symbol of a market: its bar times, and each detector's inputs."""

    symbol: str
    times: list[int]
    tracks: dict[str, Track]


class Market(msgspec.Struct):
    """One trial's symbols and ground truth.

    If the trial has an injection, only the affected symbols are included.
    """

    trial: Trial
    truths: list[Truth]
    symbols: list[Recorded]


def tuning_trials(seeds: int, calm_days: int) -> list[Trial]:
    """The trials at nominal strength, the calm ones first."""
    chosen = trials(
        (*MUST_ALARM, *MUST_NOT_ALARM, *REGIMES),
        purpose="tuning",
        seeds=seeds,
        calm_days=calm_days,
        false_alarms_per_day=1.0,
    )
    return [trial for trial in chosen if trial.strength == 1.0]


def tiny_trials() -> list[Trial]:
    """As few and as quiet trials as have something to compare."""
    return [Trial(name, 1, events_per_second=2.0) for name in ("calm", "cancel_burst", "surge")]


def cached_at(trial: Trial, folder: Path) -> Path:
    """The file of a trial's market."""
    name = f"{trial.scenario}-{trial.seed}-{trial.events_per_second:g}.msgpack"
    return folder / _code() / name


def markets(
    chosen: Sequence[Trial], folder: Path, most_seconds: float
) -> Iterator[tuple[Path, Market]]:
    """The trials' markets and their files. Markets without a file are simulated."""
    for trial in chosen:
        path = cached_at(trial, folder)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_bytes(msgspec.msgpack.encode(record(trial, most_seconds)))
            unfinished.rename(path)
        yield path, msgspec.msgpack.decode(path.read_bytes(), type=Market)


def record(trial: Trial, most_seconds: float) -> Market:
    """Simulate a trial, or its first ``most_seconds``, and process it as replay does."""
    with tempfile.TemporaryDirectory(prefix="foreshock-models-") as folder:
        directory = Path(folder)
        truths = simulate_to_directory(
            directory,
            scenario=scenario(
                trial.scenario, strength=trial.strength, start_seconds=trial.start_seconds
            ),
            seed=trial.seed,
            symbols=trial.symbols,
            duration_seconds=min(trial.seconds, most_seconds),
            events_per_second=trial.events_per_second,
        ).truths
        injected = {truth.symbol for truth in truths if truth.kind not in MEASURED}
        recorded: dict[str, Recorded] = {}
        for bar, signal in _bars(directory):
            if injected and signal.symbol not in injected:
                continue
            symbol_record = recorded.get(signal.symbol)
            if symbol_record is None:
                tracks = {its.name: Track(list(its.statistics)) for its in ALARMING}
                symbol_record = recorded[signal.symbol] = Recorded(signal.symbol, [], tracks)
            symbol_record.times.append(signal.ts_event)
            for detector in ALARMING:
                x = signal.detectors[detector.name].features
                explained = bool(x) and detector.explained(bar)
                symbol_record.tracks[detector.name].append(x, explained=explained)
    return Market(trial, list(truths), list(recorded.values()))


def _bars(directory: Path) -> Iterator[tuple[Bar, Signal]]:
    settings = Settings()
    task = partition_task(settings, STREAMS, Tally())
    with Progress(disable=True) as silent:
        for output in outputs(directory, settings, task, Summary(str(directory)), silent):
            yield from output.bars


def _code() -> str:
    """A digest of the code that produces a market's features."""
    digest = hashlib.sha256()
    for folder in ("detectors", "service/exchange", "service/scorecard"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
