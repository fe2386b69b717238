"""The trials of the audit: the clean venue, each breach, and breaches of several sizes."""

from collections.abc import Sequence

from msgspec import Struct

from service.exchange.breaches import BREACHES
from service.scorecard.audit.markets import MARKETS
from service.scorecard.audit.trial import AuditTrial
from service.scorecard.matrix import SEEDS_APART, Purpose, first_seed

MARKET_OF = {
    "takeover_first": "fund",
    "needless_adl": "fund",
    "excessive_adl": "adl",
    "reversed_adl": "adl",
    "other_adl": "adl",
    "no_notice": "margins",
    "no_reason": "margins",
    "silent_raise": "margins",
    "liquidates_in_halts": "halt",
    "takes_equity": "fund",
    "wicks": "raises",
    "less_initial_margin": "access",
    "dominant_source": "access",
    "leaves_debts": "access",
    "large_rebate": "access",
    "clients_throttled": "access",
    "slow_answers": "access",
    "slow_and_wide": "access",
    "constant_retries": "access",
    "accepts_in_halts": "access",
    "rearms_itself": "access",
    "time_goes_back": "access",
}
"""Where a breach shows; in the market `book` if it is not here."""

SIZES: dict[str, tuple[float, ...]] = {
    "takes_too_much": (0.005, 0.02, 0.05, 0.2),
    "takes_too_little": (0.005, 0.02, 0.05, 0.2),
    "early": (0.001, 0.01, 0.05),
    "late": (3.0, 5.0, 8.0, 12.0),
    "small_wait": (1.0, 2.0, 3.0),
    "lagging_mark": (0.5, 1.0, 2.0),
    "silent_window": (20.0, 40.0, 60.0),
    "wrong_liquidation_price": (0.00005, 0.0002, 0.0005),
    "double_fee": (0.01, 0.1),
    "excessive_adl": (0.001, 0.01),
    "trades_through": (1,),
    "rare_references": (2.0, 3.0),
    "lost_events": (0.00001, 0.0001),
    "hidden_orders": (1000, 300),
}
"""Sizes at which breaches are measured beside the usual one, in the unit of the breach."""

_FIRST = 200 * SEEDS_APART
"""The seeds of the scorecards of order flow and of positions end before this one."""


class Plan(Struct, frozen=True):
    """How many trials of each kind, and how long each is, in seconds."""

    seeds: int
    clean: int
    seconds: float
    breaches: tuple[str, ...] = tuple(BREACHES)


def trials(plan: Plan, purpose: Purpose) -> list[AuditTrial]:
    """The trials of a plan; clean runs go around the markets.

    That of the venue's conduct has the same seeds, and other markets. Breaches share theirs: each
    meets the same markets.
    """
    first = first_seed(purpose) + _FIRST
    names = tuple(MARKETS)
    planned = [
        AuditTrial(names[n % len(names)], "", None, first + n, plan.seconds)
        for n in range(plan.clean)
    ]
    seeds: Sequence[int] = range(first + SEEDS_APART, first + SEEDS_APART + plan.seeds)
    for name in plan.breaches:
        for amount in (None, *SIZES.get(name, ())):
            planned += [
                AuditTrial(MARKET_OF.get(name, "book"), name, amount, seed, plan.seconds)
                for seed in seeds
            ]
    return planned
