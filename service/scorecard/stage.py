"""A recorded symbol on which something is put: its book, a clock, and an account of ours."""

from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush
from random import Random

from detectors.market_data.book import Book, RestingOrder
from detectors.market_data.events import Cancel, Event, Order, Side, Trade
from service.scorecard.background import MAX_ORDERS, SECOND, SymbolSurvey, follow

Call = Callable[[], None]


def unchanged(order: Order) -> Order | None:
    """A recorded order as it is."""
    return order


class Stage:
    """Follows a recorded symbol, and lets scheduled calls act on it between its events.

    Attributes
    ----------
    book
        What rests, ours included.
    now_ns
        The time of the event or call that is under way.
    account
        Who acts, where somebody does.
    mine
        Our resting asks and their prices; they are withdrawn before anybody could trade with them.
    reach
        How far from the middle we act, in widths of what is near.
    rewrite
        What becomes of a recorded limit order within reach: itself, another, or None for
        nothing. Cancels of what never came, or of what was withdrawn whole, are left out.
    """

    def __init__(self, usual: SymbolSurvey, rng: Random) -> None:
        self.usual = usual
        self.rng = rng
        self.book = Book(MAX_ORDERS)
        self.now_ns = 0
        self.account = f"{rng.getrandbits(32):08x}"
        self.mine: dict[str, float] = {}
        self.reach = 1.0
        self.rewrite: Callable[[Order], Order | None] = unchanged
        self._ids = f"{rng.getrandbits(32):08x}"
        self._made = 0
        self._gone: set[str] = set()
        self._calls: list[tuple[int, int, Call]] = []
        self._events: list[Event] = []
        self._second = 0

    def at(self, due_ns: int, call: Call) -> None:
        """Call at this time; calls of the same time come in the order in which they were made."""
        self._made += 1
        heappush(self._calls, (due_ns, self._made, call))

    def after(self, seconds: float, call: Call) -> None:
        """Call so many seconds from now."""
        self.at(self.now_ns + round(seconds * SECOND), call)

    def until(self, time_ns: int) -> Iterator[Event]:
        """Let the calls act that are due by then; what they put into the flow."""
        while self._calls and self._calls[0][0] <= time_ns:
            due_ns, _, call = heappop(self._calls)
            self.now_ns = max(due_ns, self.now_ns)
            call()
            yield from self._told()

    def take(self, event: Event) -> Iterator[Event]:
        """Apply a recorded event; what is left of it, and what we do because of it."""
        self.now_ns = event.ts_event
        if event.ts_event // SECOND != self._second:
            self._second = event.ts_event // SECOND
            self.book.uncross(event.ts_event - SECOND)
        changed: Event | None = event
        if isinstance(event, Order):
            self._gone.discard(event.order_id)
            if event.type != "market" and event.price is not None and self._in_reach(event):
                changed = self.rewrite(event)
            if changed is None:
                self._gone.add(event.order_id)
        elif isinstance(event, Cancel) and event.order_id in self._gone:
            changed = None
        if changed is not None:
            follow(self.book, changed)
            yield changed
        if self.mine and self._touched():
            self.withdraw_mine()
            yield from self._told()

    def resting(self, *, asks: bool = True) -> list[tuple[str, RestingOrder]]:
        """The recorded orders that rest within reach, by id: bids, and asks if they are wanted."""
        middle = self.book.mid
        if middle is None:
            return []
        low = middle * (1.0 - self.reach * self.usual.near_ratio)
        high = middle * (1.0 + self.reach * self.usual.near_ratio)
        return [
            (order_id, order)
            for order_id, order in self.book.orders.items()
            if (order.is_buy or asks) and low <= order.price <= high and order_id not in self.mine
        ]

    def place(self, side: Side, price: float, quantity: float) -> str:
        """Rest an order of ours; its id."""
        self._made += 1
        order_id = f"{self._ids}{self._made:x}"
        price = round(price, self.usual.price_decimals)
        quantity = self.whole(quantity)
        self._tell(
            Order(
                ts_event=self.now_ns,
                symbol=self.usual.symbol,
                order_id=order_id,
                account=self.account,
                side=side,
                price=price,
                quantity=quantity,
            )
        )
        if side == "sell":
            self.mine[order_id] = price
        return order_id

    def withdraw_some(
        self, orders: list[tuple[str, RestingOrder]], share: float, within_seconds: float
    ) -> None:
        """Withdraw a share of these orders, chosen by chance, each some time within this."""
        for order_id, _ in self.rng.sample(orders, round(min(share, 1.0) * len(orders))):
            self.after(self.rng.uniform(0.0, within_seconds), partial(self.withdraw, order_id))

    def withdraw(self, order_id: str, quantity: float | None = None) -> None:
        """Cancel an order, ours or a recorded one, or so much of it, if it still rests."""
        order = self.book.orders.get(order_id)
        if order is None:
            return
        if quantity is not None and quantity >= order.quantity:
            quantity = None
        ours = self.mine.pop(order_id, None) is not None
        self._tell(
            Cancel(
                ts_event=self.now_ns,
                symbol=self.usual.symbol,
                order_id=order_id,
                account=self.account if ours else None,
                quantity=quantity,
            )
        )
        if quantity is None:
            self._gone.add(order_id)

    def withdraw_mine(self) -> None:
        """Cancel all of our asks."""
        for order_id in list(self.mine):
            self.withdraw(order_id)

    def buy(self, quantity: float) -> None:
        """Buy from the oldest orders at the best ask, as far as they go; never from ourselves."""
        best = self.book.asks.best
        left = self.whole(quantity)
        if best is None or best in self.mine.values():
            return
        self._made += 1
        taker = f"{self._ids}{self._made:x}"
        self._tell(
            Order(
                ts_event=self.now_ns,
                symbol=self.usual.symbol,
                order_id=taker,
                account=self.account,
                side="buy",
                quantity=left,
                type="market",
            )
        )
        makers = [
            (order_id, order.quantity)
            for order_id, order in self.book.orders.items()
            if not order.is_buy and order.price == best
        ]
        for number, (maker, there) in enumerate(makers):
            if left <= 0.0:
                break
            traded = min(left, there)
            left = round(left - traded, self.usual.quantity_decimals)
            self._tell(
                Trade(
                    ts_event=self.now_ns,
                    symbol=self.usual.symbol,
                    trade_id=f"{taker}-{number}",
                    price=best,
                    quantity=traded,
                    side="buy",
                    maker_order_id=maker,
                    taker_order_id=taker,
                    taker_account=self.account,
                )
            )

    def whole(self, quantity: float) -> float:
        """A quantity as fine as the recorded ones are; at least the smallest one."""
        decimals = self.usual.quantity_decimals
        return max(round(quantity, decimals), 10.0**-decimals)

    def _tell(self, event: Event) -> None:
        follow(self.book, event)
        self._events.append(event)

    def _told(self) -> list[Event]:
        told, self._events = self._events, []
        return told

    def _in_reach(self, order: Order) -> bool:
        """Whether it would rest within reach."""
        middle, bid, ask = self.book.mid, self.book.bids.best, self.book.asks.best
        if middle is None or bid is None or ask is None or order.price is None:
            return False
        rests = order.price < ask if order.side == "buy" else order.price > bid
        return rests and abs(order.price / middle - 1.0) <= self.reach * self.usual.near_ratio

    def _touched(self) -> bool:
        """Whether an ask of ours has become the best one."""
        best = self.book.asks.best
        return best is not None and min(self.mine.values()) <= best
