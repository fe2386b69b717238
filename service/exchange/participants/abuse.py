"""The manipulator: an account that layers one side of the book, spoofs, or stuffs the market."""

from collections.abc import Callable
from random import Random
from typing import Any

from service.exchange.controls import Controls
from service.exchange.participants.population import Population
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL, RestingOrder
from service.exchange.venue.venue import NEAR_DEVIATIONS, Market

LAYERS = 5
LAYER_SECONDS = 4.0
"""Four to six large sell orders behind the best price, moved with it continually and hardly ever
traded, as in CFTC v. Nav Sarao Futures (2015). The account buys at the same time."""

SPOOF_SECONDS = 3.0
SPOOF_LIFE_SECONDS = 0.4
SPOOF_DISTANCE = 0.1
"""A program places a large order to move other traders and cancels it within a fraction of a
second; a small order on the other side trades. It repeats this all day: in re Panther Energy
Trading, CFTC docket 13-26 (2013). The distance from the best price is a share of the near width."""

BOUGHT_DEPTHS = 0.02
"""Size of each purchase of the manipulator, in near depths."""

STUFFED_LIFE_SECONDS = 0.05
"""Quote stuffing: bursts of orders that are cancelled within milliseconds (Egginton, Van Ness & Van
Ness 2016)."""

Schedule = Callable[[float, Callable[[Any], None], Any], None]


class Manipulator:
    """One account in one market, idle unless a scenario activates it."""

    def __init__(
        self,
        market: Market,
        controls: Controls,
        holding: Holding,
        participants: Population,
        near_lots: float,
        schedule: Schedule,
        rng: Random,
    ) -> None:
        self.holding = holding
        self._market = market
        self._controls = controls
        self._orders_per_second = participants.maker_orders + participants.trader_limits
        self._near_lots = near_lots
        self._schedule = schedule
        self._rng = rng
        self._layers: list[RestingOrder] = []
        self._until_moved = 0.0
        self._until_spoofed = 0.0

    def act(self, seconds: float) -> None:
        """Advance by ``seconds``."""
        if self._controls.layering > 0 or self._layers:
            self._until_moved -= seconds
            if self._until_moved <= 0:
                self._until_moved = LAYER_SECONDS * self._rng.uniform(0.5, 1.5)
                self._layer()
        if self._controls.spoofing > 0:
            self._until_spoofed -= seconds
            if self._until_spoofed <= 0:
                self._until_spoofed = SPOOF_SECONDS * self._rng.uniform(0.5, 1.5)
                self._spoof()
        if self._controls.stuffing > 0:
            self._stuff(seconds)

    def _layer(self) -> None:
        market = self._market
        for order in self._layers:
            if order.lots:
                market.cancel(order)
        self._layers.clear()
        if not self._controls.layering:
            return
        ask = market.book.best_ask()
        if ask is None:
            return
        width = NEAR_DEVIATIONS * market.contract.deviation * ask
        lots = max(int(self._near_lots * self._controls.layering / LAYERS), 1)
        for layer in range(LAYERS):
            ticks = ask + max(round(width * (0.4 + 0.12 * layer)), layer + 1)
            placed = market.place(self.holding, SELL, ticks, lots)
            if placed is not None:
                self._layers.append(placed)
        self._buy(ask)

    def _buy(self, limit: int) -> None:
        lots = max(int(BOUGHT_DEPTHS * self._near_lots), 1)
        self._market.take(self.holding, BUY, lots, limit=limit)

    def _spoof(self) -> None:
        market = self._market
        ask = market.book.best_ask()
        if ask is None:
            return
        width = NEAR_DEVIATIONS * market.contract.deviation * ask
        lots = max(int(self._near_lots * self._controls.spoofing), 1)
        order = market.place(self.holding, SELL, ask + max(round(SPOOF_DISTANCE * width), 1), lots)
        if order is not None:
            life = SPOOF_LIFE_SECONDS * self._rng.uniform(0.5, 1.5)
            self._schedule(life, self._end_spoof, order)

    def _end_spoof(self, order: RestingOrder) -> None:
        self._cancel_rest(order)
        ask = self._market.book.best_ask()
        if ask is not None:
            self._buy(ask)

    def _stuff(self, seconds: float) -> None:
        market, rng = self._market, self._rng
        expected = self._controls.stuffing * self._orders_per_second * seconds
        width = NEAR_DEVIATIONS * market.contract.deviation * market.ticks_per_unit * market.fair()
        for _ in range(int(expected + rng.random())):
            side = BUY if rng.random() < 0.5 else SELL
            best = market.book.best_bid() if side == BUY else market.book.best_ask()
            if best is None:
                continue
            ticks = best - side * round(width * rng.uniform(0.2, 1.0))
            lots = max(int(0.01 * self._near_lots), 1)
            order = market.place(self.holding, side, max(ticks, 1), lots)
            if order is not None:
                self._schedule(rng.expovariate(1 / STUFFED_LIFE_SECONDS), self._cancel_rest, order)

    def _cancel_rest(self, order: RestingOrder) -> None:
        if order.lots:
            self._market.cancel(order)
