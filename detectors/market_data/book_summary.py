"""The summary of a symbol's book and flow in one bar, for those who do not see its orders.

The risk of positions is computed for the whole venue in one place. This is all that it needs from
the books.
"""

from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from detectors.market_data.bar import BookState
from detectors.market_data.book import Book

DEPTH_BPS = (10.0, 25.0, 50.0, 100.0)
"""The distances from the mid price within which a summary states depth."""


MANY_PIECES = 5
"""An aggressor's order that is filled by so many trades is one of many pieces."""


@dataclass(slots=True)  # written with every trade, which costs a Struct twice as much
class Aggressors:
    """What the aggressors of a bar's trades did; notional is in the quote currency.

    Attributes
    ----------
    bought, sold
        Notional by the side of the aggressor.
    forced_bought, forced_sold
        The part of accounts that the venue was liquidating.
    further
        Number of trades that belong to the order of the trade before them. The others are the first
        of their orders; trades without the taker's order id are an order each.
    pieced_orders
        Number of orders with `MANY_PIECES` trades or more.
    walked
        How much worse than the first price of their orders the later trades were.
    taker, first_price, pieces
        The order of the last trade, the price of its first one, and the number of its trades.
    """

    bought: float = 0.0
    sold: float = 0.0
    forced_bought: float = 0.0
    forced_sold: float = 0.0
    further: float = 0.0
    pieced_orders: float = 0.0
    walked: float = 0.0
    taker: str | None = None
    first_price: float = 0.0
    pieces: int = 0


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
    last_price
        The price of the last trade; 0 without one in the bar.
    taker_orders, pieced_orders
        Orders of aggressors, and those of them that many trades filled; see `Aggressors`.
    shortfall
        What the aggressors paid beyond the mid price at the arrival of their orders: half the
        spread at the start of the bar, and what they paid beyond the first price of each order.
    """

    mid: float
    spread_bps: float
    bid_depth: tuple[float, float, float, float]
    ask_depth: tuple[float, float, float, float]
    bought: float = 0.0
    sold: float = 0.0
    forced_bought: float = 0.0
    forced_sold: float = 0.0
    last_price: float = 0.0
    taker_orders: float = 0.0
    pieced_orders: float = 0.0
    shortfall: float = 0.0


def book_summary(
    book: Book,
    state: BookState,
    aggressors: Aggressors,
    *,
    taker_orders: float = 0.0,
    opening_spread_bps: float = 0.0,
    last_price: float = 0.0,
) -> BookSummary:
    """Return the summary of a book whose state at the end of a bar is ``state``.

    The first trade of an order is at the best price of its arrival, half a spread from the mid
    price. So the shortfall against that needs no mid price for each order.

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
        last_price,
        taker_orders,
        aggressors.pieced_orders,
        aggressors.walked + (aggressors.bought + aggressors.sold) * opening_spread_bps / 2e4,
    )


def joined(before: BookSummary, after: BookSummary) -> BookSummary:
    """Return two summaries of one symbol as one: the later book, and the flow of both."""
    return replace(
        after,
        bought=before.bought + after.bought,
        sold=before.sold + after.sold,
        forced_bought=before.forced_bought + after.forced_bought,
        forced_sold=before.forced_sold + after.forced_sold,
        taker_orders=before.taker_orders + after.taker_orders,
        pieced_orders=before.pieced_orders + after.pieced_orders,
        shortfall=before.shortfall + after.shortfall,
        last_price=after.last_price or before.last_price,
    )
