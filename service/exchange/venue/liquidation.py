"""The venue's risk engine for one contract: it closes positions below the maintenance margin.

The liquidation price of a position with isolated margin is constant until the position changes. Two
heaps find the positions that a move of the mark price has reached, without a scan of the others.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from random import Random

from service.exchange.venue.desk import RETRY_SECONDS, STEP_DELAY_SECONDS, Desk
from service.exchange.venue.ledger import Holding
from service.exchange.venue.records import Closing
from service.exchange.venue.venue import Market

Schedule = Callable[[float, Callable[[Holding], None], Holding], None]
"""Calls a function with its argument after this many seconds."""


def isolated_equity(market: Market, holding: Holding) -> float:
    """What backs a position with isolated margin; what is left of it once it is closed."""
    return holding.equity(market.mark, market.lot_size) if holding.lots else holding.residue


class RiskEngine:
    """Monitors the holdings with isolated margin of one market."""

    def __init__(self, market: Market, schedule: Schedule, rng: Random, desk: Desk) -> None:
        self._market = market
        self._schedule = schedule
        self._rng = rng
        self._desk = desk
        self._entries = 0
        self._longs: list[tuple[float, int, int, Holding]] = []
        self._shorts: list[tuple[float, int, int, Holding]] = []
        self._closings: dict[Holding, Closing] = {}

    def check(self) -> None:
        """Start to close every position that the mark price has brought below maintenance."""
        market = self._market
        if market.changed:
            for holding in market.changed:
                if not holding.liquidating:
                    self._push(holding)
            market.changed.clear()
        mark = market.mark
        longs, shorts = self._longs, self._shorts
        while longs and -longs[0][0] >= mark:
            self._start(heappop(longs))
        while shorts and shorts[0][0] <= mark:
            self._start(heappop(shorts))

    def _push(self, holding: Holding) -> None:
        price = holding.liquidation_price(self._market.schedule, self._market.lot_size)
        if not price:
            return
        self._entries += 1
        if holding.lots > 0:
            heap, key = self._longs, -price
        else:
            heap, key = self._shorts, price
        heappush(heap, (key, self._entries, holding.version, holding))
        if len(heap) > 4096:
            heap[:] = [entry for entry in heap if entry[2] == entry[3].version]
            heapify(heap)

    def _start(self, entry: tuple[float, int, int, Holding]) -> None:
        _, _, version, holding = entry
        if version != holding.version or holding.liquidating:
            return
        holding.liquidating = True
        self._closings[holding] = self._desk.opened(holding)
        self._step(holding)

    def _step(self, holding: Holding) -> None:
        market = self._market
        mark, lot_size = market.mark, market.lot_size
        equity = holding.equity(mark, lot_size)
        required = market.schedule.maintenance(abs(holding.lots) * lot_size * mark)
        closing = self._closings[holding]
        if not holding.lots or equity >= required:
            holding.liquidating = False
            del self._closings[holding]
            self._desk.end(holding, closing, holding.residue)
            holding.residue = 0.0
            self._push(holding)
            return
        closed = self._desk.step(holding, closing, equity, required)
        delay = STEP_DELAY_SECONDS if closed else RETRY_SECONDS
        self._schedule(delay * self._rng.uniform(0.5, 1.5), self._step, holding)
