"""One contract's market on the simulated venue. Input: orders. Output: published events."""

from collections import deque

from service.exchange.controls import State
from service.exchange.measures import CascadeMeter
from service.exchange.rules import KEPT, Rules
from service.exchange.venue.contracts import Contract
from service.exchange.venue.gateway import Gateway
from service.exchange.venue.ledger import Holding
from service.exchange.venue.margins import MarginSchedule, flat
from service.exchange.venue.matching import BUY, SELL, Fill, OrderBook, RestingOrder
from service.exchange.venue.publication import MESSAGE_GAP_NS, Clock, Publication
from service.exchange.venue.sources import Sources

AUCTION_BAND = 0.002
"""How far from the mark price an order to trade at once goes in an auction."""

PREMIUM_CAP = 0.05
"""The mark price stays within this of the index, as on 01 Exchange (mark / index in 0.95-1.05)."""

FUNDING_WINDOW_SECONDS = 3_600.0
INTEREST_RATE = 0.0001
FUNDING_CLAMP = 0.0005
"""Funding = average premium + clamp(interest - average premium, +-0.05 %), per eight hours."""

WICK_PERIOD_SECONDS = 300.0
WICK_BEGINS_SECONDS = 290.0
"""When the mark price of a venue with wicks is too low."""

NEAR_DEVIATIONS = 11.0
""""Near" is within eleven one-second standard deviations of the mid price: ten basis points for
bitcoin. Books of more volatile contracts are wider."""

IMPACT_SHARE = 0.5
IMPACT_CEILING = 2.0
"""An order that takes all near depth moves the makers' fair price by half the near width. The move
is linear in flow over depth (Cont, Kukanov & Stoikov 2014); about half of the immediate impact
persists (Bouchaud, Farmer & Lillo 2009). One order moves the price by at most twice that."""


class Market:
    """One contract's book, prices and positions.

    Attributes
    ----------
    rules
        What the venue does, and what it states.
    index, mark
        The venue's index and mark price, in the quote currency.
    outside
        The price of the other venues, which the index follows.
    last
        The price of the last trade.
    belief
        The makers' estimate of the contract's premium over its index, as a ratio.
    near_lots
        Lots that rest near the mid price, the mean of both sides. At least ``least_near_lots``, so
        impact stays finite in an empty book.
    liveliness
        Current activity of all participants, relative to the average.
    schedule
        The margin that positions need.
    stated_tiers
        The schedule that is published; None: the same.
    state
        The trading state. In an auction orders rest and nothing trades. In a halt no orders are
        accepted. An expired contract publishes nothing.
    gateway
        Lets orders in and answers them; None: all are, and nothing is answered.
    sources
        What the index is made of; None: it is not published.
    changed
        Holdings with isolated margin that traded since the risk engine's last check.
    """

    def __init__(
        self, contract: Contract, clock: Clock, meter: CascadeMeter, rules: Rules = KEPT
    ) -> None:
        self.rules = rules
        self.contract = contract
        self.symbol = contract.symbol
        self.clock = clock
        self.meter = meter
        self.book = OrderBook()
        self.publication = Publication(contract, clock, rules.publication)
        self.schedule = flat(contract.maintenance_margin_rate, contract.initial_margin_rate)
        self.lot_size = contract.lot_size
        self.ticks_per_unit = contract.ticks_per_unit
        self.stated_tiers: MarginSchedule | None = None
        self.index = contract.price
        self.outside = contract.price
        self.mark = contract.price
        self.last = contract.price
        self.belief = 0.0
        self._near = NEAR_DEVIATIONS * contract.deviation
        self.near_lots = self.least_near_lots = 1.0
        self.open_lots = 0
        self.liveliness = 1.0
        self.state: State = "open"
        self.gateway: Gateway | None = None
        self.sources: Sources | None = None
        self._until_auction: list[RestingOrder] = []
        self.changed: dict[Holding, None] = {}
        self._last_mid = contract.price
        self._premium = 0.0
        self._funding_premium = 0.0
        self._elapsed = 0.0
        self._marks: deque[float] = deque()
        self._limit_orders = 0
        self._unmatched = rules.publication.unmatched_orders

    def mid(self) -> float:
        """Mid price; while a side is empty, the last one."""
        bid, ask = self.book.best_bid(), self.book.best_ask()
        if bid is not None and ask is not None:
            self._last_mid = (bid + ask) / (2 * self.ticks_per_unit)
        return self._last_mid

    def open_notional(self) -> float:
        """Open interest at the mark price, in the quote currency."""
        return self.open_lots * self.lot_size * self.mark

    def fair(self) -> float:
        """The makers' estimate of the contract's value."""
        return self.outside * (1 + self.belief)

    def enter(self, state: State) -> None:
        """Go into a trading state, and publish it. What crosses trades when an auction ends."""
        if self.state in (state, "expired"):
            return
        if self.state == "auction":
            self._end_auction()
        self.publication.status(state)
        self.state = state

    @property
    def accepts_orders(self) -> bool:
        """Whether orders are accepted in the present state."""
        return self.state in ("open", "auction") or (
            self.state == "halted" and self.rules.access.accepts_in_halts
        )

    def place(
        self, holding: Holding, side: int, ticks: int, lots: int, *, reduce_only: bool | None = None
    ) -> RestingOrder | None:
        """Enter a limit order. The part that does not trade at once rests and is returned."""
        if not self.accepts_orders:
            return None
        gateway = self.gateway
        if gateway is not None and not gateway.admits(
            holding, side, lots, self.state, reduce_only=reduce_only
        ):
            return None
        order_id = self.publication.order(holding, side, lots, ticks, reduce_only)
        if gateway is not None:
            gateway.accepted(order_id, holding)
        remaining = lots
        if self.state == "open" and not (self._unmatched and self._rests_unmatched()):
            remaining -= self._execute(holding, order_id, side, lots, ticks, liquidation=False)
        if not remaining:
            return None
        order = RestingOrder(order_id, holding, side, ticks, remaining)
        self.book.rest(order)
        return order

    def take(
        self,
        holding: Holding,
        side: int,
        lots: int,
        *,
        limit: int | None = None,
        reduce_only: bool | None = None,
        liquidation: bool = False,
        trigger: float | None = None,
    ) -> int:
        """Enter an immediate-or-cancel order; return the traded lots.

        It trades no further than ``limit`` ticks, or the price band if that is None. In an auction
        it rests until the auction ends. ``trigger`` is the price of a stop order.
        """
        if self.state == "auction" and not liquidation:
            edge = int(self.mark * (1 + side * AUCTION_BAND) * self.ticks_per_unit)
            order = self.place(holding, side, edge, lots, reduce_only=reduce_only)
            self._until_auction += [order] if order is not None else []
        rules = self.rules.liquidation
        if self.state != "open" and not (liquidation and rules.in_halts):
            return 0
        gateway = None if liquidation else self.gateway
        if gateway is not None and not gateway.admits(
            holding, side, lots, self.state, reduce_only=reduce_only
        ):
            return 0
        order_id = self.publication.order(holding, side, lots, None, reduce_only)
        if gateway is not None:
            gateway.accepted(order_id, holding, trigger)
        if limit is None:
            limit = int(self.mark * (1 + side * rules.price_band) * self.ticks_per_unit)
        return self._execute(holding, order_id, side, lots, limit, liquidation=liquidation)

    def cancel(self, order: RestingOrder) -> None:
        """Cancel the rest of a resting order."""
        if self.state != "expired":
            self.publication.cancel(order)
            if self.gateway is not None:
                self.gateway.cancelled(order)
        self.book.cancel(order)

    def set_leverage(self, holding: Holding, leverage: float) -> None:
        """Change an account's leverage in this contract; publish its position if it changes."""
        version = holding.version
        if holding.schedule is not None:
            leverage = min(leverage, self.max_leverage)
        holding.change_leverage(leverage, self.mark, self.lot_size)
        if holding.version != version:
            self.publish_position(holding)

    @property
    def max_leverage(self) -> float:
        """The largest leverage that the present margins allow."""
        return min(self.contract.max_leverage, round(1 / self.schedule.initial_rate, 6))

    def publish_position(self, holding: Holding) -> None:
        """Publish a margined account's position, and mark it for the risk engine."""
        if holding.pool is None:
            self.changed[holding] = None
        if self.state == "expired":
            return
        backing = None if holding.pool is None else holding.pool.backing(holding)
        price = holding.liquidation_price(self.schedule, self.lot_size, backing)
        self.publication.position(holding, self.mark, price)

    def publish_margin(self) -> None:
        """Publish the contract's present margin parameters."""
        self.announce_margin(self.stated_tiers or self.schedule)

    def announce_margin(
        self,
        schedule: MarginSchedule,
        *,
        effective_at: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Publish margin parameters that take effect at ``effective_at``; None: they hold now."""
        self.publication.margin(
            schedule,
            self.rules.prices.window_seconds,
            PREMIUM_CAP,
            effective_at=effective_at,
            reason=reason,
        )

    def publish_reference(self) -> None:
        """Publish index, mark, funding rate and open interest."""
        if self.state == "expired":
            return
        average = self._funding_premium
        clamped = min(max(INTEREST_RATE - average, -FUNDING_CLAMP), FUNDING_CLAMP)
        rate = average + clamped + self.rules.prices.extra_funding
        sources = None if self.sources is None else self.sources.around(self.index)
        self.publication.reference(self.mark, self.index, rate, self.open_lots, sources)

    def update_prices(self, index: float, seconds: float) -> None:
        """Set the new index, and update the premium averages over ``seconds``."""
        rules = self.rules.prices
        self._elapsed += seconds
        self.outside = index
        if self._elapsed < rules.index_fixed_seconds:
            self.index = index
        index = self.index
        premium = self.mid() / index - 1
        is_later = self._elapsed >= rules.window_change_seconds
        window = rules.later_window_seconds if is_later else rules.window_seconds
        weight = min(seconds / window, 1.0)
        self._premium += weight * (premium - self._premium)
        self._funding_premium += (
            seconds / FUNDING_WINDOW_SECONDS * (premium - self._funding_premium)
        )
        self.mark = index * (1 + min(max(self._premium, -PREMIUM_CAP), PREMIUM_CAP))
        if rules.wick_ratio and self._elapsed % WICK_PERIOD_SECONDS >= WICK_BEGINS_SECONDS:
            self.mark *= 1.0 - rules.wick_ratio
        if rules.lag_seconds:
            self._marks.append(self.mark)
            if len(self._marks) > rules.lag_seconds / seconds:
                self.mark = self._marks.popleft()
            else:
                self.mark = self._marks[0]

    def measure_depth(self) -> None:
        """Measure the depth near the mid price, which sets the impact of the next trades."""
        middle = self.mid() * self.ticks_per_unit
        width = middle * self._near
        bids = self.book.depth(BUY, int(middle - width))
        asks = self.book.depth(SELL, int(middle + width) + 1)
        self.near_lots = max((bids + asks) / 2, self.least_near_lots)

    def _execute(
        self, taker: Holding, order_id: str, side: int, lots: int, limit: int, *, liquidation: bool
    ) -> int:
        skipped = self.rules.liquidation.skipped_levels if liquidation else 0
        hidden = self.book.hide(side, skipped) if skipped else []
        fills, expired = self.book.match(taker, side, lots, limit)
        if hidden:
            self.book.show(side, hidden)
        for order in expired:
            self.publication.cancel(order)
            order.lots = 0
        if not fills:
            return 0
        traded, held = 0, abs(taker.lots)
        touched: dict[Holding, None] = {}
        for fill in fills:
            traded += fill.lots
            self._settle(taker, order_id, side, fill, liquidation=liquidation)
            touched[fill.maker.holding] = None
        touched[taker] = None
        if self.gateway is not None and abs(taker.lots) > held:
            taker.top_up(self.mark, self.lot_size)
        self.belief += (
            side * IMPACT_SHARE * self._near * min(traded / self.near_lots, IMPACT_CEILING)
        )
        for holding in touched:
            if holding.margined:
                self.publish_position(holding)
        return traded

    def _rests_unmatched(self) -> bool:
        self._limit_orders += 1
        return self._limit_orders % self._unmatched == 0

    def _end_auction(self) -> None:
        touched: dict[Holding, None] = {}
        self.clock.now += MESSAGE_GAP_NS
        for buyer, fill in self.book.auction():
            self._settle(buyer.holding, buyer.order_id, BUY, fill, liquidation=False)
            touched |= dict.fromkeys((buyer.holding, fill.maker.holding))
        for order in self._until_auction:
            if order.lots:
                self.cancel(order)
        self._until_auction.clear()
        for holding in touched:
            if holding.margined:
                self.publish_position(holding)

    def transfer(self, giver: Holding, receiver: Holding, lots: int, price: float) -> None:
        """Move signed ``lots`` of a position between accounts, off the book, at ``price``."""
        longs = max(giver.lots, 0) + max(receiver.lots, 0)
        giver.trade(-lots, price, self.lot_size)
        receiver.trade(lots, price, self.lot_size)
        self.open_lots += max(giver.lots, 0) + max(receiver.lots, 0) - longs
        for holding in (giver, receiver):
            if holding.margined:
                self.publish_position(holding)

    def _settle(
        self, taker: Holding, order_id: str, side: int, fill: Fill, *, liquidation: bool
    ) -> None:
        discount = self.rules.publication.print_discount_ratio if liquidation else 0.0
        if discount:
            fill = fill._replace(ticks=round(fill.ticks * (1 + side * discount)))
        maker = fill.maker.holding
        price = fill.ticks / self.ticks_per_unit
        longs = max(taker.lots, 0) + max(maker.lots, 0)
        taker.trade(side * fill.lots, price, self.lot_size)
        maker.trade(-side * fill.lots, price, self.lot_size)
        self.open_lots += max(taker.lots, 0) + max(maker.lots, 0) - longs
        self.last = price
        self.meter.traded(self.clock.now, fill.lots * self.lot_size * price)
        self.publication.trade(taker, order_id, side, fill, liquidation=liquidation)
