"""Traders with leveraged accounts: limit orders near and far, market orders, trend followers."""

from collections.abc import Callable
from math import tanh
from random import Random
from typing import Any

from service.exchange.controls import Controls
from service.exchange.participants.population import RECHECK_SECONDS, Population
from service.exchange.structure import Structure
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL, RestingOrder
from service.exchange.venue.venue import Market

SIZE_SPREAD = 1.1
SIZE_CEILING = 40.0
"""Order sizes are lognormal around the median. The standard deviation of the logarithm is close to
the power laws that Maslov & Mills (2001) measured. The ceiling is in medians."""

PLACEMENT_EXPONENT = 0.6
PLACEMENT_BPS = 4.0
PLACEMENT_CEILING_BPS = 800.0
INSIDE_SHARE = 0.08
FAR_BPS = 25.0
FAR_SIZE = 5.0
"""The distance of limit orders from the best price follows a power law with density exponent 1.6
(Bouchaud, Mezard & Potters 2002). Some orders improve on the best price. Distant orders are larger:
the average book is fullest at a distance (same source)."""

LIFETIME_SECONDS = 30.0
LIFETIME_EXPONENT = 1.6
LIFETIME_AT_BEST = 0.15
"""Lifetimes have a power-law tail too (Krause, Jungblut & Guhr 2021). Orders far from the best
price live longer; a third of the near ones is cancelled within two seconds (Hasbrouck & Saar 2009).
Seconds at the reference activity; busier books turn over faster."""

BRANCHING = 0.6
CHILD_SECONDS = 3.0
SAME_SIDE = 0.8
"""Market orders excite further market orders: a Hawkes process as a cluster of children (Hawkes &
Oakes 1974). Filimonov & Sornette (2012) find branching ratios of 0.3 (1998) to 0.7 (since 2007).
Most children are on their parent's side, so order signs persist (Lillo & Farmer 2004)."""

MARKETABLE_LIMIT_SHARE = 0.3
LEAN_BPS = 10.0
LEAN = 0.35
"""Takers buy more when the contract is cheap against its index (arbitrage). At this many basis
points the share of buys has moved by tanh(1) * 0.35 from one half."""

TREND_SECONDS = 30.0
TREND_SHARE = 0.15
"""Trend followers send this share of the market orders. They trade in the direction of the last
half minute's move if it is large relative to volatility."""

OPEN_INTEREST_DEPTHS = 40.0
"""Long positions at the start, in near depths of the calm book on one side. Bitcoin's open interest
on one large venue is about 10^9 to 10^10 USD, its depth within tenths of a per cent 10^7 to 10^8.
"""

VALUE_TOLERANCE = 0.01
VALUE_SECONDS = 4.0
VALUE_DEPTHS = 0.5
VALUE_LIFETIME_SECONDS = 60.0
UNLEVERAGED_ACCOUNTS = 8
"""Fundamental traders without leverage (opportunistic and fundamental buyers in Kirilenko, Kyle,
Samadi & Tuzun 2017) place limit orders once the price is over one per cent from fundamental value.
"""

POSITION_SPREAD = 1.2
"""Standard deviation of the logarithm of the initial position sizes: few accounts hold most."""

EAGER_BUYS = 0.65
"""Share of buys among the limit orders of eager accounts."""

Schedule = Callable[[float, Callable[[Any], None], Any], None]


class Crowd:
    """The leveraged accounts and the fundamental traders of one market."""

    def __init__(
        self,
        market: Market,
        controls: Controls,
        participants: Population,
        near_lots: float,
        accounts: list[str],
        schedule: Schedule,
        rng: Random,
        structure: Structure,
    ) -> None:
        self._market = market
        self._structure = structure
        self._controls = controls
        self._people = participants
        self._schedule = schedule
        self._rng = rng
        self._near_lots = near_lots
        self._deviation = market.contract.deviation
        contract = market.contract
        self._median_lots = (
            contract.median_notional / contract.price * contract.lots_per_unit
        ) * participants.size_scale**0.5
        self._lifetime = LIFETIME_SECONDS * participants.pace**-0.7
        self._child_seconds = CHILD_SECONDS * participants.pace**-0.5
        self._trend = market.contract.price
        self.holdings = [
            Holding(name, self._leverage(), margined=True)
            for name in accounts[UNLEVERAGED_ACCOUNTS:]
        ]
        self.unleveraged = [
            Holding(name, 1.0, margined=True) for name in accounts[:UNLEVERAGED_ACCOUNTS]
        ]
        for holding in self.holdings:
            share = market.rules.parameters.initial_ratio
            holding.spare = structure.spare_margin * share
            holding.schedule = market.schedule.with_initial(share) if structure.tiered else None
        self.eager: list[Holding] = []
        self.raised: dict[str, None] = {}

    def open_positions(self) -> None:
        """Give the accounts their initial positions; longs and shorts balance."""
        market, rng = self._market, self._rng
        goal = OPEN_INTEREST_DEPTHS * self._near_lots * self._structure.open_interest
        half = len(self.holdings) // 2
        for side, group in ((BUY, self.holdings[:half]), (SELL, self.holdings[half : 2 * half])):
            weights = [rng.lognormvariate(0.0, POSITION_SPREAD) for _ in group]
            lots = [max(round(goal * weight / sum(weights)), 1) for weight in weights]
            lots[-1] = max(lots[-1] + round(goal) - sum(lots), 1)
            if side == SELL:
                lots[-1] += market.open_lots - sum(lots)
            for holding, size in zip(group, lots, strict=True):
                # Entered earlier, at a price at which the position is not liquidated yet.
                price = market.index * (1 + rng.uniform(-0.3, 0.3) / holding.leverage)
                holding.trade(side * size, price, market.lot_size)
                if side == BUY:
                    market.open_lots += size
        for holding in self.holdings:
            if holding.lots:
                market.publish_position(holding)

    def seed_book(self) -> None:
        """Place the distant orders of a book that has been open for a while."""
        count = round(self._people.trader_limits * self._lifetime)
        for _ in range(min(count, 2_000)):
            self._place_limit()

    def begin(self) -> None:
        """Schedule the first orders."""
        self._await_limit()
        self._await_market()

    def _await_limit(self, _: None = None) -> None:
        self._await(self._people.trader_limits, self._arrive_limit, self._await_limit)

    def _await_market(self, _: None = None) -> None:
        rate = self._people.market_orders * (1 - BRANCHING)
        self._await(rate, self._arrive_market, self._await_market)

    def _await(
        self, rate: float, arrive: Callable[[None], None], again: Callable[[None], None]
    ) -> None:
        # Poisson arrivals are memoryless: interrupting a long wait and redrawing it is exact.
        rate *= self._controls.activity * self._market.liveliness
        wait = self._rng.expovariate(rate)
        if wait > RECHECK_SECONDS:
            self._schedule(RECHECK_SECONDS, again, None)
        else:
            self._schedule(wait, arrive, None)

    def _arrive_limit(self, _: None) -> None:
        self._place_limit()
        self._await_limit()

    def _arrive_market(self, _: None) -> None:
        self._send_market_order(self._taker_side())
        self._await_market()

    def watch_trend(self, seconds: float) -> None:
        """Update the trend followers' average price."""
        mid = self._market.mid()
        self._trend += min(seconds / TREND_SECONDS, 1.0) * (mid - self._trend)

    def choose_eager(self) -> None:
        """Choose the eager accounts that the controls require, long positions first."""
        count = round(self._controls.eager_share * len(self.holdings))
        count = max(count, 1) if self._controls.eager_share > 0 else 0
        if count == len(self.eager):
            return
        if count < len(self.eager):
            del self.eager[count:]
            return
        chosen = set(self.eager)
        rest = [holding for holding in self.holdings if holding not in chosen]
        rest.sort(key=lambda holding: (holding.lots <= 0, self._rng.random()))
        self.eager += rest[: count - len(self.eager)]

    def seek_value(self, worth: float, seconds: float) -> None:
        """Let fundamental traders act on a price far from fundamental value."""
        market, rng = self._market, self._rng
        away = market.mid() / worth - 1
        excess = (abs(away) - VALUE_TOLERANCE) / VALUE_TOLERANCE
        if excess <= 0 or rng.random() > min(excess, 3.0) * seconds / VALUE_SECONDS:
            return
        side = BUY if away < 0 else SELL
        lots = int(self._near_lots * VALUE_DEPTHS * rng.uniform(0.5, 1.5))
        ticks = round(market.fair() * (1 - side * rng.uniform(0.0, 20e-4)) * market.ticks_per_unit)
        order = market.place(rng.choice(self.unleveraged), side, ticks, max(lots, 1))
        if order is not None:
            self._schedule(rng.expovariate(1 / VALUE_LIFETIME_SECONDS), self._expire, order)

    def sell(self, lots: int) -> None:
        """Send one slice of the urgent sale, from an account without leverage."""
        if lots:
            self._market.take(self.unleveraged[0], SELL, lots)

    def _leverage(self) -> float:
        # BitMEX 2019: weighted mean leverage 22 to 30 of at most 100; 80 % of positions at about
        # 50 or less. Here: a beta distribution with mean 0.22, truncated.
        least, largest = self._structure.leverage_range
        share = min(max(self._rng.betavariate(1.0, 3.5), least), largest)
        return float(max(round(share * self._market.contract.max_leverage), 1))

    def _taker_side(self) -> int:
        rng, market = self._rng, self._market
        mid = market.mid()
        if rng.random() < TREND_SHARE:
            move = (mid / self._trend - 1) / (self._deviation * TREND_SECONDS**0.5)
            if abs(move) > 1.0:
                return BUY if move > 0 else SELL
        cheap = (market.index / mid - 1) / (LEAN_BPS * 1e-4)
        return BUY if rng.random() < 0.5 + LEAN * tanh(cheap) else SELL

    def _size(self) -> int:
        multiple = min(self._rng.lognormvariate(0.0, SIZE_SPREAD), SIZE_CEILING)
        return max(int(self._median_lots * multiple), 1)

    def _pick_account(self, side: int | None) -> tuple[Holding, int, int]:
        """Choose an account, a side and a size; accounts with positions tend to reduce them."""
        rng, controls = self._rng, self._controls
        lots = self._size()
        holding = rng.choice(self.eager) if self._from_eager() else None
        if holding is not None and not holding.liquidating:
            leverage = max(round(controls.leverage * self._market.contract.max_leverage), 1)
            if holding.leverage < leverage:
                self.raised[holding.account] = None
            self._market.set_leverage(holding, max(holding.leverage, float(leverage)))
            return holding, side or (BUY if rng.random() < EAGER_BUYS else SELL), lots
        holding = rng.choice(self.holdings)
        if holding.liquidating:  # the venue accepts no orders from it
            holding = rng.choice(self.unleveraged)
        if side is None:
            if holding.lots:
                reduces = rng.random() < 0.55
                side = SELL if (holding.lots > 0) == reduces else BUY
            else:
                side = BUY if rng.random() < 0.5 else SELL
        elif holding.lots * side > 0 and rng.random() < 0.5:
            other = rng.choice(self.holdings)
            holding = holding if other.liquidating else other
        return holding, side, lots

    def _from_eager(self) -> bool:
        return bool(self.eager) and self._rng.random() < self._controls.eager_flow

    def _place_limit(self) -> None:
        rng, market = self._rng, self._market
        holding, side, lots = self._pick_account(None)
        book = market.book
        bid, ask = book.best_bid(), book.best_ask()
        fair_ticks = market.fair() * market.ticks_per_unit
        own = bid if side == BUY else ask
        other = ask if side == BUY else bid
        if own is None:
            own = round(fair_ticks) - side
        distance = 0.0
        if rng.random() < INSIDE_SHARE and other is not None and abs(other - own) > 1:
            ticks = own + side * rng.randint(1, abs(other - own) - 1)
            ticks = side * min(side * ticks, side * round(fair_ticks) - 1)
        else:
            power = (1 - rng.random()) ** (-1 / PLACEMENT_EXPONENT) - 1
            distance = min(PLACEMENT_BPS * power, PLACEMENT_CEILING_BPS)
            ticks = own - side * round(distance * 1e-4 * fair_ticks)
        if other is not None and (ticks - other) * side >= 0:
            ticks = other - side
        if ticks < 1:
            return
        lots = int(lots * min(1 + distance / FAR_BPS, FAR_SIZE))
        order = market.place(holding, side, ticks, lots)
        if order is not None:
            tail = (1 - rng.random()) ** (-1 / LIFETIME_EXPONENT) - 1
            mean = self._lifetime * (LIFETIME_EXPONENT - 1)
            wait = mean * tail * (LIFETIME_AT_BEST + min(distance, 200.0) / 20)
            self._schedule(wait / self._controls.activity, self._expire, order)

    def _expire(self, order: RestingOrder) -> None:
        if order.lots:
            self._market.cancel(order)

    def _send_market_order(self, side: int) -> None:
        rng, market, controls = self._rng, self._market, self._controls
        holding, side, lots = self._pick_account(side)
        book = market.book
        other = book.best_ask() if side == BUY else book.best_bid()
        if other is not None and rng.random() < MARKETABLE_LIMIT_SHARE:
            order = market.place(holding, side, other, lots)
            if order is not None:
                self._schedule(rng.expovariate(1 / self._child_seconds), self._expire, order)
        else:
            market.take(holding, side, lots)
        # The number of children is Poisson: count arrivals in one unit of time.
        branching = BRANCHING * controls.excitement
        waited = rng.expovariate(branching)
        while waited < 1.0:
            child = side if rng.random() < SAME_SIDE else -side
            delay = rng.expovariate(1 / self._child_seconds) / controls.activity / controls.haste
            self._schedule(delay, self._send_market_order, child)
            waited += rng.expovariate(branching)
