"""The venue's risk engine for one contract: it closes positions below the maintenance margin.

The liquidation price of a position with isolated margin is constant until the position changes. Two
heaps find the positions that a move of the mark price has reached, without a scan of the others.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from random import Random

from service.exchange.rules import Who
from service.exchange.venue.desk import RETRY_SECONDS, Desk
from service.exchange.venue.ledger import Holding
from service.exchange.venue.margins import MarginSchedule
from service.exchange.venue.records import Closing
from service.exchange.venue.venue import Market

Schedule = Callable[[float, Callable[[Holding], None], Holding], None]
"""Calls a function with its argument after this many seconds."""


def isolated_equity(market: Market, holding: Holding) -> float:
    """What backs a position with isolated margin; what is left of it once it is closed."""
    return holding.equity(market.mark, market.lot_size) if holding.lots else holding.residue


class RiskEngine:
    """Monitors the holdings with isolated margin of one market.

    Attributes
    ----------
    house
        The accounts of the house.
    """

    def __init__(self, market: Market, schedule: Schedule, rng: Random, desk: Desk) -> None:
        self._market = market
        self._schedule = schedule
        self._rng = rng
        self._desk = desk
        self._entries = 0
        self._longs: list[tuple[float, int, int, Holding]] = []
        self._shorts: list[tuple[float, int, int, Holding]] = []
        self._closings: dict[Holding, Closing] = {}
        self._rules = market.rules.liquidation
        self._scaled: tuple[MarginSchedule, MarginSchedule] | None = None
        self._late: set[Holding] = set()
        self._queued: list[Holding] = []
        self._next_ns = 0
        self.house: frozenset[str] = frozenset()

    @property
    def open(self) -> int:
        """The number of positions that are being liquidated."""
        return len(self._closings)

    def check(self) -> None:
        """Start to close every position that the mark price has brought below maintenance."""
        market = self._market
        if market.changed:
            for holding in market.changed:
                if not holding.liquidating:
                    self._push(holding)
            market.changed.clear()
        mark = self._price()
        longs, shorts, due = self._longs, self._shorts, []
        while longs and -longs[0][0] >= mark:
            due.append(heappop(longs))
        while shorts and shorts[0][0] <= mark:
            due.append(heappop(shorts))
        for entry in due:  # one that is exactly at its price goes back, and must not come again now
            self._start(entry)
        if self._queued and market.clock.now >= self._next_ns:
            self._next_ns = market.clock.now + int(self._rules.best_first_seconds * 1e9)
            self._begin_due(self._queued.pop())

    def _price(self) -> float:
        """The price that decides."""
        return self._market.last if self._rules.trigger_price == "last" else self._market.mark

    def _schedule_of_margins(self) -> MarginSchedule:
        """The margin below which positions are liquidated."""
        schedule = self._market.schedule
        if self._rules.trigger_ratio == 1.0:
            return schedule
        if self._scaled is None or self._scaled[0] is not schedule:
            self._scaled = (schedule, schedule.scaled(self._rules.trigger_ratio))
        return self._scaled[1]

    def _is_one_of(self, who: Who, holding: Holding) -> bool:
        if who == "small":
            return self._desk.is_small(holding)
        return who == "everybody" or (who == "house" and holding.account in self.house)

    def _push(self, holding: Holding) -> None:
        price = holding.liquidation_price(self._schedule_of_margins(), self._market.lot_size)
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
        rules = self._rules
        if rules.exempt != "nobody" and self._is_one_of(rules.exempt, holding):
            return
        if rules.waits != "nobody" and self._is_one_of(rules.waits, holding):
            if holding not in self._late:
                self._late.add(holding)
                self._schedule(rules.wait_seconds, self._begin_due, holding)
            return
        if rules.best_first_seconds:
            if holding not in self._queued:
                self._queued.append(holding)
            return
        self._begin(holding)

    def _begin_due(self, holding: Holding) -> None:
        """Begin a liquidation that has waited, if it is still due."""
        self._late.discard(holding)
        market = self._market
        equity = holding.equity(market.mark, market.lot_size)
        required = market.schedule.maintenance(abs(holding.lots) * market.lot_size * market.mark)
        if holding.liquidating or not holding.lots:
            return
        if equity < required:
            self._begin(holding)
        else:
            self._push(holding)

    def _begin(self, holding: Holding) -> None:
        holding.liquidating = True
        self._closings[holding] = self._desk.opened(holding)
        self._step(holding)

    def _step(self, holding: Holding) -> None:
        market = self._market
        mark, lot_size = self._price(), market.lot_size
        equity = holding.equity(mark, lot_size)
        notional = abs(holding.lots) * lot_size * mark
        required = market.schedule.maintenance(notional)
        closing = self._closings[holding]
        is_restored = equity >= self._schedule_of_margins().maintenance(notional)
        if not holding.lots or (is_restored and self._rules.stops_when_restored):
            holding.liquidating = False
            del self._closings[holding]
            self._desk.end(holding, closing, holding.residue)
            holding.residue = 0.0
            self._push(holding)
            return
        closed = self._desk.step(holding, closing, equity, required)
        delay = self._rules.step_delay_seconds if closed else RETRY_SECONDS
        self._schedule(delay * self._rng.uniform(0.5, 1.5), self._step, holding)
