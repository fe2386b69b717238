"""``foreshock scorecard``: run the trials in parallel, and write the documents."""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service import __version__
from service.exchange.scenarios.catalogue import SCENARIOS
from service.output_files import writing
from service.scorecard import score
from service.scorecard.budgets import realised
from service.scorecard.feeds import feed_false, feed_found
from service.scorecard.matrix import CONDUCT, POSITIONS, Purpose, trials
from service.scorecard.page import to_html
from service.scorecard.report import Scorecard, to_json, to_markdown
from service.scorecard.trial import Outcome, run

Item = TypeVar("Item")
Result = TypeVar("Result")
Figures = dict[str, Any]
"""Fields of a `Scorecard`."""


def scorecard(
    out: Path,
    *,
    scenarios: Sequence[str],
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    activities: Sequence[float],
    false_alarms_per_day: float,
    baselines: bool,
    jobs: int | None,
) -> Scorecard:
    """Run the matrix and write ``scorecard.json``, ``scorecard.md`` and ``scorecard.html``.

    Parameters
    ----------
    out
        Output directory, created if it does not exist.
    scenarios, purpose, seeds, calm_days, activities, false_alarms_per_day
        As for `trials`.
    baselines
        Whether the baselines run too.
    jobs
        Number of processes. None means the number of processors. The results do not depend on it.
    """
    planned = trials(
        tuple(scenarios),
        purpose=purpose,
        seeds=seeds,
        calm_days=calm_days,
        activities=activities,
        false_alarms_per_day=false_alarms_per_day,
    )
    everything = set(scenarios) == set(SCENARIOS) - {"calm", *POSITIONS, *CONDUCT}

    def figures(outcomes: list[Outcome]) -> Figures:
        return {
            "found": score.found(outcomes),
            "false_alarms": score.false_alarms(outcomes),
            "realised": realised(outcomes),
            "feeds": feed_found(outcomes),
            "feed_false": feed_false(outcomes),
        }

    return measured(
        out,
        partial(run, baselines=baselines),
        planned,
        figures,
        options=[
            f"--seeds {seeds} --calm-days {calm_days}",
            measured_by(activities, false_alarms_per_day, None if everything else scenarios),
            *([] if baselines else ["--no-baselines"]),
        ],
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        jobs=jobs,
    )


def measured(
    out: Path,
    function: Callable[[Item], Result],
    planned: Sequence[Item],
    figures: Callable[[list[Result]], Figures],
    *,
    options: Sequence[str],
    purpose: Purpose,
    false_alarms_per_day: float,
    jobs: int | None,
) -> Scorecard:
    """Run the trials of simulated markets, and write the documents.

    Parameters
    ----------
    out, purpose, false_alarms_per_day, jobs
        As for `scorecard`.
    function, planned
        What runs a trial, and the trials.
    figures
        Returns the figures of the results: fields of `Scorecard`.
    options
        The options that make the same document again.
    """
    began = time.monotonic()
    outcomes = run_all(function, planned, jobs)
    card = Scorecard(
        command=command_line(options, purpose),
        version=__version__,
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        trials=len(planned),
        seconds=round(time.monotonic() - began, 1),
        **figures(outcomes),
    )
    write(out, card)
    return card


def measured_by(
    activities: Sequence[float], false_alarms_per_day: float, scenarios: Sequence[str] | None
) -> str:
    """The options of activities, budget and scenarios; None: all of them."""
    rates = ",".join(f"{activity:g}" for activity in activities)
    chosen = "" if scenarios is None else f" --scenarios {','.join(scenarios) or 'calm'}"
    return f"--activities {rates} --budget {false_alarms_per_day:g}{chosen}"


def command_line(options: Sequence[str], purpose: Purpose) -> str:
    """The command that makes the same document again."""
    tuning = ["--tuning"] if purpose == "tuning" else []
    return " ".join(["foreshock scorecard", *options, *tuning])


def write(out: Path, card: Scorecard) -> None:
    """Write ``scorecard.json``, ``scorecard.md`` and ``scorecard.html``.

    Raises OperatorError if they cannot be written.
    """
    prepare(out)
    with writing("--out", out):
        (out / "scorecard.json").write_bytes(to_json(card))
        (out / "scorecard.md").write_text(to_markdown(card))
        (out / "scorecard.html").write_text(to_html(card))


def prepare(out: Path) -> None:
    """Create the output directory. Raises OperatorError if no file can be written in it.

    Call this before the work, which takes hours.
    """
    with writing("--out", out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass


def run_all(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int | None
) -> list[Result]:
    """Apply a function to each item in several processes; return the results in order.

    ``jobs`` is the number of processes; None means the number of processors. The results do not
    depend on it.
    """
    progress = Progress(
        TextColumn("scorecard"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    # Forking a process with threads is unsafe. Spawning costs about a second.
    context = multiprocessing.get_context("spawn")
    with progress, ProcessPoolExecutor(jobs or os.cpu_count() or 1, mp_context=context) as pool:
        bar = progress.add_task("", total=len(items))
        futures = [pool.submit(function, trial) for trial in items]
        for future in as_completed(futures):
            progress.advance(bar)
            future.result()  # raises the first failure
        return [future.result() for future in futures]
