"""``foreshock scorecard --audit``: run the trials, and write the documents."""

from pathlib import Path

from service.scorecard.audit import plan
from service.scorecard.audit.card import card_of
from service.scorecard.audit.trial import run
from service.scorecard.matrix import Purpose
from service.scorecard.report import Scorecard
from service.scorecard.run import measured


def scorecard(out: Path, planned: plan.Plan, *, purpose: Purpose, jobs: int | None) -> Scorecard:
    """Measure power and size of the audit; write ``scorecard.json``, ``.md`` and ``.html``.

    ``out``, ``purpose`` and ``jobs`` are those of `service.scorecard.run.scorecard`.
    """
    return measured(
        out,
        run,
        plan.trials(planned, purpose),
        lambda outcomes: {"audit": card_of(outcomes, planned.seconds)},
        options=[
            f"--audit --seeds {planned.seeds} --clean {planned.clean}",
            f"--minutes {planned.seconds / 60.0:g}",
        ],
        purpose=purpose,
        false_alarms_per_day=0.0,
        jobs=jobs,
    )
