"""The venue's risk engine for one contract: it closes positions below the maintenance margin.

The liquidation price of a position is constant until the position changes. Two heaps find the
positions that a move of the mark price has reached, without a scan of the others.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from random import Random

from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL
from service.exchange.venue.venue import Market

STEP_SHARE = 0.2
"""A step closes this share of the position's size when it fell below maintenance (Hyperliquid sends
20 % of a large position at a time)."""

WHOLE_BELOW_ORDERS = 10.0
"""A position smaller than this many median orders is closed in one step."""

STEP_DELAY_SECONDS = 0.4
RETRY_SECONDS = 3.0
"""Mean time between two steps of one account, in which the venue recomputes its margin. It is
longer after a step that found no counterparty."""

Schedule = Callable[[float, Callable[[Holding], None], Holding], None]
"""Calls a function with its argument after this many seconds."""


class RiskEngine:
    """Monitors the margined holdings of one market."""

    def __init__(self, market: Market, schedule: Schedule, rng: Random) -> None:
        self._market = market
        self._schedule = schedule
        self._rng = rng
        self._entries = 0
        self._longs: list[tuple[float, int, int, Holding]] = []
        self._shorts: list[tuple[float, int, int, Holding]] = []
        contract = market.contract
        self._maintenance = contract.maintenance_margin_rate
        self._whole_lots = int(
            WHOLE_BELOW_ORDERS * contract.median_notional / contract.price * contract.lots_per_unit
        )
        self._step_lots: dict[Holding, int] = {}

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
        price = holding.liquidation_price(self._maintenance, self._market.lot_size)
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
        held = abs(holding.lots)
        self._step_lots[holding] = (
            held if held <= self._whole_lots else max(int(held * STEP_SHARE), 1)
        )
        self._step(holding)

    def _step(self, holding: Holding) -> None:
        market = self._market
        mark, lot_size = market.mark, market.lot_size
        required = self._maintenance * abs(holding.lots) * lot_size * mark
        if not holding.lots or holding.equity(mark, lot_size) >= required:
            holding.liquidating = False
            del self._step_lots[holding]
            self._push(holding)
            return
        side = SELL if holding.lots > 0 else BUY
        lots = min(self._step_lots[holding], abs(holding.lots))
        traded = market.take(holding, side, lots, reduce_only=True, liquidation=True)
        if traded:
            market.meter.liquidated(
                market.clock.now,
                holding.account,
                side,
                traded * lot_size * mark,
                mark,
                market.open_notional(),
            )
        delay = STEP_DELAY_SECONDS if traded else RETRY_SECONDS
        self._schedule(delay * self._rng.uniform(0.5, 1.5), self._step, holding)
