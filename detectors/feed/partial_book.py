"""Recognise a feed that reports only part of the book, such as its best price levels.

Such a feed is silent about an order that leaves the reported part, and reports it again by its
cancel or trade. Both happen all the time: orders stay in the book after their end, until they cross
and Foreshock drops them as stale, and cancels and trades name orders that were never reported. A
feed that only loses cancels has stale orders without unknown orders. A start in the middle of a day
has unknown orders without stale orders.
"""

from msgspec import Struct

PARTIAL_BOOK = "partial_book_ratio"
"""The feature: the share of cancels and trades that name orders which were never reported."""

MEMORY_BARS = 3_600.0
"""The number of bars with events over which the counts forget."""

LEAST = 20.0
"""The number of stale orders, and of unknown orders, from which the book is partial."""

LEAST_SHARE = 0.01
"""The share of unknown orders from which the book is partial. A whole recorded feed has 0.002."""

RECOVERED = 0.25
"""The share of both limits below which the book is no longer partial."""


class PartialBook(Struct):
    """The evidence for a partial book; part of a snapshot.

    ``open_stale`` and ``open_unknown`` count the orders of the open bar: dropped as stale, and
    named by cancels and trades but unknown. ``stale``, ``unknown`` and ``ended`` are counts with
    exponential forgetting; ``ended`` counts cancels and trades.
    """

    open_stale: int = 0
    open_unknown: int = 0
    stale: float = 0.0
    unknown: float = 0.0
    ended: float = 0.0
    found: bool = False

    @property
    def share(self) -> float:
        """The share of cancels and trades that name unknown orders, at most 1."""
        return min(1.0, self.unknown / self.ended) if self.ended > 0.0 else 0.0

    @property
    def score(self) -> float:
        """The evidence divided by the least evidence of a partial book."""
        return min(self.stale / LEAST, self.unknown / LEAST, self.share / LEAST_SHARE)

    def close_bar(self, ended: int) -> bool:
        """End a bar with ``ended`` cancels and trades; return whether the book is partial."""
        keep = 1.0 - 1.0 / MEMORY_BARS
        self.stale = self.stale * keep + self.open_stale
        self.unknown = self.unknown * keep + self.open_unknown
        self.ended = self.ended * keep + ended
        self.open_stale = self.open_unknown = 0
        least = RECOVERED if self.found else 1.0
        self.found = self.stale >= least * LEAST and self.score >= least
        return self.found

    def describe(self) -> str:
        """Return the condition and its explanation."""
        return (
            f"the feed reports only part of the book (such as its best levels): {self.share:.1%} "
            f"of cancels and trades name unreported orders, {self.stale:,.0f} orders ended "
            "unreported"
        )
