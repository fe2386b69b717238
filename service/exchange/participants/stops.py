"""Stop orders of clients: hidden until the mark price reaches them, then market orders.

Stops make a fall feed itself without any liquidation (Osler 2005: stop-loss orders and price
cascades in currency markets). They close a position and never open one.
"""

from collections.abc import Sequence
from random import Random

from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL
from service.exchange.venue.venue import Market

DISTANCE_DEVIATIONS = 140.0
DISTANCE_SPREAD = 0.6
"""Median distance of a stop from the mark price when it is placed, in standard deviations of one
second (1.3 % for bitcoin), and the standard deviation of its logarithm. Numbers chosen."""

REPLACED_SECONDS = 60.0
"""Mean time until an account without a stop places one."""


class Stops:
    """The stop orders of one market's accounts."""

    def __init__(
        self, market: Market, holdings: Sequence[Holding], share: float, rng: Random
    ) -> None:
        self._market = market
        self._rng = rng
        self._users = [holding for holding in holdings if rng.random() < share]
        self._triggers: dict[Holding, float] = {}
        self.triggered = 0

    def act(self, seconds: float) -> None:
        """Trigger what the mark price has reached, and let accounts place new stops."""
        market, mark = self._market, self._market.mark
        if market.state != "open":
            return
        for holding in self._users:
            trigger = self._triggers.get(holding)
            if trigger is None:
                if holding.lots and self._rng.random() < seconds / REPLACED_SECONDS:
                    self._triggers[holding] = self._place(holding)
            elif not holding.lots or holding.liquidating:
                del self._triggers[holding]
            elif (mark <= trigger) if holding.lots > 0 else (mark >= trigger):
                del self._triggers[holding]
                self.triggered += 1
                side = SELL if holding.lots > 0 else BUY
                market.take(holding, side, abs(holding.lots), reduce_only=True, trigger=trigger)

    def _place(self, holding: Holding) -> float:
        deviation = self._market.contract.deviation
        distance = DISTANCE_DEVIATIONS * deviation * self._rng.lognormvariate(0.0, DISTANCE_SPREAD)
        direction = 1 if holding.lots > 0 else -1
        return self._market.mark * (1 - direction * distance)
