"""A limit order book with price-time priority, in whole ticks and whole lots.

Integers make conservation exact: every lot that enters is traded, cancelled or still resting.
"""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from service.exchange.venue.ledger import Holding

BUY = 1
SELL = -1


class RestingOrder:
    """A limit order in the book. ``lots`` is its remaining size; 0 after it has left the book."""

    __slots__ = ("holding", "lots", "order_id", "side", "ticks")

    def __init__(self, order_id: str, holding: Holding, side: int, ticks: int, lots: int) -> None:
        self.order_id = order_id
        self.holding = holding
        self.side = side
        self.ticks = ticks
        self.lots = lots


class Fill(NamedTuple):
    """A trade of an incoming order with one resting order, at the resting order's price."""

    maker: RestingOrder
    ticks: int
    lots: int


class _BookSide:
    """One side's price levels. A level is a dictionary, which keeps the order of arrival."""

    __slots__ = ("heap", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign  # the best price has the smallest sign * ticks
        self.levels: dict[int, dict[str, RestingOrder]] = {}
        self.heap: list[int] = []

    def best(self) -> int | None:
        """The best price in ticks, or None if the side is empty."""
        heap, sign, levels = self.heap, self.sign, self.levels
        while heap:
            ticks = heap[0] * sign
            if ticks in levels:
                return ticks
            heappop(heap)
        return None

    def add(self, order: RestingOrder) -> None:
        level = self.levels.get(order.ticks)
        if level is None:
            self.levels[order.ticks] = {order.order_id: order}
            heappush(self.heap, order.ticks * self.sign)
            if len(self.heap) > 4 * len(self.levels) + 64:
                self.heap = [ticks * self.sign for ticks in self.levels]
                heapify(self.heap)
        else:
            level[order.order_id] = order

    def remove(self, order: RestingOrder) -> None:
        level = self.levels[order.ticks]
        del level[order.order_id]
        if not level:
            del self.levels[order.ticks]


class OrderBook:
    """One contract's book. Incoming orders match the best price first, then the oldest order."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = _BookSide(-1)
        self.asks = _BookSide(1)

    def best_bid(self) -> int | None:
        """The highest bid price, in ticks."""
        return self.bids.best()

    def best_ask(self) -> int | None:
        """The lowest ask price, in ticks."""
        return self.asks.best()

    def match(
        self, holding: Holding, side: int, lots: int, limit: int
    ) -> tuple[list[Fill], list[RestingOrder]]:
        """Trade up to ``lots`` against the other side, no worse than ``limit`` ticks.

        A resting order of the same account is not traded but removed from the book (self-trade
        prevention "expire maker", as on Hyperliquid and Binance).

        Returns
        -------
        tuple
            The fills in order of execution, and the removed orders. Removed orders keep their
            ``lots``, for the cancel event.
        """
        opposite = self.asks if side == BUY else self.bids
        fills: list[Fill] = []
        expired: list[RestingOrder] = []
        while lots:
            best = opposite.best()
            if best is None or (best - limit) * side > 0:
                break
            level = opposite.levels[best]
            while lots and level:
                maker = next(iter(level.values()))
                if maker.holding is holding:
                    expired.append(maker)
                    del level[maker.order_id]
                    continue
                traded = min(lots, maker.lots)
                lots -= traded
                maker.lots -= traded
                if not maker.lots:
                    del level[maker.order_id]
                fills.append(Fill(maker, best, traded))
            if not level:
                del opposite.levels[best]
        return fills, expired

    def hide(self, side: int, count: int) -> list[tuple[int, dict[str, RestingOrder]]]:
        """Take the best price levels that an order of ``side`` meets out; `show` puts them back."""
        opposite = self.asks if side == BUY else self.bids
        hidden = []
        for _ in range(count):
            best = opposite.best()
            if best is not None:
                hidden.append((best, opposite.levels.pop(best)))
        return hidden

    def show(self, side: int, hidden: list[tuple[int, dict[str, RestingOrder]]]) -> None:
        """Put price levels back that `hide` has taken out."""
        opposite = self.asks if side == BUY else self.bids
        for ticks, level in hidden:
            opposite.levels[ticks] = level
            heappush(opposite.heap, ticks * opposite.sign)

    def auction(self) -> list[tuple[RestingOrder, Fill]]:
        """Trade everything that crosses at one price, the best order of each side first.

        The price lies between the last two orders that trade. The result has the bid and the fill
        of the ask for each trade; the orders keep what is left of them.
        """
        pairs: list[tuple[RestingOrder, RestingOrder, int]] = []
        while True:
            bid, ask = self.bids.best(), self.asks.best()
            if bid is None or ask is None or bid < ask:
                break
            price = (bid + ask) // 2
            buyer = next(iter(self.bids.levels[bid].values()))
            seller = next(iter(self.asks.levels[ask].values()))
            lots = min(buyer.lots, seller.lots)
            pairs.append((buyer, seller, lots))
            for order in (buyer, seller):
                order.lots -= lots
                if not order.lots:
                    (self.bids if order is buyer else self.asks).remove(order)
        return [(buyer, Fill(seller, price, lots)) for buyer, seller, lots in pairs]

    def rest(self, order: RestingOrder) -> None:
        """Add an order at the end of its price's queue. The caller has matched it first."""
        (self.bids if order.side == BUY else self.asks).add(order)

    def cancel(self, order: RestingOrder) -> None:
        """Remove a resting order and set its lots to 0."""
        (self.bids if order.side == BUY else self.asks).remove(order)
        order.lots = 0

    def depth(self, side: int, limit: int) -> int:
        """Lots that rest on ``side`` at ``limit`` or at better prices."""
        levels = (self.bids if side == BUY else self.asks).levels
        return sum(
            order.lots
            for ticks, level in levels.items()
            if (ticks - limit) * side >= 0
            for order in level.values()
        )
