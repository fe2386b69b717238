"""What single index sources could have moved: the index without each of them."""

import math
from collections.abc import Sequence

from detectors.audit.outcome import Case, Tally
from detectors.market_data.events import IndexSource, Reference

FIT_RATIO = 1e-4
"""An aggregate that is closer to the published index than this explains it."""


class SourceShifts:
    """Follows the sources of one symbol's index.

    The index is taken for the weighted mean or the weighted median of its sources, whichever
    explains the published one. The shift of a source is how far the index is from that of all
    others; with a mark that follows the index, the mark follows the shift.

    Attributes
    ----------
    tally
        References with at least two sources; a breach has a source whose shift is beyond the limit.
    largest_bps, name
        The largest shift, and its source.
    unexplained
        References whose index is neither aggregate.
    oldest_seconds
        The largest age of a source.
    """

    __slots__ = (
        "_limit_bps", "_symbol", "largest_bps", "name", "oldest_seconds", "tally", "unexplained",
    )  # fmt: skip

    def __init__(self, symbol: str, limit_bps: float | None) -> None:
        self._symbol = symbol
        self._limit_bps = math.inf if limit_bps is None else limit_bps
        self.tally = Tally()
        self.largest_bps = 0.0
        self.name = ""
        self.unexplained = 0
        self.oldest_seconds = 0.0

    def on_reference(self, reference: Reference) -> None:
        """Compare the index with what it would be without each source."""
        sources, index = reference.index_sources, reference.index_price
        if sources is None or index is None:
            return
        ages = [its.age_ns for its in sources if its.age_ns is not None]
        self.oldest_seconds = max(self.oldest_seconds, max(ages, default=0) / 1e9)
        if len(sources) < 2:
            self._count(reference, math.inf, sources[0].name, "is the only source of the index")
            return
        mean, median = weighted_mean(sources), weighted_median(sources)
        by_median = abs(median - index) < abs(mean - index)
        aggregate = weighted_median if by_median else weighted_mean
        if abs((median if by_median else mean) / index - 1.0) > FIT_RATIO:
            self.unexplained += 1
        worst, name = 0.0, sources[0].name
        for its in sources:
            others = [other for other in sources if other is not its]
            shift = abs(aggregate(sources) / aggregate(others) - 1.0) * 1e4
            if shift > worst:
                worst, name = shift, its.name
        self._count(reference, worst, name, f"moves the index by {worst:.2f} bps")

    def _count(self, reference: Reference, shift_bps: float, name: str, what: str) -> None:
        if shift_bps > self.largest_bps:
            self.largest_bps, self.name = shift_bps, name
        if shift_bps <= self._limit_bps:
            self.tally.held()
            return
        story = f"source {name} {what}"
        size = min(shift_bps, 1e9)
        self.tally.breach(Case(reference.ts_event, self._symbol, "", size, 0.0, story))


def weighted_mean(sources: Sequence[IndexSource]) -> float:
    """Return the weighted mean price; without any positive weight all weigh the same.

    >>> of = IndexSource
    >>> weighted_mean([of(name="a", price=100.0, weight=3.0), of(name="b", price=104.0, weight=1)])
    101.0
    """
    weights = _weights(sources)
    return math.fsum(w * its.price for w, its in zip(weights, sources, strict=True)) / sum(weights)


def weighted_median(sources: Sequence[IndexSource]) -> float:
    """Return the lower weighted median price.

    >>> of = IndexSource
    >>> weighted_median([of(name=str(p), price=p) for p in (1.0, 2.0, 90.0)])
    2.0
    """
    pairs = sorted(zip((its.price for its in sources), _weights(sources), strict=True))
    half, total = math.fsum(weight for _, weight in pairs) / 2.0, 0.0
    for price, weight in pairs:
        total += weight
        if total >= half * (1.0 - 1e-12):
            return price
    return pairs[-1][0]


def _weights(sources: Sequence[IndexSource]) -> list[float]:
    weights = [1.0 if its.weight is None else its.weight for its in sources]
    return weights if sum(weights) > 0.0 else [1.0] * len(sources)
