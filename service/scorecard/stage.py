"""A recorded symbol with an injected episode: its book, a clock, and an injected account."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import TypeVar

import msgspec

from detectors.market_data.book import Book, RestingOrder
from detectors.market_data.events import Cancel, Event, Order, Side, Trade
from service.scorecard.background import MAX_ORDERS, SECOND, SymbolSurvey
from service.scorecard.live_book import LiveBook, apply_to

Call = Callable[[], None]
Touching = TypeVar("Touching", Cancel, Trade)


def unchanged(order: Order) -> Order | None:
    """Return a recorded order unchanged."""
    return order


class Stage:
    """Follows a recorded symbol, and runs scheduled calls between its events.

    Attributes
    ----------
    book
        The resting orders, injected ones included.
    now_ns
        The time of the current event or call.
    account
        The injected account.
    own_asks
        The injected resting asks and their prices. They are withdrawn before anybody can trade with
        them.
    reach
        Maximum distance from the mid price of affected orders, in widths of the near band.
    rewrite
        Maps a recorded limit order within reach to itself, to another order, or to None (removed).
        Cancels of removed or fully withdrawn orders are dropped.
    relever
        Maps every recorded order to the order that takes its place.
    leverage
        The leverage of the injected account. None states none.

    Parameters
    ----------
    ghosts
        The ids of the recorded orders that end without a record, see
        `service.scorecard.live_book`. Without them, every recorded order is taken to rest.
    drops_trades
        Whether the recorded trades of withdrawn orders are dropped too, or reduced if the order
        was reduced. Otherwise all recorded trades remain.
    """

    def __init__(
        self,
        survey: SymbolSurvey,
        rng: Random,
        *,
        ghosts: Collection[str] | None = None,
        drops_trades: bool = False,
    ) -> None:
        self.survey = survey
        self.rng = rng
        self.book = Book(MAX_ORDERS) if ghosts is None else LiveBook(ghosts)
        # The recorded market without the injected episodes: a book that an episode has emptied
        # does not tell where the market is.
        self._recorded = self.book if ghosts is None else LiveBook(ghosts)
        self._drops_trades = drops_trades
        self.now_ns = 0
        self.account = f"{rng.getrandbits(32):08x}"
        self.leverage: float | None = None
        self.own_asks: dict[str, float] = {}
        self.reach = 1.0
        self.rewrite: Callable[[Order], Order | None] = unchanged
        self.relever: Callable[[Order], Order] = lambda order: order
        self._ids = f"{rng.getrandbits(32):08x}"
        self._count = 0
        self._touched: set[str] = set()
        self._accounts: dict[str, str] = {}
        self._calls: list[tuple[int, int, Call]] = []
        self._events: list[Event] = []
        self._second = 0

    def new_episode(self) -> None:
        """Forget what the last episode set, and take another account."""
        self.account = f"{self.rng.getrandbits(32):08x}"
        self.reach = 1.0
        self.rewrite = unchanged
        self.relever = lambda order: order

    def at(self, due_ns: int, call: Call) -> None:
        """Schedule a call. Calls of the same time run in the order of scheduling."""
        self._count += 1
        heappush(self._calls, (due_ns, self._count, call))

    def after(self, seconds: float, call: Call) -> None:
        """Schedule a call in this many seconds."""
        self.at(self.now_ns + round(seconds * SECOND), call)

    def until(self, time_ns: int) -> Iterator[Event]:
        """Run the calls that are due by this time; yield the events that they inject."""
        while self._calls and self._calls[0][0] <= time_ns:
            due_ns, _, call = heappop(self._calls)
            self.now_ns = max(due_ns, self.now_ns)
            call()
            yield from self._drain()

    def take(self, event: Event) -> Iterator[Event]:
        """Apply a recorded event; yield it, if it remains, and the injected reactions."""
        self.now_ns = event.ts_event
        if event.ts_event // SECOND != self._second:
            self._second = event.ts_event // SECOND
            self.book.uncross(event.ts_event - SECOND)
            if self._recorded is not self.book:
                self._recorded.uncross(event.ts_event - SECOND)
        output = self._changed(event)
        if self._recorded is not self.book:
            apply_to(self._recorded, event)
        if output is not None:
            apply_to(self.book, output)
            yield output
        if self.own_asks and self._own_ask_is_best():
            self.withdraw_own_asks()
            yield from self._drain()

    def _changed(self, event: Event) -> Event | None:
        """The event that takes the place of a recorded one; None if it is dropped."""
        if isinstance(event, Order):
            return self._take_order(event)
        if isinstance(event, Cancel) and event.order_id in self._touched:
            return self._reduced(event, event.order_id)
        if isinstance(event, Trade) and self._drops_trades:
            trade: Trade | None = event
            for order_id in (event.maker_order_id, event.taker_order_id):
                if trade is not None and order_id in self._touched:
                    trade = self._reduced(trade, order_id)
            return trade
        return event

    def _take_order(self, order: Order) -> Order | None:
        self._touched.discard(order.order_id)
        if order.account is not None:
            self._accounts[order.order_id] = order.account
        order = self.relever(order)
        if order.type == "market" or order.price is None or not self._in_reach(order):
            return order
        output = self.rewrite(order)
        if output is not order:
            self._touched.add(order.order_id)
        return output

    def _reduced(self, event: Touching, order_id: str | None) -> Touching | None:
        """The recorded event of an order that an episode has changed; None if it is gone."""
        order = self.book.orders.get(order_id or "")
        if order is None:
            return None
        if event.quantity is not None and event.quantity > order.quantity:
            return msgspec.structs.replace(event, quantity=order.quantity)
        return event

    def resting(self, *, bids: bool = True, asks: bool = True) -> list[tuple[str, RestingOrder]]:
        """The recorded orders that rest within reach, by id: of the requested sides."""
        middle = self._recorded.mid
        if middle is None:
            return []
        low = middle * (1.0 - self.reach * self.survey.near_ratio)
        high = middle * (1.0 + self.reach * self.survey.near_ratio)
        return [
            (order_id, order)
            for order_id, order in self.book.orders.items()
            if (bids if order.is_buy else asks)
            and low <= order.price <= high
            and order_id not in self.own_asks
        ]

    def place(self, side: Side, price: float, quantity: float) -> str:
        """Place a resting order of the injected account; return its id."""
        self._count += 1
        order_id = f"{self._ids}{self._count:x}"
        price = round(price, self.survey.price_decimals)
        quantity = self.rounded_quantity(quantity)
        self._emit(
            Order(
                ts_event=self.now_ns,
                symbol=self.survey.symbol,
                order_id=order_id,
                account=self.account,
                side=side,
                price=price,
                quantity=quantity,
                leverage=self.leverage,
            )
        )
        self._accounts[order_id] = self.account
        if side == "sell":
            self.own_asks[order_id] = price
        return order_id

    def withdraw_some(
        self, orders: list[tuple[str, RestingOrder]], share: float, within_seconds: float
    ) -> None:
        """Withdraw a random share of these orders at random times within ``within_seconds``."""
        for order_id, _ in self.rng.sample(orders, round(min(share, 1.0) * len(orders))):
            self.after(self.rng.uniform(0.0, within_seconds), partial(self.withdraw, order_id))

    def withdraw(self, order_id: str, quantity: float | None = None) -> None:
        """Cancel a resting order, injected or recorded, entirely or by this quantity."""
        order = self.book.orders.get(order_id)
        if order is None:
            return
        if quantity is not None and quantity >= order.quantity:
            quantity = None
        self.own_asks.pop(order_id, None)
        self._emit(
            Cancel(
                ts_event=self.now_ns,
                symbol=self.survey.symbol,
                order_id=order_id,
                account=self._accounts.get(order_id),
                quantity=quantity,
            )
        )
        self._touched.add(order_id)

    def withdraw_own_asks(self) -> None:
        """Cancel all injected asks."""
        for order_id in list(self.own_asks):
            self.withdraw(order_id)

    def buy(self, quantity: float) -> None:
        """Buy from the oldest orders at the best ask, never from injected asks."""
        best = self.book.asks.best
        remaining = self.rounded_quantity(quantity)
        if best is None or best in self.own_asks.values():
            return
        self._count += 1
        taker = f"{self._ids}{self._count:x}"
        self._emit(
            Order(
                ts_event=self.now_ns,
                symbol=self.survey.symbol,
                order_id=taker,
                account=self.account,
                side="buy",
                quantity=remaining,
                type="market",
                leverage=self.leverage,
            )
        )
        makers = [
            (order_id, order.quantity)
            for order_id, order in self.book.orders.items()
            if not order.is_buy and order.price == best
        ]
        for number, (maker, available) in enumerate(makers):
            if remaining <= 0.0:
                break
            traded = min(remaining, available)
            remaining = round(remaining - traded, self.survey.quantity_decimals)
            self._emit(
                Trade(
                    ts_event=self.now_ns,
                    symbol=self.survey.symbol,
                    trade_id=f"{taker}-{number}",
                    price=best,
                    quantity=traded,
                    side="buy",
                    maker_order_id=maker,
                    taker_order_id=taker,
                    maker_account=self._accounts.get(maker),
                    taker_account=self.account,
                )
            )
            if self._drops_trades:
                self._touched.add(maker)

    def rounded_quantity(self, quantity: float) -> float:
        """A quantity rounded to the recorded precision; at least the smallest step."""
        decimals = self.survey.quantity_decimals
        return max(round(quantity, decimals), 10.0**-decimals)

    def _emit(self, event: Event) -> None:
        apply_to(self.book, event)
        self._events.append(event)

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _in_reach(self, order: Order) -> bool:
        """Whether the order would rest within reach."""
        book = self._recorded
        middle, bid, ask = book.mid, book.bids.best, book.asks.best
        if middle is None or bid is None or ask is None or order.price is None:
            return False
        rests = order.price < ask if order.side == "buy" else order.price > bid
        return rests and abs(order.price / middle - 1.0) <= self.reach * self.survey.near_ratio

    def _own_ask_is_best(self) -> bool:
        """Whether an injected ask has become the best ask."""
        best = self.book.asks.best
        return best is not None and min(self.own_asks.values()) <= best
