"""The parameters of detection that a user may set."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from detectors.detector import Detector
from detectors.feed.checks import FeedLimits
from detectors.incidents.suppression import Suppression, applies, budget_per_day
from detectors.market_data.quantities import QuantityMeaning
from detectors.venue.calendar import Calendar

INDEPENDENT_RATIO = 0.6
"""The effective number of independent statistics, as a share of the statistics of a symbol. Their
alarms coincide (the effective number of tests: Nyholt, 2004)."""


def effective_tests(detectors: Iterable[Detector]) -> float:
    """Return the effective number of tests: each may raise the budget over this number."""
    return max(1.0, INDEPENDENT_RATIO * sum(len(its.statistics) for its in detectors))


class Parameters(Struct, frozen=True, kw_only=True):
    """The parameters of a symbol's monitor.

    ``false_alarms_per_day`` is the budget per symbol and day, shared by the detectors. Foreshock
    learns ``warmup_bars`` bars before it judges the first one. An incident resolves after
    ``quiet_ns`` without an alarm. ``max_orders`` and ``max_accounts`` bound the memory of a symbol.
    ``suppression`` defines the suppressed alarms and the symbols with another budget. ``feed``
    holds the limits of the feed checks. ``nonpositive_prices`` holds patterns of the symbols whose
    prices may be zero or negative: their distances are in ticks and their amounts in quantity.
    ``quantities`` is what the quantities of the venue's events mean.
    ``calendar`` holds the sessions and expiries of symbols. ``summarises_books`` says whether
    signals hold a summary of the book, for the risk of positions.
    """

    bar_ns: int = 1_000_000_000
    false_alarms_per_day: float = 1.0
    warmup_bars: int = 240
    quiet_ns: int = 60_000_000_000
    max_orders: int = 100_000
    max_accounts: int = 1_024
    suppression: Suppression = Suppression()
    feed: FeedLimits = FeedLimits()
    nonpositive_prices: tuple[str, ...] = ()
    quantities: QuantityMeaning = QuantityMeaning()
    calendar: Calendar = Calendar()
    summarises_books: bool = False

    @property
    def bar_seconds(self) -> float:
        """The length of a bar in seconds."""
        return self.bar_ns / 1e9

    def of(self, symbol: str) -> "Parameters":
        """Return the parameters of one symbol, with the budget of that symbol."""
        budget = budget_per_day(self.suppression, symbol, self.false_alarms_per_day)
        return replace(self, false_alarms_per_day=budget)

    def prices_in_ticks(self, symbol: str) -> bool:
        """Whether a symbol's prices may be zero or negative."""
        return applies(self.nonpositive_prices, symbol)
