"""``foreshock scorecard --audit``: run the trials, and write the documents."""

import time
from pathlib import Path

from service import __version__
from service.scorecard.audit import plan
from service.scorecard.audit.card import card_of
from service.scorecard.audit.trial import run
from service.scorecard.matrix import Purpose
from service.scorecard.report import Scorecard
from service.scorecard.run import command_line, run_all, write


def scorecard(out: Path, planned: plan.Plan, *, purpose: Purpose, jobs: int | None) -> Scorecard:
    """Measure power and size of the audit; write ``scorecard.json``, ``.md`` and ``.html``.

    ``out``, ``purpose`` and ``jobs`` are those of `service.scorecard.run.scorecard`.
    """
    began = time.monotonic()
    trials = plan.trials(planned, purpose)
    outcomes = run_all(run, trials, jobs)
    options = [
        f"--audit --seeds {planned.seeds} --clean {planned.clean}",
        f"--minutes {planned.seconds / 60.0:g}",
    ]
    card = Scorecard(
        command=command_line(options, purpose),
        version=__version__,
        purpose=purpose,
        false_alarms_per_day=0.0,
        trials=len(trials),
        seconds=round(time.monotonic() - began, 1),
        found=[],
        false_alarms=[],
        audit=card_of(outcomes, planned.seconds),
    )
    write(out, card)
    return card
