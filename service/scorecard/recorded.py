"""``foreshock scorecard --recorded``: episodes put into recorded flow, and what was found of them.

The same recording is watched untouched too: what alarms there is false, as far as anybody knows,
and is not counted as finding an episode that was put in later.
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
from service.scorecard.report import Scorecard
from service.scorecard.run import run_all, write
from service.scorecard.score import GRACE_NS
from service.scorecard.trial import Alarm, Outcome, watch

LABEL = "recorded"

AFTERMATH_NS = GRACE_NS + 30 * SECOND
"""What follows an episode is watched so long: an alarm any later does not tell of it."""


class RecordedTrial(Struct, frozen=True):
    """A recording to watch, with an episode in it or as it is.

    ``trial`` holds what any trial does; its scenario is the kind put in, or "calm". It is watched
    from ``began_ns`` to ``ended_ns``; ``usual`` is of the symbol that something is put into.
    """

    trial: Trial
    directory: str
    began_ns: int
    ended_ns: int
    usual: SymbolSurvey | None = None
    injection: Injection | None = None


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
        The directory to write to; made if need be.
    directory
        The recorded streams.
    kinds
        Which of `KINDS`; other names are left out.
    purpose, seeds, false_alarms_per_day
        As for `service.scorecard.matrix.trials`. The seeds draw the symbol and the time.
    jobs
        Processes; as many as there are processors if None. It changes nothing but the time.

    Raises
    ------
    OperatorError
        If none of the names can be put into a recording, or it cannot be used or is too short.
    """
    began = time.monotonic()
    chosen = [kind for kind in KINDS if kind in kinds]
    if not chosen:
        raise OperatorError(f"into recorded flow go {', '.join(KINDS)}: name one of them")
    usual = survey(directory)
    untouched, wanted = trials(
        directory, usual, chosen, first_seed(purpose), seeds, false_alarms_per_day
    )
    first, *others = run_all(run, [untouched, *wanted], jobs)
    options = f"--seeds {seeds} --budget {false_alarms_per_day:g}"
    tuning = " --tuning" if purpose == "tuning" else ""
    card = Scorecard(
        command=f"foreshock scorecard --recorded {directory.resolve().name} {options}{tuning}",
        version=__version__,
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        trials=len(wanted),
        seconds=round(time.monotonic() - began, 1),
        found=[
            msgspec.structs.replace(row, kind=f"{row.kind} ({LABEL})")
            for row in score.found([without(outcome, first) for outcome in others])
        ],
        false_alarms=[
            msgspec.structs.replace(row, scenario=LABEL) for row in score.false_alarms([first])
        ],
        markets="episodes in recorded flow",
        feed_false=feed_false([first]),
    )
    write(out, card)
    return card


def trials(
    directory: Path,
    usual: dict[str, SymbolSurvey],
    kinds: Sequence[Kind],
    first: int,
    seeds: int,
    false_alarms_per_day: float,
) -> tuple[RecordedTrial, list[RecordedTrial]]:
    """The untouched recording, and one trial a kind, strength and seed.

    ``first`` is the first seed. An episode begins after half an hour, or after half of what is
    recorded of its symbol if that is less, and ends before the recording does.

    Raises
    ------
    OperatorError
        If every symbol's recording is too short.
    """
    activity = round(sum(its.events for its in usual.values()) /
                     sum(its.seconds for its in usual.values()), 1)  # fmt: skip
    began = min(its.began_ns for its in usual.values())
    ended = max(its.ended_ns for its in usual.values())
    calm = Trial("calm", first, 1.0, activity, false_alarms_per_day)
    wanted = []
    for place, kind in enumerate(KINDS):
        if kind not in kinds:
            continue
        for form, strength in enumerate(STRENGTHS):
            for number in range(seeds):
                seed = first + SEEDS_APART * (place * len(STRENGTHS) + form) + number
                trial = Trial(kind, seed, strength, activity, false_alarms_per_day)
                its, injection = _drawn(directory, usual, kind, trial)
                until = injection.end_ns + AFTERMATH_NS
                wanted.append(RecordedTrial(trial, str(directory), began, until, its, injection))
    return RecordedTrial(calm, str(directory), began, ended), wanted


def _drawn(
    directory: Path, usual: dict[str, SymbolSurvey], kind: Kind, trial: Trial
) -> tuple[SymbolSurvey, Injection]:
    length = LENGTH_SECONDS[kind]
    after = length + AFTERMATH_NS / SECOND
    fitting = [its for its in usual.values() if its.seconds - _warmup(its) >= after]
    if not fitting:
        raise OperatorError(
            f"{directory} is too short for {kind}: it takes {2 * after:.0f} s of one symbol"
        )
    rng = Random(f"{trial.seed}/{kind}/when")  # noqa: S311  seeded
    its = rng.choice(sorted(fitting, key=lambda each: each.symbol))
    start = rng.uniform(_warmup(its), its.seconds - after)
    start_ns = its.began_ns + round(start * SECOND)
    return its, Injection(kind, its.symbol, start_ns, length, trial.strength, trial.seed)


def _warmup(its: SymbolSurvey) -> float:
    return min(START_SECONDS, its.seconds / 2)


def run(wanted: RecordedTrial) -> Outcome:
    """Run a trial. Deterministic: the same trial comes to the same outcome.

    Nothing is borrowed: what other symbols of the venue would have taught is not known.
    """
    outcome = Outcome(
        trial=wanted.trial,
        began_ns=wanted.began_ns,
        ended_ns=wanted.ended_ns,
        symbols=[],
        truths=[],
        incidents=[],
        alarms={},
        scored_bars={},
    )
    source = Path(wanted.directory)
    if wanted.injection is None or wanted.usual is None:
        watch(source, outcome, {})
        return outcome
    with tempfile.TemporaryDirectory(prefix="foreshock-trial-") as folder:
        directory = Path(folder)
        outcome.truths = [
            inject(source, directory, wanted.injection, wanted.usual, until_ns=wanted.ended_ns)
        ]
        watch(directory, outcome, {})
    return outcome


def without(outcome: Outcome, untouched: Outcome) -> Outcome:
    """An outcome without the alarms that the untouched recording has in the same bars."""

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
