"""The trials of the risk of positions, and what each scenario must do."""

from collections.abc import Sequence

from service.scorecard.matrix import (
    POSITIONS,
    SEEDS_APART,
    STRENGTHS,
    Purpose,
    Trial,
    first_seed,
    trials_of_forms,
)

SCENARIOS = ("cascade", *POSITIONS)
"""The scenarios that are measured; `calm` comes with them."""

MUST_NOT_ALARM = ("deep_open_interest", "far_leverage", "stop_run")
"""Nobody is liquidated there."""

MUST_NOT_BE_CRITICAL = ("insured_stress",)
"""Accounts go bankrupt there, and the insurance fund bears it."""

SIZES = (1.0, 0.75, 0.5)
"""The strengths of the scenario `cascade`: cascades of several sizes."""

_FIRST = 100 * SEEDS_APART
"""The seeds of the other scorecards end before this one."""


def trials(
    scenarios: Sequence[str],
    *,
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    activities: Sequence[float],
    false_alarms_per_day: float,
) -> list[Trial]:
    """The trials, longest first. The arguments are those of `service.scorecard.matrix.trials`.

    No other scorecard has the same seeds.
    """
    forms = [
        (name, strength)
        for name in SCENARIOS
        for strength in (SIZES if name == "cascade" else STRENGTHS[:1])
    ]
    return trials_of_forms(
        forms,
        scenarios,
        first_seed(purpose) + _FIRST,
        seeds=seeds,
        calm_days=calm_days,
        activities=activities,
        false_alarms_per_day=false_alarms_per_day,
    )
