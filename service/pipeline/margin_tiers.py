"""The rules of a list of margin tiers that its types cannot express."""

from collections.abc import Sequence
from itertools import pairwise

from detectors.market_data.events import Tier


def tiers_problem(tiers: Sequence[Tier]) -> tuple[str, str] | None:
    """Return the field that breaks a rule and a sentence about it; None if all rules hold.

    The bounds rise, and only the last tier may have none. Rates do not fall from one tier to the
    next, and an initial rate is not below the maintenance rate.

    >>> tiers_problem([Tier(up_to_notional=5e4, maintenance_rate=0.1), Tier(maintenance_rate=0.2)])
    >>> tiers_problem([Tier(maintenance_rate=0.02), Tier(maintenance_rate=0.01)])[0]
    'tiers[0].up_to_notional'
    """
    for number, tier in enumerate(tiers):
        if tier.up_to_notional is None and number < len(tiers) - 1:
            return _at(number, "up_to_notional", "is missing; only the last tier may have no bound")
        if tier.initial_rate is not None and tier.initial_rate < tier.maintenance_rate:
            sentence = (
                f"is {tier.initial_rate:g}; it must be at least the maintenance rate, "
                f"{tier.maintenance_rate:g}"
            )
            return _at(number, "initial_rate", sentence)
    highest_initial = 0.0
    for number, (lower, upper) in enumerate(pairwise(tiers), 1):
        if (
            upper.up_to_notional is not None
            and lower.up_to_notional is not None
            and upper.up_to_notional <= lower.up_to_notional
        ):
            return _below(number, "up_to_notional", upper.up_to_notional, "above that", lower)
        if upper.maintenance_rate < lower.maintenance_rate:
            return _below(
                number, "maintenance_rate", upper.maintenance_rate, "at least that", lower
            )
        highest_initial = max(highest_initial, lower.initial_rate or 0.0)
        if upper.initial_rate is not None and upper.initial_rate < highest_initial:
            sentence = (
                f"is {upper.initial_rate:g}; it must be at least that of the tiers before it, "
                f"{highest_initial:g}"
            )
            return _at(number, "initial_rate", sentence)
    return None


def _at(number: int, field: str, sentence: str) -> tuple[str, str]:
    return f"tiers[{number}].{field}", sentence


def _below(number: int, field: str, value: float, how: str, lower: Tier) -> tuple[str, str]:
    bound = getattr(lower, field)
    return _at(number, field, f"is {value:g}; it must be {how} of the tier before it, {bound:g}")
