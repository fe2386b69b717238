"""Which detectors of the venue's conduct must find something in which scenario, and which nothing.

A scenario that is in neither list of a detector says nothing about it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from service.scorecard.matrix import SEEDS_APART, Purpose, Trial, first_seed, trials_of_forms


class Case(NamedTuple):
    """The scenarios of a detector: those in which it must alarm, and those in which it must not."""

    detector: str
    must: tuple[str, ...]
    must_not: tuple[str, ...]


CASES: tuple[Case, ...] = (
    Case(
        "mark_lag",
        must=("cascade", "slow_mark"),
        must_not=("big_trade", "volatility_regime", "stop_run"),
    ),
    Case("margin_change", must=("parameter_shock", "parameter_flap"), must_not=("margin_step",)),
    Case(
        "mark_rule_broken",
        must=("stale_references", "broken_mark"),
        must_not=("cascade", "slow_mark", "halt", "auction"),
    ),
    Case(
        "liquidation_fairness",
        must=("unfair_liquidation", "over_liquidation"),
        must_not=("cascade", "exhausted_fund", "cross_cascade", "stepped_liquidation"),
    ),
    Case(
        "execution_quality",
        must=("cascade", "cross_cascade"),
        must_not=("big_trade", "volatility_regime", "stop_run", "insured_stress"),
    ),
    Case(
        "fee_incentives",
        must=("costly_liquidation",),
        must_not=("cascade", "exhausted_fund", "insured_stress"),
    ),
    Case(
        "adl",
        must=("exhausted_fund",),
        must_not=("big_trade", "volatility_regime", "stop_run", "insured_stress"),
    ),
)
"""All cases. In calm markets no detector may alarm."""

SCENARIOS = tuple(dict.fromkeys(name for case in CASES for name in (*case.must, *case.must_not)))
"""The scenarios that are measured; `calm` comes with them."""

DECLARED = ("over_liquidation", "stepped_liquidation")
"""The scenarios in which the venue's rule of liquidations is declared in the settings. In the
others the settings have their default, by which whole positions are closed."""

_FIRST = 200 * SEEDS_APART
"""The seeds of the scorecards of order flow and of positions end before this one."""


def trials(
    scenarios: Sequence[str],
    *,
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    activities: Sequence[float],
    false_alarms_per_day: float,
) -> list[Trial]:
    """The trials, longest first. The arguments are those of `service.scorecard.matrix.trials`."""
    return trials_of_forms(
        [(name, 1.0) for name in SCENARIOS],
        scenarios,
        first_seed(purpose) + _FIRST,
        seeds=seeds,
        calm_days=calm_days,
        activities=activities,
        false_alarms_per_day=false_alarms_per_day,
    )
