"""The open bar of a symbol: the effect of each event on the book and on the sums of the bar.

This is the hot path. Work that can be done per bar is not done here per event.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from detectors.counts import Counts
from detectors.feed.monitor import FeedMonitor
from detectors.market_data.bar import NEAR_BAND, YOUNG_NS, BookState
from detectors.market_data.book import ALMOST_TICKS, Book, RestingOrder
from detectors.market_data.book_summary import MANY_PIECES, Aggressors, BookSummary, book_summary
from detectors.market_data.early_ends import EarlyEnds
from detectors.market_data.events import (
    Cancel,
    Kind,
    Late,
    Margin,
    Order,
    Position,
    Reference,
    Status,
    Trade,
)
from detectors.market_data.flow import Flow
from detectors.market_data.large_orders import SHOWN_NS, LargeOrders
from detectors.market_data.leverage_baselines import LeverageBaselines, LeveragedOrder
from detectors.market_data.quantities import Quantities
from detectors.parameters import Parameters
from detectors.venue import limits
from detectors.venue.limits import LimitsState
from detectors.venue.trading import Trading

NEAR_MAXIMUM = 0.8
"""Leverage at or above this share of the venue's maximum is near the maximum."""

MOST_AT_ONCE = 4_096
"""The number of orders that wait for the close of the bar. A full list is processed at once."""

DEFAULT = Parameters()


class SymbolProgress(Struct, gc=False):
    """The progress of a symbol's stream. ``lulls`` counts lulls since the symbol last settled."""

    bar_index: int = -1
    hour: int = -1
    settled_bars: int = 0
    last_price: float = 0.0
    high_leverage: float = 0.0
    lulls: int = 0


class OpenBar:
    """The sums of the events since the last bar, and the event handlers of the symbol.

    Parameters
    ----------
    book, leverage_baselines, large, feed, trading
        The parts of the symbol's state that events change.
    counts
        The counters to increment; symbols may share them.
    parameters
        What the venue's quantities mean, and whether the bar is summarised.

    Attributes
    ----------
    aggressors
        The notional of the bar's trades by aggressor.
    early
        The trades and cancels that wait for their order.
    flow
        The sums of the bar.
    large
        The large orders.
    last_quantity
        The quantity of the bar's last resting order; 0 without one.
    leveraged
        The leveraged orders that are processed when the bar closes.
    limits
        The venue's limits, and whether it has tightened them.
    opened
        The state of the book at the start of the bar.
    progress
        The progress of the symbol's stream.
    quantities
        Translates quantities; None where they have the default meaning.
    """

    __slots__ = (
        "_book",
        "_counts",
        "_feed",
        "_in_ticks",
        "_leverage_baselines",
        "_near_high",
        "_near_low",
        "_summarised",
        "_trading",
        "aggressors",
        "early",
        "flow",
        "large",
        "last_quantity",
        "leveraged",
        "limits",
        "opened",
        "progress",
        "quantities",
    )  # fmt: skip

    def __init__(
        self,
        book: Book,
        leverage_baselines: LeverageBaselines,
        large: LargeOrders,
        feed: FeedMonitor,
        trading: Trading,
        counts: Counts,
        parameters: Parameters = DEFAULT,
    ) -> None:
        self._book = book
        self._in_ticks = book.in_ticks
        self._leverage_baselines = leverage_baselines
        self.large = large
        self._feed = feed
        self._trading = trading
        self._counts = counts
        self.progress = SymbolProgress()
        self.early = EarlyEnds()
        meaning = parameters.quantities
        self.quantities = Quantities(meaning, book) if meaning != DEFAULT.quantities else None
        self._summarised = parameters.summarises_books and not book.in_ticks
        self.aggressors = Aggressors()
        self.flow = Flow()
        self.leveraged: list[LeveragedOrder] = []
        self.limits = LimitsState()
        self.opened: BookState | None = None
        self.last_quantity = 0.0
        self._near_low = 0.0
        self._near_high = 0.0

    @property
    def handlers(self) -> tuple[Callable[[Any], None], ...]:
        """The event handlers, in the order of `events.Kind`.

        The tuple is built on each call. An attribute would create a reference cycle: the book of
        an evicted symbol would stay in memory until the next full garbage collection, for hours.
        """
        return (
            self._on_order,
            self._on_cancel,
            self._on_trade,
            self._on_reference,
            self._on_margin,
            self._on_position,
            self._on_status,
            self._on_late,
        )

    def begin(self, opened: BookState | None, median_size: float) -> None:
        """Begin a bar.

        ``opened`` is the current state of the book, ``median_size`` the median quantity of orders.
        """
        if self.quantities is not None:
            self.quantities.forget_ended()
        self.flow = Flow()
        self.aggressors = Aggressors()
        self.leveraged = []
        self.opened = opened
        self.last_quantity = 0.0
        self.large.begin(median_size)
        if opened is not None:
            self.progress.last_price = opened.mid
            if self._in_ticks:
                reach = self._book.bands[NEAR_BAND] * self._book.tick * ALMOST_TICKS
                self._near_low, self._near_high = opened.mid - reach, opened.mid + reach
            else:
                reach = opened.mid * self._book.bands[NEAR_BAND] / 1e4
                self._near_low, self._near_high = opened.mid - reach, opened.mid + reach

    def summary(self, closed: BookState | None) -> BookSummary | None:
        """Return the summary of the bar and its book; None if it is not wanted or not known."""
        if closed is None or not self._summarised:
            return None
        opened = self.opened
        orders = self.flow.trades - self.aggressors.further
        return book_summary(
            self._book,
            closed,
            self.aggressors,
            taker_orders=orders,
            opening_spread_bps=closed.spread_bps if opened is None else opened.spread_bps,
            last_price=self.progress.last_price if orders else 0.0,
        )

    def learn_leveraged(self) -> None:
        """Learn the bar's leveraged orders so far."""
        self._leverage_baselines.learn(self.leveraged, self.progress.high_leverage, self.flow)
        self.leveraged = []

    def _on_order(self, order: Order) -> None:
        book = self._book
        order_id = order.order_id
        price = order.price
        quantity = order.quantity
        if order_id in book.orders:
            quantity = self._replace(order)
            if quantity <= 0.0:
                return
        if price is not None and order.type != "market":
            is_buy = order.side == "buy"
            book.add(order_id, is_buy, price, quantity, order.ts_event)
            if order_id in self.early.waiting:
                self._end_early(order)
            flow = self.flow
            flow.orders += 1.0
            notional = quantity if self._in_ticks else price * quantity
            self.last_quantity = quantity
            if quantity >= self.large.least_quantity:
                self.large.on_placed(order.account, is_buy, quantity)
        else:
            self._feed.seen[Kind.ORDER] += 1  # it does not rest, and is not in the bar's flow
            unit = self.progress.last_price if price is None else price
            notional = quantity if self._in_ticks else unit * quantity
        leverage = order.leverage
        if leverage is not None and not order.reduce_only:
            self.leveraged.append((order.account, notional, leverage))
            if len(self.leveraged) >= MOST_AT_ONCE:
                self.learn_leveraged()

    def _replace(self, order: Order) -> float:
        """Withdraw the resting order with the same id; return what rests of the new one."""
        rests = order.quantity
        self._counts.replaced_orders += 1
        self._feed.seen[Kind.CANCEL] -= 1
        if self.quantities is not None:
            rests = self.quantities.replaced(order.order_id, rests)
        self._withdraw(order.order_id, None, order.account, order.ts_event)
        if rests <= 0.0:  # all of its total was filled before
            self._counts.oversized_fills += rests < 0.0
            self._feed.seen[Kind.ORDER] += 1
        return rests

    def _on_cancel(self, cancel: Cancel) -> None:
        quantity = cancel.quantity
        if self.quantities is not None:
            quantity = self.quantities.withdrawn(cancel)
            if quantity is not None and quantity <= 0.0:
                self._counts.oversized_cancels += quantity < 0.0
                self._feed.seen[Kind.CANCEL] += 1
                return
        self._withdraw(cancel.order_id, quantity, cancel.account, cancel.ts_event)
        if self.quantities is not None:
            self.quantities.note_fill(cancel.order_id, 0.0)

    def _withdraw(
        self, order_id: str, quantity: float | None, account: str | None, ts_event: int
    ) -> None:
        taken = self._book.take(order_id, quantity)
        if taken is None:
            self._counts.unknown_orders += 1
            self._feed.partial_book.open_unknown += 1
            self._feed.seen[Kind.CANCEL] += 1
            self.early.note(order_id, ts_event, cancelled=True)
            return
        order, amount = taken
        if quantity is not None and amount < quantity:
            self._counts.oversized_cancels += 1
        flow = self.flow
        flow.cancels += 1.0
        age_ns = ts_event - order.ts_event
        if age_ns < SHOWN_NS:
            if age_ns < YOUNG_NS:
                flow.young_cancels += 1.0
            if amount >= self.large.least_quantity:
                self.large.on_withdrawn(account, order.is_buy, amount, age_ns)

    def _on_trade(self, trade: Trade) -> None:
        book = self._book
        flow = self.flow
        price = trade.price
        notional = trade.quantity if self._in_ticks else price * trade.quantity
        flow.trades += 1.0
        if self._near_low <= price <= self._near_high:
            # The aggressor takes from the opposite side of the book.
            if trade.side == "buy":
                flow.near_traded_ask += notional
            else:
                flow.near_traded_bid += notional
        aggressors = self.aggressors
        forced = notional if trade.liquidation else 0.0
        if trade.side == "buy":
            aggressors.bought += notional
            aggressors.forced_bought += forced
        else:
            aggressors.sold += notional
            aggressors.forced_sold += forced
        taker = trade.taker_order_id
        if taker is not None and taker == aggressors.taker:
            aggressors.further += 1.0
            pieces = aggressors.pieces = aggressors.pieces + 1
            if pieces == MANY_PIECES:
                aggressors.pieced_orders += 1.0
            aggressors.walked += abs(price - aggressors.first_price) * trade.quantity
        else:
            aggressors.taker = taker
            aggressors.first_price = price
            aggressors.pieces = 1
        account = trade.maker_account
        maker = trade.maker_order_id
        if account is not None and maker is not None and self.large.layers.tracks(account):
            self._on_fill(account, book.orders.get(maker), trade.quantity)
        self.progress.last_price = price
        if maker is not None and not self._fill(maker, trade):
            self._counts.unknown_orders += 1
            self._feed.partial_book.open_unknown += 1
            self.early.note(maker, trade.ts_event, made=trade.quantity)
        # A taker that never rested (a market order) does not count as unknown.
        if taker is not None and not self._fill(taker, trade):
            self.early.note(taker, trade.ts_event, taken=trade.quantity)

    def _fill(self, order_id: str, trade: Trade) -> bool:
        """Reduce an order by a trade; return whether the order is known."""
        quantity = trade.quantity
        special = self.quantities
        if special is not None and not special.is_new_fill(order_id, quantity, trade.ts_event):
            special.note_fill(order_id, quantity)
            self.flow.cancels = max(0.0, self.flow.cancels - 1.0)  # the cancel was this fill
            return True
        taken = self._book.take(order_id, quantity)
        if taken is None:
            return False
        if taken[1] < quantity:
            self._counts.oversized_trades += 1
        if special is not None:
            special.note_fill(order_id, quantity)
        return True

    def _end_early(self, order: Order) -> None:
        """Apply the trades that were published before an order that has just been added."""
        known, ended = self.early.ended(order.order_id, order.quantity, order.ts_event)
        if not known:
            return
        self._counts.early_ends += 1
        if ended > 0.0:
            # The trade was counted as one of an unreported order.
            self._feed.partial_book.open_unknown -= 1
            account = order.account
            if account is not None and self.large.layers.tracks(account):
                self._on_fill(account, self._book.orders[order.order_id], ended)
            self._book.take(order.order_id, ended)

    def _on_fill(self, account: str, order: RestingOrder | None, quantity: float) -> None:
        """Subtract a fill from the account's large orders: a filled order was meant to trade."""
        if order is None:
            return
        if order.quantity < self.large.least_quantity:
            return
        left = max(0.0, order.quantity - quantity)
        self.large.on_filled(account, order.is_buy, order.quantity, left)

    def _on_reference(self, reference: Reference) -> None:
        """Pass a reference to the feed checks; no detector uses references."""
        self._feed.checks.moved(reference)

    def _on_margin(self, margin: Margin) -> None:
        limits.take(self.limits, margin)
        if margin.max_leverage is not None:
            self.progress.high_leverage = NEAR_MAXIMUM * margin.max_leverage

    def _on_position(self, position: Position) -> None:
        if position.leverage is not None:
            self._leverage_baselines.introduce(position.account, position.leverage)

    def _on_status(self, status: Status) -> None:
        states = self._counts.statuses
        states[status.state] = states.get(status.state, 0) + 1
        if status.state == "book_cleared":
            # Without a sequence, orders of the same time are those that the venue publishes again.
            self._book.clear(status.ts_event + (status.sequence is not None))
        self._trading.apply(status)

    def _on_late(self, late: Late) -> None:
        """Apply a late event to the book and the feed checks, but not to the sums of the bar."""
        self._counts.late += 1
        large = self.large
        saved = self.flow, self.leveraged, large.placed, large.shown
        aggressors, self.aggressors = self.aggressors, Aggressors()
        self.flow, self.leveraged, large.placed, large.shown = Flow(), [], [], []
        self.handlers[late.event.kind](late.event)
        self._feed.checks.add(self.flow)
        self.flow, self.leveraged, large.placed, large.shown = saved
        self.aggressors = aggressors
