"""What a scorecard runs: which scenarios, how strong, on which seeds, at which activity.

Constants may be chosen by looking at the tuning seeds; figures are reported on others, which
nobody has looked at.
"""

from collections.abc import Sequence
from itertools import product
from typing import Literal

from msgspec import Struct

from service.exchange.scenarios.catalogue import SCENARIOS

TUNING_FIRST_SEED = 1
REPORTING_FIRST_SEED = 200_001
"""The two never meet: no run has a hundred thousand seeds."""

SEEDS_APART = 1_000
"""Each scenario and form has seeds of its own: until it is provoked the same seed is the same
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
"""The scenarios that a risk team must be told of."""

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
)
"""The scenarios in which an alarm is false."""

REGIMES = ("activity_regime",)
"""Ordinary changes that last: an alarm is false here too, and after a while there should be no more
than the budget allows."""

FEEDS = ("sequence_gap", "frozen_cancels", "ghost_orders", "stale_references", "blind_cascade")
"""The scenarios in which it is the feed that must be told of, and not the market."""

STRENGTHS = (1.0, 0.5)
"""Nominal, and a weak form that a good detector may just miss."""

ACTIVITIES = (30.0, 10.0)
"""Events a second and symbol, in calm."""

START_SECONDS = 1_800.0
"""What is provoked begins after so long a calm: a service has seen its market before."""

AFTERMATH_SECONDS = 420.0
"""What follows the provocation is watched so long: a cascade needs it."""

LONG_AFTERMATH_SECONDS = 1_800.0
LONG_AFTERMATH = ("opening_burst", "first_minutes", "long_lull")
"""Where what follows is the question: whether a service that saw its market begin or reopen like
this is quiet once the market is as usual."""

FROM_THE_BEGINNING = ("first_minutes",)
"""Judged from the first event on, the warm-up included, which is what they try: a service that has
only just begun says nothing of a market that has, too. Elsewhere the warm-up is left out, so that
of `quiet_listing`, which begins with the stream as well, what follows the warm-up is judged. Before
`opening_burst` there is as much of hardly any flow as there is of calm elsewhere: the warm-up falls
into it, or is not over at the opening, and the burst itself is judged."""

CALM_SECONDS = 21_600.0
SYMBOLS = {"calm": 4, "market_wide": 4, "quiet_listing": 1}
"""How many symbols a trial has that does not have two. A calm one is one symbol-day: a quarter of a
day of four symbols; a quiet listing is alone, so that only its quiet counts."""

PEER_SEEDS_APART = 90_000
"""The peers' markets have seeds of their own, so far from the first of the purpose."""

Purpose = Literal["tuning", "reporting"]


class Trial(Struct, frozen=True):
    """One market that is simulated and watched.

    ``events_per_second`` is the activity of a symbol in calm; ``false_alarms_per_day`` the budget
    of a symbol.
    """

    scenario: str
    seed: int
    strength: float = 1.0
    events_per_second: float = 30.0
    false_alarms_per_day: float = 1.0

    @property
    def start_seconds(self) -> float:
        """When the provocation begins, after the simulation's start.

        What is about the beginning of a stream begins with it.
        """
        return START_SECONDS if SCENARIOS[self.scenario].start_seconds > 0 else 0.0

    @property
    def symbols(self) -> int:
        """How many symbols there are: the first is provoked, or all; the others are not."""
        return SYMBOLS.get(self.scenario, 2)

    @property
    def seconds(self) -> float:
        """The market time that is simulated."""
        if self.scenario == "calm":
            return CALM_SECONDS
        after = LONG_AFTERMATH_SECONDS if self.scenario in LONG_AFTERMATH else AFTERMATH_SECONDS
        return self.start_seconds + SCENARIOS[self.scenario].length_seconds + after


def first_seed(purpose: Purpose) -> int:
    """Where the seeds of a purpose begin."""
    return TUNING_FIRST_SEED if purpose == "tuning" else REPORTING_FIRST_SEED


def peer_markets(purpose: Purpose) -> list[Trial]:
    """The calm markets whose priors a trial's symbols start from: one at each activity.

    A trial begins with symbols that are new to a service that has watched others for some hours.
    """
    first = first_seed(purpose) + PEER_SEEDS_APART
    return [Trial("calm", first + n, 1.0, activity) for n, activity in enumerate(ACTIVITIES)]


def trials(
    scenarios: tuple[str, ...],
    *,
    purpose: Purpose,
    seeds: int,
    calm_days: int,
    activities: Sequence[float] = ACTIVITIES,
    false_alarms_per_day: float,
) -> list[Trial]:
    """The trials of a scorecard, the longest first: ``seeds`` of each scenario and form.

    ``calm_days`` is how many calm symbol-days are watched beside them, at each of ``activities``
    (events a second and symbol, in calm) in turn.
    """
    first = first_seed(purpose)
    found = [
        Trial("calm", first + n, 1.0, activities[n % len(activities)], false_alarms_per_day)
        for n in range(calm_days)
    ]
    for place, name in enumerate(SCENARIOS):
        if name not in scenarios or name == "calm":
            continue
        strengths = STRENGTHS if name in MUST_ALARM else STRENGTHS[:1]
        found += [
            Trial(
                name,
                first + SEEDS_APART * (place * len(STRENGTHS) + form) + n,
                strength,
                activity,
                false_alarms_per_day,
            )
            for (form, strength), activity, n in product(
                enumerate(strengths), activities, range(seeds)
            )
        ]
    return found
