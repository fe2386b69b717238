"""What a user may set about detection."""

from msgspec import Struct
from msgspec.structs import replace

from detectors.feed.checks import FeedLimits
from detectors.incidents.suppression import Suppression, budget_per_day

INDEPENDENT_RATIO = 0.6
"""The detectors of a symbol spend its budget like so many of their number that have nothing to do
with each other: a book that is thin is often fading too, and some never rise in calm. Chosen on the
scorecard's tuning seeds (the effective number of tests: Nyholt, 2004)."""


def share_per_day(false_alarms_per_day: float, detectors: int) -> float:
    """The false alarms a day that each of a symbol's detectors may raise under its budget.

    >>> share_per_day(1.5, 5)
    0.5
    >>> share_per_day(1.5, 1)
    1.5
    """
    return false_alarms_per_day / max(1.0, INDEPENDENT_RATIO * detectors)


class Parameters(Struct, frozen=True, kw_only=True):
    """How symbols are watched.

    ``false_alarms_per_day`` is the budget a symbol and day, shared by the detectors.
    ``warmup_bars`` are learned before anything is judged. An incident resolves after
    ``quiet_ns`` without an alarm. ``max_orders`` and ``max_accounts`` bound a symbol's memory.
    ``suppression`` says which alarms are not wanted, and which symbols have another budget;
    ``feed`` what counts against a symbol's inputs.
    """

    bar_ns: int = 1_000_000_000
    false_alarms_per_day: float = 1.0
    warmup_bars: int = 240
    quiet_ns: int = 60_000_000_000
    max_orders: int = 100_000
    max_accounts: int = 1_024
    suppression: Suppression = Suppression()
    feed: FeedLimits = FeedLimits()

    @property
    def bar_seconds(self) -> float:
        """The length of a bar in seconds."""
        return self.bar_ns / 1e9

    def of(self, symbol: str) -> "Parameters":
        """How one symbol is watched: with the budget that is its own."""
        budget = budget_per_day(self.suppression, symbol, self.false_alarms_per_day)
        return replace(self, false_alarms_per_day=budget)
