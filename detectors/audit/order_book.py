"""A symbol's book as the audit needs it: who owns the orders, what the feed gets wrong."""

import math
from collections import OrderedDict

from detectors.audit.outcome import Case, Tally
from detectors.market_data.book import Book
from detectors.market_data.events import Cancel, Order, Trade

MAX_ORDERS = 1_000_000
MAX_TAKERS = 10_000
"""Orders that do not rest are remembered until so many others have come."""

MAX_UNKNOWN = 100_000
"""Unknown orders that are remembered, so that each counts once."""

DEPTH_RATIO = 0.01
"""How far from the mid price the depth of a book is counted, as a ratio."""

ALMOST = 1e-9
"""Two quantities or prices whose relative difference is below this are equal."""


class Sent:
    """An order as it was sent."""

    __slots__ = ("account", "filled", "is_buy", "quantity", "reduce_only", "ts_event")

    def __init__(self, order: Order) -> None:
        self.account = order.account
        self.is_buy = order.side == "buy"
        self.quantity = order.quantity
        self.reduce_only = bool(order.reduce_only)
        self.ts_event = order.ts_event
        self.filled = 0.0


class Arrival:
    """A market order with what the book offered it: prices and quantities, and the mid price."""

    __slots__ = ("filled", "mid", "offered", "order_id", "paid", "selling", "trades")

    def __init__(self, order_id: str, *, selling: bool) -> None:
        self.order_id = order_id
        self.selling = selling
        self.offered: list[tuple[float, float]] = []
        self.mid = math.nan
        self.trades = 0
        self.filled = 0.0
        self.paid = 0.0


class OrderBook:
    """One symbol's resting orders with their owners.

    Attributes
    ----------
    mid
        The last mid price of a book that was not crossed; NaN while there is none.
    unknown
        Cancels and trades, counted as breaches if they name an order that was never published.
    outside
        Trades, counted as breaches if the resting order that they name has another price or side.
    """

    __slots__ = (
        "_book", "_gone", "_opened_ns", "_owned", "_sent", "_symbol", "mid", "outside", "unknown",
    )  # fmt: skip

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._book = Book(MAX_ORDERS)
        self._sent: OrderedDict[str, Sent] = OrderedDict()
        self._owned: dict[str, set[str]] = {}
        self._gone: dict[str, None] = {}
        self._opened_ns = 0
        self.mid = math.nan
        self.unknown = Tally()
        self.outside = Tally()

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        return self._book.crossed

    @property
    def crossed_mid(self) -> float:
        """The mid price while the book is crossed, as in an auction; else NaN."""
        mid = self._book.mid
        return mid if mid is not None and self._book.crossed else math.nan

    @property
    def two_sided(self) -> bool:
        """Whether both sides have orders."""
        return self._book.mid is not None

    @property
    def spread_bps(self) -> float | None:
        """The spread in bps of the mid price; None while a side is empty."""
        return self._book.spread_bps

    def sent(self, order_id: str | None) -> Sent | None:
        """Return a recent order, or one that rests."""
        return None if order_id is None else self._sent.get(order_id)

    def resting_of(self, account: str) -> int:
        """Return the number of resting orders of an account."""
        return len(self._owned.get(account, ()))

    def on_order(self, order: Order) -> None:
        """Enter an order; one with the same id is replaced."""
        self._opened_ns = self._opened_ns or order.ts_event
        self._remove(order.order_id, None)
        self._sent[order.order_id] = Sent(order)
        self._gone.pop(order.order_id, None)
        while len(self._sent) > MAX_TAKERS + len(self._book.orders):
            self._forget()
        if order.price is None or order.type == "market":
            return
        self._book.add(
            order.order_id, order.side == "buy", order.price, order.quantity, order.ts_event
        )
        if order.account is not None:
            self._owned.setdefault(order.account, set()).add(order.order_id)
        self._update_mid()

    def on_cancel(self, cancel: Cancel) -> None:
        """Withdraw an order."""
        self._count_known(cancel.order_id, cancel.ts_event, "a cancel")
        self._remove(cancel.order_id, cancel.quantity)
        self._update_mid()

    def on_trade(self, trade: Trade, *, is_auction: bool = False) -> None:
        """Fill the orders that a trade names; all trades of an auction have one price."""
        taker = self.sent(trade.taker_order_id)
        if taker is not None:
            taker.filled += trade.quantity
        maker_id = trade.maker_order_id
        if maker_id is not None:
            resting = self._book.orders.get(maker_id)
            self._count_known(maker_id, trade.ts_event, "a trade")
            if resting is not None and not is_auction:
                is_right = resting.is_buy == (trade.side == "sell") and math.isclose(
                    resting.price, trade.price, rel_tol=ALMOST
                )
                if is_right:
                    self.outside.held()
                else:
                    story = (
                        f"trade {trade.trade_id} at {trade.price:g} fills order {maker_id}, which "
                        f"rests at {resting.price:g}"
                    )
                    self.outside.breach(self._case(trade.ts_event, story))
            maker = self.sent(maker_id)
            if maker is not None:
                maker.filled += trade.quantity
            self._remove(maker_id, trade.quantity)
        if trade.taker_order_id is not None:
            self._remove(trade.taker_order_id, trade.quantity)
        self._update_mid()

    def clear(self, before_ns: int) -> None:
        """Remove the orders placed before a time: the venue has removed them all."""
        for order_id in [i for i, o in self._book.orders.items() if o.ts_event < before_ns]:
            self._remove(order_id, None)

    def offered(
        self, quantity: float, account: str | None, *, selling: bool
    ) -> list[tuple[float, float]]:
        """Return the prices and quantities that the visible book offers, up to a quantity.

        The account's own orders do not count: a venue does not let an account trade with itself.
        """
        side = self._book.bids if selling else self._book.asks
        own: dict[float, float] = {}
        for order_id in self._owned.get(account or "", ()):
            order = self._book.orders.get(order_id)
            if order is not None and order.is_buy == selling:
                own[order.price] = own.get(order.price, 0.0) + order.quantity
        left, found = quantity, []
        for signed in reversed(side.prices):
            price = side.sign * signed
            there = side.levels[price].quantity
            part = min(left, max(0.0, there - own[price]) if price in own else there)
            found.append((price, part))
            left -= part
            if left <= quantity * ALMOST:
                break
        return found

    def depth(self, account: str | None, *, selling: bool) -> float:
        """Return the quantity offered within `DEPTH_RATIO` of the mid price; NaN without a mid.

        As for `offered`, the account's own orders do not count.
        """
        if math.isnan(self.mid):
            return math.nan
        side = self._book.bids if selling else self._book.asks
        limit = side.sign * self.mid * (1.0 - side.sign * DEPTH_RATIO)
        total = 0.0
        for signed, level in zip(reversed(side.prices), reversed(side.ordered), strict=True):
            if signed < limit:
                break
            total += level.quantity
        for order_id in self._owned.get(account or "", ()):
            order = self._book.orders.get(order_id)
            if order is not None and order.is_buy == selling and side.sign * order.price >= limit:
                total -= order.quantity
        return max(0.0, total)

    def _update_mid(self) -> None:
        mid = self._book.mid
        if mid is not None and not self._book.crossed:
            self.mid = mid

    def _count_known(self, order_id: str, ts_event: int, what: str) -> None:
        if order_id in self._book.orders or order_id in self._sent:
            self.unknown.held()
        elif order_id not in self._gone:
            if len(self._gone) >= MAX_UNKNOWN:
                del self._gone[next(iter(self._gone))]
            self._gone[order_id] = None
            story = f"{what} names order {order_id}, which was never published"
            self.unknown.breach(self._case(ts_event, story))

    def _case(self, ts_event: int, story: str) -> Case:
        return Case(ts_event, self._symbol, "", 1.0, 0.0, story)

    def _remove(self, order_id: str, quantity: float | None) -> None:
        self._book.take(order_id, quantity)
        if order_id not in self._book.orders:
            sent = self._sent.get(order_id)
            if sent is not None and sent.account is not None:
                self._owned.get(sent.account, set()).discard(order_id)

    def _forget(self) -> None:
        """Forget the oldest order that does not rest."""
        order_id, sent = self._sent.popitem(last=False)
        if order_id in self._book.orders:
            self._sent[order_id] = sent


def mean_price(offered: list[tuple[float, float]], quantity: float) -> float:
    """Return the mean price of a quantity at what a book offers; NaN if it offers less.

    >>> mean_price([(100.0, 1.0), (98.0, 5.0)], 2.0)
    99.0
    """
    left, paid = quantity, 0.0
    for price, available in offered:
        part = min(left, available)
        paid += part * price
        left -= part
        if left <= quantity * ALMOST:
            return paid / (quantity - left)
    return math.nan
