"""The orders that really rest in a recorded book, as far as the whole recording tells.

A feed that reports only the best levels does not report the end of an order that has left them. A
book built from such a feed keeps these orders for ever ("ghosts"), and its touch goes through the
market. An episode placed there would be far from the real touch. A recording can be read to its end
first: an order whose end is recorded certainly rests until then. An order without one may be a
ghost.
"""

from collections.abc import Collection, Iterable

from detectors.market_data.book import Book
from detectors.market_data.events import Event, Order, Trade
from service.scorecard.background import MAX_ORDERS, SECOND, apply_event

DOUBTFUL_NS = 60 * SECOND
"""An order without a recorded end is believed to rest for this long. Most orders near the touch
live for seconds."""


def ghosts(events: Iterable[Event]) -> set[str]:
    """The ids of the orders of one symbol that ended, but whose end is not recorded.

    They rest for ever in the recorded book, although the market has gone through them.
    """
    recorded = list(events)
    book = Book(MAX_ORDERS)
    for event in recorded:
        apply_event(book, event)
    endless = LiveBook(book.orders, doubtful_ns=None)
    for event in recorded:
        endless.apply(event)
    return endless.dropped


class LiveBook(Book):
    """The book of one recorded symbol without its ghosts.

    A doubtful order is dropped when the market has gone through it: an opposing order is placed at
    its price or beyond, or a trade takes place beyond it. It is also dropped after a time.

    Parameters
    ----------
    doubtful
        The ids of the orders that may be ghosts, see `ghosts`.
    doubtful_ns
        The time after which a doubtful order is dropped in any case. None means never.

    Attributes
    ----------
    dropped
        The ids of the orders that were dropped.
    """

    __slots__ = ("_doubtful", "_doubtful_ns", "_waiting", "dropped")

    def __init__(
        self, doubtful: Collection[str] = (), *, doubtful_ns: int | None = DOUBTFUL_NS
    ) -> None:
        super().__init__(MAX_ORDERS)
        self.dropped: set[str] = set()
        self._doubtful = doubtful
        self._doubtful_ns = doubtful_ns
        # The doubtful orders in the book and when they were placed, in this order.
        self._waiting: dict[str, int] = {}

    def apply(self, event: Event) -> None:
        """Apply an event, and drop what it shows to be a ghost."""
        if self._doubtful_ns is not None:
            self._drop_old(event.ts_event - self._doubtful_ns)
        if isinstance(event, Trade):
            # Whoever sells takes the highest bid first.
            self._drop_through(event.price, bids=event.side == "sell", beyond=True)
        elif isinstance(event, Order) and event.price is not None and event.type != "market":
            self._drop_through(event.price, bids=event.side == "sell", beyond=False)
        apply_event(self, event)
        if isinstance(event, Order) and event.order_id in self.orders:
            self._waiting.pop(event.order_id, None)
            if event.order_id in self._doubtful:
                self._waiting[event.order_id] = event.ts_event

    def _drop_old(self, before_ns: int) -> None:
        gone = []
        for order_id, placed_ns in self._waiting.items():
            if placed_ns > before_ns:
                break
            gone.append(order_id)
        for order_id in gone:
            self._drop(order_id)

    def _drop_through(self, price: float, *, bids: bool, beyond: bool) -> None:
        """Drop the doubtful orders of a side that are better than a price, or at it."""
        side = self.bids if bids else self.asks
        best = side.best
        if best is None or side.sign * best < side.sign * price or (beyond and best == price):
            return
        gone = [
            order_id
            for order_id in self._waiting
            if (order := self.orders.get(order_id)) is not None
            and order.is_buy == bids
            and (
                side.sign * order.price > side.sign * price or (not beyond and order.price == price)
            )
        ]
        for order_id in gone:
            self._drop(order_id)

    def _drop(self, order_id: str) -> None:
        del self._waiting[order_id]
        if self.take(order_id, None) is not None:
            self.dropped.add(order_id)


def apply_to(book: Book, event: Event) -> None:
    """Apply an event to a book of either kind."""
    if isinstance(book, LiveBook):
        book.apply(event)
    else:
        apply_event(book, event)
