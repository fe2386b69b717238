"""Whether the one number that a user sets is kept: the realised rate of alarms beside the budget.

What a budget allows follows from p-values, which do not depend on it, so every budget is read off
the same run.
"""

from collections.abc import Sequence

from msgspec import Struct

from service.scorecard.score import false_and_exposed, openings
from service.scorecard.statistics import Interval, rate
from service.scorecard.trial import Outcome

BUDGETS = (0.5, 1.0, 10.0)
"""False alarms a symbol-day; none may be above what a trial notes."""


class Realised(Struct, frozen=True):
    """What a budget came to in calm markets.

    ``false`` is the rate a symbol-day without what the market brought about by itself (makers that
    left), ``all_told`` with it: what an operator would have seen.
    """

    budget: float
    events_per_second: float
    symbol_days: float
    incidents: int
    false: Interval | None
    all_told: Interval | None


def realised(outcomes: Sequence[Outcome]) -> list[Realised]:
    """The realised rates of every budget over the calm trials, at each activity."""
    calm = [outcome for outcome in outcomes if outcome.trial.scenario == "calm"]
    activities = sorted({outcome.trial.events_per_second for outcome in calm})
    rows = []
    for budget in BUDGETS:
        for activity in activities:
            its = [o for o in calm if o.trial.events_per_second == activity]
            rows.append(_realised(budget, activity, its))
    return rows


def _realised(budget: float, activity: float, outcomes: Sequence[Outcome]) -> Realised:
    by_trial = [
        (openings(a for a in outcome.likely if a.budget_per_day <= budget), outcome)
        for outcome in outcomes
    ]
    false, days = zip(*(false_and_exposed(*its) for its in by_trial), strict=True)
    told, all_days = zip(*(false_and_exposed(*its, excuse=False) for its in by_trial), strict=True)
    return Realised(
        budget, activity, sum(days), sum(false), rate(false, days), rate(told, all_days)
    )
