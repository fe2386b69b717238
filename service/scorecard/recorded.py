"""``foreshock scorecard --recorded``: inject episodes into recorded flow and measure detection.

A session has many episodes (`sessions_scorecard`), or one (`scorecard`). The unchanged recording is
processed too. Its alarms count as false, because they have no known
cause. They do not count as finding an episode that was injected later.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from service import __version__
from service.errors import OperatorError
from service.scorecard import score
from service.scorecard.background import SECOND, SymbolSurvey, survey
from service.scorecard.budgets import realised
from service.scorecard.feeds import feed_false
from service.scorecard.injections import KINDS, LENGTH_SECONDS, Injection, Kind, inject
from service.scorecard.matrix import (
    SEEDS_APART,
    START_SECONDS,
    STRENGTHS,
    Purpose,
    Trial,
    first_seed,
)
from service.scorecard.mixed import MIXED_KINDS
from service.scorecard.report import Scorecard
from service.scorecard.run import run_all, write
from service.scorecard.score import GRACE_NS
from service.scorecard.sessions import Session, results
from service.scorecard.sessions import run as run_session
from service.scorecard.trial import Alarm, Outcome, watch

LABEL = "recorded"

AFTERMATH_NS = GRACE_NS + 30 * SECOND
"""Time observed after an episode; a later alarm does not count as finding it."""


class RecordedTrial(Struct, frozen=True):
    """A recording to process, with an injected episode or unchanged.

    ``trial`` holds the parameters of any trial. Its scenario is the injected kind, or "calm". The
    recording is processed from ``began_ns`` to ``ended_ns``. ``survey`` describes the injection's
    symbol.
    """

    trial: Trial
    directory: str
    began_ns: int
    ended_ns: int
    survey: SymbolSurvey | None = None
    injection: Injection | None = None


def sessions_scorecard(
    out: Path,
    directories: Sequence[Path],
    *,
    kinds: Sequence[str],
    purpose: Purpose,
    seeds: int,
    episodes: int,
    false_alarms_per_day: float,
    baselines: bool,
    jobs: int | None,
) -> Scorecard:
    """Run sessions with many episodes on recordings, and write the scorecard's documents.

    Parameters
    ----------
    out
        Output directory, created if it does not exist.
    directories
        The recorded streams of each recording.
    kinds
        Which of `service.scorecard.mixed.MIXED_KINDS`. Other names are ignored.
    purpose, false_alarms_per_day
        As for `service.scorecard.matrix.trials`.
    seeds
        The number of sessions per recording.
    episodes
        The number of episodes in a session. A short recording has as many as fit.
    baselines
        Whether the baselines run too.
    jobs
        Number of processes. None means the number of processors. The results do not depend on it.

    Raises
    ------
    OperatorError
        If no name can be injected, or a recording is unusable or too short.
    """
    began = time.monotonic()
    chosen = tuple(kind for kind in MIXED_KINDS if kind in kinds)
    if not chosen:
        raise _nothing_to_inject(MIXED_KINDS)
    numbers: list[int | None] = [None, *range(first_seed(purpose), first_seed(purpose) + seeds)]
    sessions = [
        Session(name, str(directory), seed, episodes, chosen, false_alarms_per_day, baselines)
        for name, directory in _named(directories).items()
        for seed in numbers
    ]
    runs = run_all(run_session, sessions, jobs)
    untouched = [ran.calm for ran in runs if ran.seed is None]
    names = " ".join(_named(directories))
    command = (
        f"foreshock scorecard --recorded {names} --seeds {seeds} --episodes {episodes}"
        f" --budget {false_alarms_per_day:g}"
        + ("" if chosen == MIXED_KINDS else f" --scenarios {','.join(chosen)}")
        + ("" if baselines else " --no-baselines")
        + (" --tuning" if purpose == "tuning" else "")
    )
    card = Scorecard(
        command=command,
        version=__version__,
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        trials=len(directories) * seeds,
        seconds=round(time.monotonic() - began, 1),
        found=[],
        false_alarms=[],
        realised=realised(untouched),
        markets="sessions of recorded flow",
        feed_false=feed_false(untouched),
        sessions=results(runs),
    )
    write(out, card)
    return card


def _named(directories: Sequence[Path]) -> dict[str, Path]:
    """The directories by their last names, which are numbered where they are the same."""
    named: dict[str, Path] = {}
    for directory in directories:
        name, number = directory.absolute().name, 2
        while name in named:
            name, number = f"{directory.absolute().name} ({number})", number + 1
        named[name] = directory
    return named


def _nothing_to_inject(kinds: Sequence[str]) -> OperatorError:
    return OperatorError(
        f"no scenario can be injected into recorded flow; choose from {', '.join(kinds)}"
    )


def scorecard(
    out: Path,
    directory: Path,
    *,
    kinds: Sequence[str],
    purpose: Purpose,
    seeds: int,
    false_alarms_per_day: float,
    jobs: int | None,
) -> Scorecard:
    """Run every kind, strength and seed on a recording, and write the scorecard's documents.

    Parameters
    ----------
    out
        Output directory, created if it does not exist.
    directory
        The recorded streams.
    kinds
        Which of `KINDS`. Other names are ignored.
    purpose, seeds, false_alarms_per_day
        As for `service.scorecard.matrix.trials`. The seeds draw the symbol and the time.
    jobs
        Number of processes. None means the number of processors. The results do not depend on it.

    Raises
    ------
    OperatorError
        If no name can be injected, or the recording is unusable or too short.
    """
    began = time.monotonic()
    chosen = [kind for kind in KINDS if kind in kinds]
    if not chosen:
        raise _nothing_to_inject(KINDS)
    surveys = survey(directory)
    untouched, planned = trials(
        directory, surveys, chosen, first_seed(purpose), seeds, false_alarms_per_day
    )
    untouched_outcome, *others = run_all(run, [untouched, *planned], jobs)
    options = f"--seeds {seeds} --budget {false_alarms_per_day:g}"
    tuning = " --tuning" if purpose == "tuning" else ""
    card = Scorecard(
        command=f"foreshock scorecard --recorded {directory.resolve().name} --one-episode "
        f"{options}{tuning}",
        version=__version__,
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        trials=len(planned),
        seconds=round(time.monotonic() - began, 1),
        found=[
            msgspec.structs.replace(row, kind=f"{row.kind} ({LABEL})")
            for row in score.found([without(outcome, untouched_outcome) for outcome in others])
        ],
        false_alarms=[
            msgspec.structs.replace(row, scenario=LABEL)
            for row in score.false_alarms([untouched_outcome])
        ],
        markets="episodes in recorded flow",
        feed_false=feed_false([untouched_outcome]),
    )
    write(out, card)
    return card


def trials(
    directory: Path,
    surveys: dict[str, SymbolSurvey],
    kinds: Sequence[Kind],
    first: int,
    seeds: int,
    false_alarms_per_day: float,
) -> tuple[RecordedTrial, list[RecordedTrial]]:
    """The trial of the unchanged recording, and one trial per kind, strength and seed.

    ``first`` is the first seed. An episode begins after half an hour, or after half of its symbol's
    recording if that is shorter, and ends before the recording does.

    Raises
    ------
    OperatorError
        If every symbol's recording is too short.
    """
    activity = round(sum(each.events for each in surveys.values()) /
                     sum(each.seconds for each in surveys.values()), 1)  # fmt: skip
    began = min(each.began_ns for each in surveys.values())
    ended = max(each.ended_ns for each in surveys.values())
    calm = Trial("calm", first, 1.0, activity, false_alarms_per_day)
    planned = []
    for position, kind in enumerate(KINDS):
        if kind not in kinds:
            continue
        for form, strength in enumerate(STRENGTHS):
            for number in range(seeds):
                seed = first + SEEDS_APART * (position * len(STRENGTHS) + form) + number
                trial = Trial(kind, seed, strength, activity, false_alarms_per_day)
                symbol_survey, injection = _draw_injection(directory, surveys, kind, trial)
                until = injection.end_ns + AFTERMATH_NS
                planned.append(
                    RecordedTrial(trial, str(directory), began, until, symbol_survey, injection)
                )
    return RecordedTrial(calm, str(directory), began, ended), planned


def _draw_injection(
    directory: Path, surveys: dict[str, SymbolSurvey], kind: Kind, trial: Trial
) -> tuple[SymbolSurvey, Injection]:
    length = LENGTH_SECONDS[kind]
    after = length + AFTERMATH_NS / SECOND
    long_enough = [
        symbol_survey
        for symbol_survey in surveys.values()
        if symbol_survey.seconds - _warmup(symbol_survey) >= after
    ]
    if not long_enough:
        raise OperatorError(
            f"{directory} is too short for {kind}: {2 * after:.0f} s of one symbol are needed"
        )
    rng = Random(f"{trial.seed}/{kind}/when")  # noqa: S311  seeded
    symbol_survey = rng.choice(sorted(long_enough, key=lambda each: each.symbol))
    start = rng.uniform(_warmup(symbol_survey), symbol_survey.seconds - after)
    start_ns = symbol_survey.began_ns + round(start * SECOND)
    return symbol_survey, Injection(
        kind, symbol_survey.symbol, start_ns, length, trial.strength, trial.seed
    )


def _warmup(symbol_survey: SymbolSurvey) -> float:
    return min(START_SECONDS, symbol_survey.seconds / 2)


def run(recorded_trial: RecordedTrial) -> Outcome:
    """Run a trial. Deterministic: the same trial gives the same outcome."""
    outcome = Outcome(
        trial=recorded_trial.trial,
        began_ns=recorded_trial.began_ns,
        ended_ns=recorded_trial.ended_ns,
        symbols=[],
        truths=[],
        incidents=[],
        alarms={},
        scored_bars={},
    )
    source = Path(recorded_trial.directory)
    if recorded_trial.injection is None or recorded_trial.survey is None:
        watch(source, outcome)
        return outcome
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        outcome.truths = [
            inject(
                source,
                directory,
                recorded_trial.injection,
                recorded_trial.survey,
                until_ns=recorded_trial.ended_ns,
            )
        ]
        watch(directory, outcome)
    return outcome


def without(outcome: Outcome, untouched: Outcome) -> Outcome:
    """The outcome without alarms that the unchanged recording has in the same bars."""

    def new(alarms: list[Alarm], known: list[Alarm]) -> list[Alarm]:
        bars = {(alarm.symbol, alarm.ts_event) for alarm in known}
        return [alarm for alarm in alarms if (alarm.symbol, alarm.ts_event) not in bars]

    return msgspec.structs.replace(
        outcome,
        incidents=new(outcome.incidents, untouched.incidents),
        alarms={
            name: new(alarms, untouched.alarms[name]) for name, alarms in outcome.alarms.items()
        },
    )
