"""Bars: the flow of one symbol in one interval and over recent spans, and the state of its book.

A bar holds sums of the flow, and the state of the book at both ends.
"""

from msgspec import Struct

from detectors.market_data.book import BANDS_SPREADS, Book
from detectors.market_data.flow import Flow
from detectors.market_data.windows import Recent

NEAR_BAND = BANDS_SPREADS.index(5.0)
"""The band of the book that is "near" the touch: five typical spreads."""

YOUNG_NS = 50_000_000
"""The largest age of a "young" order at its cancellation. Only a trader who had already decided to
trade could have traded with it (short-lived orders: Hasbrouck and Saar, 2009, use two seconds;
quote stuffing takes milliseconds: Egginton, Van Ness and Van Ness, 2016)."""

WIDEST_SPREAD_BPS = 1_000.0
"""The spread of a book with an empty side, and the upper limit of any spread."""


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
    def near_depth(self) -> float:
        """The depth of both sides within `NEAR_BAND`."""
        return self.bid_depth[NEAR_BAND] + self.ask_depth[NEAR_BAND]

    @property
    def depth(self) -> tuple[float, float, float]:
        """The depth of both sides within each band."""
        (a, b, c), (d, e, f) = self.bid_depth, self.ask_depth
        return (a + d, b + e, c + f)


class Bar(Struct, frozen=True):
    """A closed bar of one symbol, for the interval [starts_at, ends_at).

    ``span_sums`` holds the amounts of a Flow for each of SPANS_SECONDS, including this interval;
    see ``spans``. ``opened`` and ``closed`` are None until the book has had both sides once.
    ``usual_depth`` is the baseline of the notional near the touch on both sides; 0 while unknown.
    ``typical_spread`` is the median spread in bps, or in ticks; 0 while unknown.
    ``smooth_log_depth`` is the logarithm of depth over usual depth, smoothed over
    DEPTH_SPANS_SECONDS. ``recent`` holds the sums over the last seconds. ``layered`` and
    ``spoofed`` are the largest sums of one account, see `detectors.market_data.large_orders`; None
    where no order states one.
    """

    symbol: str
    starts_at: int
    ends_at: int
    flow: Flow
    span_sums: list[list[float]]
    opened: BookState | None
    closed: BookState | None
    usual_depth: float
    typical_spread: float
    smooth_log_depth: tuple[float, float, float]
    recent: Recent
    layered: float | None
    spoofed: float | None

    @property
    def spans(self) -> tuple[Flow, ...]:
        """The flow sums of SPANS_SECONDS, with exponential forgetting."""
        return tuple(Flow(*sums) for sums in self.span_sums)


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


def spread_of(state: BookState | None) -> float:
    """Return the spread of a book with both sides; 0 without them."""
    if state is None or state.spread_bps >= WIDEST_SPREAD_BPS:
        return 0.0
    return state.spread_bps
