"""``foreshock scorecard --risk``: run the trials, and write the documents."""

from collections.abc import Sequence
from pathlib import Path

from service.scorecard.matrix import Purpose
from service.scorecard.report import Scorecard
from service.scorecard.risk import plan
from service.scorecard.risk.calm import calm_times, explained, safe
from service.scorecard.risk.card import RiskCard
from service.scorecard.risk.comparisons import LIMIT, compared
from service.scorecard.risk.predictions import predicted
from service.scorecard.risk.trial import RiskOutcome, run
from service.scorecard.risk.warnings import spreading, unspread, warned
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
    """Measure the risk of positions; write ``scorecard.json``, ``.md`` and ``.html``.

    The arguments are those of `service.scorecard.run.scorecard`.
    """
    planned = plan.trials(
        scenarios,
        purpose=purpose,
        seeds=seeds,
        calm_days=calm_days,
        activities=activities,
        false_alarms_per_day=false_alarms_per_day,
    )
    everything = set(scenarios) == set(plan.SCENARIOS)
    return measured(
        out,
        run,
        planned,
        lambda outcomes: {"risk": risk_card(outcomes)},
        options=[
            f"--risk --seeds {seeds} --calm-days {calm_days}",
            measured_by(activities, false_alarms_per_day, None if everything else scenarios),
        ],
        purpose=purpose,
        false_alarms_per_day=false_alarms_per_day,
        jobs=jobs,
    )


def risk_card(outcomes: Sequence[RiskOutcome]) -> RiskCard:
    """The figures of trials."""
    usual = [its for its in outcomes if its.trial.scenario not in plan.MUST_NOT_ALARM]
    calm = calm_times(usual)
    own = [calm[-1].cascade_ratio] if calm else []
    return RiskCard(
        warned=warned(outcomes),
        calm=calm_times(outcomes),
        explained=explained(outcomes),
        safe=safe(outcomes),
        spreading=spreading(outcomes),
        unspread=unspread(outcomes),
        predicted=predicted(outcomes),
        compared=compared(outcomes, [*own, LIMIT]),
    )
