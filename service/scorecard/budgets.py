"""The realised rate of alarms compared with the budget that a user sets.

The p-values do not depend on the budget, so one run gives the rate of every budget.
"""

from collections.abc import Sequence

from msgspec import Struct

from service.scorecard.score import false_and_exposed, openings
from service.scorecard.statistics import Interval, rate
from service.scorecard.trial import Outcome

BUDGETS = (0.5, 1.0, 10.0)
"""False alarms per symbol-day, at most the largest budget that a trial records."""


class Realised(Struct, frozen=True):
    """The realised rate of a budget in calm markets.

    ``false`` is the rate per symbol-day without spontaneous events of the market (makers that
    left). ``all_told`` includes them: the rate that an operator would see.
    """

    budget: float
    events_per_second: float
    symbol_days: float
    incidents: int
    false: Interval | None
    all_told: Interval | None


def realised(outcomes: Sequence[Outcome]) -> list[Realised]:
    """The realised rates of the budgets over the calm trials, per activity, without controllers."""
    calm = [outcome for outcome in outcomes if outcome.trial.scenario == "calm"]
    activities = sorted({outcome.trial.events_per_second for outcome in calm})
    rows = []
    for budget in BUDGETS:
        for activity in activities:
            group = [o for o in calm if o.trial.events_per_second == activity]
            rows.append(_realised(budget, activity, group))
    return rows


def _realised(budget: float, activity: float, outcomes: Sequence[Outcome]) -> Realised:
    by_trial = [
        (openings(a for a in outcome.candidates if a.budget_per_day <= budget), outcome)
        for outcome in outcomes
    ]
    false, days = zip(*(false_and_exposed(*pair) for pair in by_trial), strict=True)
    all_counts, all_days = zip(
        *(false_and_exposed(*pair, excuse=False) for pair in by_trial), strict=True
    )
    return Realised(
        budget, activity, sum(days), sum(false), rate(false, days), rate(all_counts, all_days)
    )
