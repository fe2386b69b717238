"""Machines of clients: one sends bursts of orders, one goes on sending while it is refused."""

from collections.abc import Callable
from random import Random
from typing import Any

from service.exchange.venue.gateway import Gateway
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, RestingOrder
from service.exchange.venue.venue import Market

BURST_ORDERS = 75
BURST_SECONDS = 15.0
"""A burst has a quarter more orders than the venue allows within a second; mean time between two.
"""

DISTANCE = 0.5
"""Their orders rest at this share of the mark price: nothing trades with them."""

FIRST_PAUSE_SECONDS = 0.05
BACKOFF = 1.25
"""The pause after the first refusal, and by how much each next one is longer: about 23 refusals in
a halt of 40 seconds."""

Schedule = Callable[[float, Callable[[Any], None], Any], None]


class Machines:
    """The machines of one market.

    Parameters
    ----------
    market, gateway
        Where they send orders.
    schedule, rng
        As for `service.exchange.participants.traders.Crowd`.
    pause_seconds
        Above zero, the second one waits only so long after each refusal.
    """

    def __init__(
        self,
        market: Market,
        gateway: Gateway,
        schedule: Schedule,
        rng: Random,
        pause_seconds: float,
    ) -> None:
        self._market = market
        self._gateway = gateway
        self._schedule = schedule
        self._rng = rng
        self._first = pause_seconds or FIRST_PAUSE_SECONDS
        self._longer = 1.0 if pause_seconds else BACKOFF
        self._asks = False
        names = [f"{rng.randrange(2**32):08x}" for _ in range(2)]
        self.burster, self.insister = (Holding(name, 1.0, margined=False) for name in names)
        self._schedule(rng.uniform(0.0, BURST_SECONDS), self._burst, None)

    def act(self) -> None:
        """Begin to ask when the market has been halted."""
        if not self._asks and self._market.state == "halted":
            self._asks = True
            self._ask(self._first)

    def _burst(self, _: None) -> None:
        if self._market.state == "open":
            placed = [self._send(self.burster) for _ in range(BURST_ORDERS)]
            for order in placed:
                self._withdraw(order)
        self._schedule(BURST_SECONDS * self._rng.uniform(0.8, 1.2), self._burst, None)

    def _ask(self, pause_seconds: float) -> None:
        order = self._send(self.insister)
        self._withdraw(order)
        self._asks = self._market.state == "halted"
        if self._asks:
            wait = pause_seconds * self._rng.uniform(0.9, 1.1)
            self._schedule(wait, self._ask, pause_seconds * self._longer)

    def _send(self, holding: Holding) -> RestingOrder | None:
        market = self._market
        if not market.accepts_orders:  # others read the trading state, and send nothing
            self._gateway.admits(holding, BUY, 1, market.state)
            return None
        ticks = max(int(market.mark * DISTANCE * market.ticks_per_unit), 1)
        return market.place(holding, BUY, ticks, 1)

    def _withdraw(self, order: RestingOrder | None) -> None:
        if order is not None and order.lots:
            self._market.cancel(order)
