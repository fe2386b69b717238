"""``foreshock scorecard --conduct``: run the trials, and write the documents."""

from collections.abc import Sequence
from pathlib import Path

from service.scorecard.conduct import cases
from service.scorecard.conduct.found import conduct_card
from service.scorecard.conduct.trial import run
from service.scorecard.matrix import Purpose
from service.scorecard.report import Scorecard
from service.scorecard.run import measured, measured_by


def scorecard(
    out: Path,
    *,
    scenarios: Sequence[str],
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    activities: Sequence[float],
    false_alarms_per_day: float,
    jobs: int | None,
) -> Scorecard:
    """Measure the detectors of the venue's conduct; write ``scorecard.json``, ``.md``, ``.html``.

    The arguments are those of `service.scorecard.run.scorecard`.
    """
    planned = cases.trials(
        scenarios,
        purpose=purpose,
        seeds=seeds,
        calm_days=calm_days,
        activities=activities,
        false_alarms_per_day=false_alarms_per_day,
    )
    everything = set(scenarios) == set(cases.SCENARIOS)
    return measured(
        out,
        run,
        planned,
        lambda outcomes: {"conduct": conduct_card(outcomes)},
        options=[
            f"--conduct --seeds {seeds} --calm-days {calm_days}",
            measured_by(activities, false_alarms_per_day, None if everything else scenarios),
        ],
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        jobs=jobs,
    )
