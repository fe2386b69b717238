"""Bars: the flow of one symbol in one interval and over recent spans, and the state of its book.

A bar holds sums of the flow, and the state of the book at both ends. Sums with exponential
forgetting cover longer spans: a span of tau seconds weights an event of t seconds ago by
exp(-t / tau). Each span takes one row of numbers, whatever its length. An interval without events
costs nothing.
"""

import math
from dataclasses import fields
from operator import attrgetter

from msgspec import Struct

from detectors.market_data.book import BANDS_SPREADS, Book
from detectors.market_data.flow import Flow
from detectors.market_data.windows import Recent

SPANS_SECONDS = (5, 15, 60)
"""The spans of the flow sums, in addition to the bar itself: no single scale suffices."""

DEPTH_SPANS_SECONDS = (15, 60, 300)
"""The spans over which depth is smoothed: for a moving quote, a maker that left, a drain."""

NEAR_BAND = BANDS_SPREADS.index(5.0)
"""The band of the book that is "near" the touch: five typical spreads."""

YOUNG_NS = 50_000_000
"""The largest age of a "young" order at its cancellation. Only a trader who had already decided to
trade could have traded with it (short-lived orders: Hasbrouck and Saar, 2009, use two seconds;
quote stuffing takes milliseconds: Egginton, Van Ness and Van Ness, 2016)."""

WIDEST_SPREAD_BPS = 1_000.0
"""The spread of a book with an empty side, and the upper limit of any spread."""


_amounts = attrgetter(*(field.name for field in fields(Flow)))


class BookState(Struct, frozen=True, gc=False):
    """The book at one moment. Depths are notional within 2, 5 and 10 typical spreads.

    Where prices may be zero or negative, depths are quantities within as many ticks, and the spread
    is in ticks.
    """

    mid: float
    spread_bps: float
    bid_depth: tuple[float, float, float]
    ask_depth: tuple[float, float, float]

    @property
    def depth(self) -> tuple[float, float, float]:
        """The depth of both sides within each band."""
        (a, b, c), (d, e, f) = self.bid_depth, self.ask_depth
        return (a + d, b + e, c + f)


class Bar(Struct, frozen=True):
    """A closed bar of one symbol, for the interval [starts_at, ends_at).

    ``spans`` has a Flow for each of SPANS_SECONDS, including this interval. ``opened`` and
    ``closed`` are None until the book has had both sides once. ``usual_depth`` is the baseline of
    the notional near the touch on both sides; 0 while unknown. ``typical_spread`` is the median
    spread in bps, or in ticks; 0 while unknown. ``smooth_log_depth`` is
    the logarithm of depth over usual depth, smoothed over DEPTH_SPANS_SECONDS. ``recent`` holds
    the sums over the last seconds. ``layered`` and ``spoofed`` are the largest sums of one account,
    see `detectors.market_data.large_orders`; None where no order states one.
    """

    symbol: str
    starts_at: int
    ends_at: int
    flow: Flow
    spans: tuple[Flow, ...]
    opened: BookState | None
    closed: BookState | None
    usual_depth: float
    typical_spread: float
    smooth_log_depth: tuple[float, float, float]
    recent: Recent
    layered: float | None
    spoofed: float | None


class Spans:
    """The flow sums of SPANS_SECONDS, with exponential forgetting.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    """

    __slots__ = ("_decay", "sums")

    def __init__(self, bar_seconds: float) -> None:
        self._decay = [math.exp(-bar_seconds / span) for span in SPANS_SECONDS]
        self.clear()

    def clear(self) -> None:
        """Forget the flow so far."""
        self.sums = tuple(Flow() for _ in SPANS_SECONDS)

    def add(self, flow: Flow, bars: int) -> tuple[Flow, ...]:
        """Let ``bars`` intervals pass, the last of them with ``flow``, and return the new sums."""
        amounts = _amounts(flow)
        sums = []
        for decay, before in zip(self._decay, self.sums, strict=True):
            factor = decay**bars
            pairs = zip(_amounts(before), amounts, strict=True)
            sums.append(Flow(*[total * factor + amount for total, amount in pairs]))
        self.sums = tuple(sums)
        return self.sums


MIN_BASELINE = 1e-90
"""The smallest usual depth; a smaller one counts as zero. It is below the depth of any single
order: a baseline falls below it only after weeks of an empty book."""


class DepthState(Struct):
    """The learned state of a DepthBaseline; part of a snapshot."""

    bars: int = 0
    usual: float = 0.0
    smooth: tuple[float, float, float] = (0.0, 0.0, 0.0)


class DepthBaseline:
    """The usual depth of the book, and its smoothed recent depth.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    memory_seconds
        The time over which the usual depth forgets.
    """

    __slots__ = ("_fading", "_smoothing", "state")

    def __init__(self, bar_seconds: float, memory_seconds: float = 1_800.0) -> None:
        self._fading = bar_seconds / memory_seconds
        self._smoothing = [1.0 - math.exp(-bar_seconds / span) for span in DEPTH_SPANS_SECONDS]
        self.state = DepthState()

    def learn(self, depth: float) -> None:
        """Learn the depth of a bar: the notional near the touch on both sides."""
        state = self.state
        state.bars += 1
        # A plain mean at first: the first bar has no lasting weight.
        state.usual += max(self._fading, 1.0 / state.bars) * (depth - state.usual)
        if state.usual < MIN_BASELINE:
            state.usual = 0.0
        if state.usual > 0.0:
            log_depth = math.log(max(depth, 1e-3 * state.usual) / state.usual)
            a, b, c = self._smoothing
            short, middle, long = state.smooth
            state.smooth = (
                short + a * (log_depth - short),
                middle + b * (log_depth - middle),
                long + c * (log_depth - long),
            )


def book_state(book: Book, last_mid: float | None) -> BookState | None:
    """Return the state of a book.

    A book with an empty side has the mid ``last_mid``. Without a last mid the state is None. A book
    in ticks has no state until its tick is known.
    """
    mid, spread_bps = book.mid, book.spread_bps
    if mid is None or spread_bps is None:
        if last_mid is None or (book.in_ticks and not book.tick):
            return None
        mid, spread_bps = last_mid, WIDEST_SPREAD_BPS
    bids, asks = book.depths(mid)
    return BookState(
        mid=mid,
        spread_bps=min(spread_bps, WIDEST_SPREAD_BPS),
        bid_depth=(bids[0], bids[1], bids[2]),
        ask_depth=(asks[0], asks[1], asks[2]),
    )
