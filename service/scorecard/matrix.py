"""The trials of a scorecard: scenarios, strengths, seeds and activities.

Constants may be tuned on the tuning seeds. Figures are reported on other seeds, which are not used
for tuning.
"""

from collections.abc import Sequence
from itertools import product
from typing import Literal

from msgspec import Struct

from service.exchange.scenarios.catalogue import SCENARIOS

TUNING_FIRST_SEED = 1
REPORTING_FIRST_SEED = 200_001
"""The two ranges do not overlap: no run has a hundred thousand seeds."""

SEEDS_APART = 1_000
"""Each scenario and form has its own seeds. Before the injection, the same seed gives the same
market."""

MUST_ALARM = (
    "cancel_burst",
    "quote_stuffing",
    "layering",
    "leverage_buildup",
    "leverage_jump",
    "draining_book",
    "spread_blowout",
    "cascade",
    "leverage_creep",
    "leverage_rush",
    "pulled_book",
    "spoofing",
    "thin_clustering",
    "flash_crash",
    "market_wide",
)
"""The scenarios that must raise an alarm."""

MUST_NOT_ALARM = (
    "surge",
    "big_trade",
    "volatility_regime",
    "requote_rhythm",
    "lull",
    "opening_burst",
    "first_minutes",
    "long_lull",
    "quiet_listing",
    "feed_gap",
    "auction",
    "halt",
    "expiry",
)
"""The scenarios in which every alarm is false."""

REGIMES = ("activity_regime",)
"""Lasting, ordinary changes. Alarms are false here too, and after a while the rate must be within
the budget."""

POSITIONS = (
    "cross_cascade",
    "maker_cascade",
    "insured_stress",
    "exhausted_fund",
    "deep_open_interest",
    "far_leverage",
    "stop_run",
    "margin_raise",
)
"""The scenarios of the risk of positions. The detectors of order flow are not judged on them; a
scorecard of order flow leaves them out unless they are named."""

CONDUCT = (
    "parameter_shock",
    "parameter_flap",
    "margin_step",
    "costly_liquidation",
    "slow_mark",
    "broken_mark",
    "unfair_liquidation",
    "over_liquidation",
    "stepped_liquidation",
)
"""The scenarios of the venue's conduct, which a scorecard of order flow leaves out likewise."""

FEEDS = ("sequence_gap", "frozen_cancels", "ghost_orders", "stale_references", "blind_cascade")
"""The scenarios that must raise a feed incident, not a market alarm."""

STRENGTHS = (1.0, 0.5)
"""Nominal, and a weak form that a good detector may miss."""

ACTIVITIES = (30.0, 10.0)
"""Events per second and symbol in calm conditions."""

START_SECONDS = 1_800.0
"""Calm time before the injection, so that the service knows the market."""

AFTERMATH_SECONDS = 420.0
"""Time observed after the injection; a cascade needs it."""

LONG_AFTERMATH_SECONDS = 1_800.0
LONG_AFTERMATH = ("opening_burst", "first_minutes", "long_lull")
"""Scenarios with a longer aftermath. They test whether a service that has seen its market begin or
reopen in this way is quiet once the market is normal."""

FROM_THE_BEGINNING = ("first_minutes",)
"""Scenarios that are judged from the first event, warm-up included: a service that has just started
must not raise an alarm on a market that has just started. In other scenarios the warm-up is
excluded. `quiet_listing` also begins with the stream; it is judged after the warm-up. Before
`opening_burst` the low flow lasts as long as the calm of other scenarios: the warm-up falls into it
or is not over at the opening, and the burst itself is judged."""

CALM_SECONDS = 21_600.0
SYMBOLS = {"calm": 4, "market_wide": 4, "quiet_listing": 1, "cross_cascade": 4}
"""Symbols per trial, if not two. A calm trial is one symbol-day: a quarter of a day of four
symbols. A quiet listing is alone, so that only its quiet time counts. A cross_cascade has symbols
that it does not spread to. A maker_cascade would seldom spread with them: what a trade in one
symbol does to the others is shared among them."""

Purpose = Literal["tuning", "reporting"]


class Trial(Struct, frozen=True):
    """One simulated and monitored market.

    ``events_per_second`` is the activity per symbol in calm conditions. ``false_alarms_per_day`` is
    the budget per symbol.
    """

    scenario: str
    seed: int
    strength: float = 1.0
    events_per_second: float = 30.0
    false_alarms_per_day: float = 1.0

    @property
    def start_seconds(self) -> float:
        """Start of the injection after the simulation's start.

        0 for scenarios that begin with the stream.
        """
        return START_SECONDS if SCENARIOS[self.scenario].start_seconds > 0 else 0.0

    @property
    def symbols(self) -> int:
        """The number of symbols. The injection affects the first symbol, or all symbols."""
        return SYMBOLS.get(self.scenario, 2)

    @property
    def seconds(self) -> float:
        """The simulated market time."""
        if self.scenario == "calm":
            return CALM_SECONDS
        after = LONG_AFTERMATH_SECONDS if self.scenario in LONG_AFTERMATH else AFTERMATH_SECONDS
        return self.start_seconds + SCENARIOS[self.scenario].length_seconds + after


def first_seed(purpose: Purpose) -> int:
    """The first seed of a purpose."""
    return TUNING_FIRST_SEED if purpose == "tuning" else REPORTING_FIRST_SEED


def trials(
    scenarios: tuple[str, ...],
    *,
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    activities: Sequence[float] = ACTIVITIES,
    false_alarms_per_day: float,
) -> list[Trial]:
    """The trials of a scorecard, longest first: ``seeds`` trials of each scenario and form.

    ``calm_days`` is the number of calm symbol-days, spread in turn over ``activities`` (events per
    second and symbol in calm conditions).
    """
    first = first_seed(purpose)
    planned = [
        Trial("calm", first + n, 1.0, activities[n % len(activities)], false_alarms_per_day)
        for n in range(calm_days)
    ]
    for position, name in enumerate(SCENARIOS):
        if name not in scenarios or name == "calm":
            continue
        strengths = STRENGTHS if name in MUST_ALARM else STRENGTHS[:1]
        planned += [
            Trial(
                name,
                first + SEEDS_APART * (position * len(STRENGTHS) + form) + n,
                strength,
                activity,
                false_alarms_per_day,
            )
            for (form, strength), activity, n in product(
                enumerate(strengths), activities, range(seeds)
            )
        ]
    return planned


def trials_of_forms(
    forms: Sequence[tuple[str, float]],
    scenarios: Sequence[str],
    first: int,
    *,
    seeds: int,
    calm_days: int,
    activities: Sequence[float],
    false_alarms_per_day: float,
) -> list[Trial]:
    """The trials of scenarios in some forms, after calm ones; longest first.

    Parameters
    ----------
    forms
        Scenarios with a strength. The seeds of a form depend on its place.
    scenarios
        The scenarios that are wanted.
    first
        The first seed.
    seeds, calm_days, activities, false_alarms_per_day
        As for `trials`.
    """
    planned = [
        Trial("calm", first + n, 1.0, activities[n % len(activities)], false_alarms_per_day)
        for n in range(calm_days)
    ]
    for place, (name, strength) in enumerate(forms, start=1):
        if name in scenarios:
            planned += [
                Trial(name, first + SEEDS_APART * place + n, strength, rate, false_alarms_per_day)
                for rate, n in product(activities, range(seeds))
            ]
    return planned
