"""``foreshock scorecard``: the trials in parallel, and the documents that come of them."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.peers import pooled_by_detector
from service import __version__
from service.scorecard import score
from service.scorecard.matrix import Purpose, Trial, teachers, trials
from service.scorecard.page import to_html
from service.scorecard.report import Scorecard, to_json, to_markdown
from service.scorecard.trial import Outcome, run, teach

T = TypeVar("T")


def scorecard(
    out: Path,
    *,
    scenarios: Sequence[str],
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    false_alarms_per_day: float,
    jobs: int | None,
) -> Scorecard:
    """Run the matrix and write ``scorecard.json``, ``scorecard.md`` and ``scorecard.html``.

    Parameters
    ----------
    out
        The directory to write to; made if need be.
    scenarios, purpose, seeds, calm_days, false_alarms_per_day
        As for `trials`.
    jobs
        Processes; as many as there are processors if None. It changes nothing but the time.
    """
    began = time.monotonic()
    wanted = trials(
        tuple(scenarios),
        purpose=purpose,
        seeds=seeds,
        calm_days=calm_days,
        false_alarms_per_day=false_alarms_per_day,
    )
    outcomes = _run_all(wanted, teachers(purpose), jobs or os.cpu_count() or 1)
    options = f"--seeds {seeds} --calm-days {calm_days} --budget {false_alarms_per_day:g}"
    card = Scorecard(
        command=f"foreshock scorecard {options}" + (" --tuning" if purpose == "tuning" else ""),
        version=__version__,
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        trials=len(wanted),
        seconds=round(time.monotonic() - began, 1),
        found=score.found(outcomes),
        false_alarms=score.false_alarms(outcomes),
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "scorecard.json").write_bytes(to_json(card))
    (out / "scorecard.md").write_text(to_markdown(card))
    (out / "scorecard.html").write_text(to_html(card))
    return card


def _run_all(wanted: Sequence[Trial], taught_by: Sequence[Trial], jobs: int) -> list[Outcome]:
    """Each trial's outcome, in their order, after the peers' markets have taught what they can."""
    progress = Progress(
        TextColumn("scorecard"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    # Forking a process that has threads is undefined; a fresh one costs a second.
    context = multiprocessing.get_context("spawn")
    with progress, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        bar = progress.add_task("", total=len(wanted) + len(taught_by))

        def submit(function: Callable[..., T], *arguments: object) -> Future[T]:
            future = pool.submit(function, *arguments)
            future.add_done_callback(lambda _: progress.advance(bar))
            return future

        lessons = [submit(teach, trial) for trial in taught_by]
        borrowed = pooled_by_detector([its for future in lessons for its in future.result()])
        outcomes = [submit(run, trial, borrowed) for trial in wanted]
        return [future.result() for future in outcomes]
