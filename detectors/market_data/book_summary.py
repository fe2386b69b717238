"""The summary of a symbol's book and flow in one bar, for those who do not see its orders.

The risk of positions is computed for the whole venue in one place. This is all that it needs from
the books.
"""

from dataclasses import dataclass

from msgspec import Struct

from detectors.market_data.bar import BookState
from detectors.market_data.book import Book

DEPTH_BPS = (10.0, 25.0, 50.0, 100.0)
"""The distances from the mid price within which a summary states depth."""


@dataclass(slots=True)  # written with every trade, which costs a Struct twice as much
class Aggressors:
    """Notional of a bar's trades by the side of the aggressor, in the quote currency.

    The forced amounts are those of accounts that the venue was liquidating; the others include
    them.
    """

    bought: float = 0.0
    sold: float = 0.0
    forced_bought: float = 0.0
    forced_sold: float = 0.0


class BookSummary(Struct, frozen=True, gc=False):
    """A symbol's book at the end of a bar, and the flow in it.

    Prices are in the quote currency, all other amounts are notional in it. A bar without a summary
    had no event: its mid is the one before, and nothing traded.

    Attributes
    ----------
    mid
        The mid price; the last one while a side of the book is empty.
    spread_bps
        The spread; 1,000 while a side is empty.
    bid_depth, ask_depth
        The notional of all orders within each of `DEPTH_BPS` of the mid.
    bought, sold, forced_bought, forced_sold
        See `Aggressors`.
    """

    mid: float
    spread_bps: float
    bid_depth: tuple[float, float, float, float]
    ask_depth: tuple[float, float, float, float]
    bought: float = 0.0
    sold: float = 0.0
    forced_bought: float = 0.0
    forced_sold: float = 0.0


def book_summary(book: Book, state: BookState, aggressors: Aggressors) -> BookSummary:
    """Return the summary of a book whose state at the end of a bar is ``state``.

    >>> book = Book(max_orders=10)
    >>> book.add("a", is_buy=True, price=99.95, quantity=2.0, ts_event=0)
    >>> book.add("b", is_buy=False, price=100.05, quantity=1.0, ts_event=0)
    >>> state = BookState(100.0, 10.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    >>> summary = book_summary(book, state, Aggressors(sold=50.0))
    >>> summary.bid_depth, summary.sold
    ((199.9, 199.9, 199.9, 199.9), 50.0)
    """
    a, b, c, d = book.bids.depth(state.mid, DEPTH_BPS)
    e, f, g, h = book.asks.depth(state.mid, DEPTH_BPS)
    return BookSummary(
        state.mid,
        state.spread_bps,
        (a, b, c, d),
        (e, f, g, h),
        aggressors.bought,
        aggressors.sold,
        aggressors.forced_bought,
        aggressors.forced_sold,
    )
