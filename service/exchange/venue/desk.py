"""Executes the steps of liquidations in one market: book, fee, insurance fund, takeover, records.

The engines of isolated and of cross margin decide whom to liquidate and how much; the desk does it.
"""

from math import ceil, floor

from detectors.market_data.risk_events import Segment
from service.exchange.rules import KEPT
from service.exchange.venue.accounts import publish_balance
from service.exchange.venue.backstop import Backstop
from service.exchange.venue.deleveraging import Equity
from service.exchange.venue.insurance import InsuranceFund
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL
from service.exchange.venue.records import Closing, LiquidationRecords
from service.exchange.venue.venue import Market

STEP_SHARE = KEPT.liquidation.step_share
WHOLE_BELOW_ORDERS = KEPT.liquidation.whole_below_orders
STEP_DELAY_SECONDS = KEPT.liquidation.step_delay_seconds
"""What the venue states, see `service.exchange.rules.LiquidationRules`."""

RETRY_SECONDS = 3.0
"""Mean time to the next step after one that found no counterparty."""


class Desk:
    """The liquidations of one market.

    Parameters
    ----------
    market, fund
        The market, and the fund that bears losses.
    equity
        What backs a position.
    fee
        What the fund earns from each step, as a ratio to its notional.
    backstop
        Takes over bankrupt positions; None: they are closed through the book.

    Attributes
    ----------
    segments
        The class of each account whose balance is published after its liquidation.
    """

    def __init__(
        self,
        market: Market,
        fund: InsuranceFund,
        records: LiquidationRecords,
        equity: Equity,
        fee: float = 0.0,
        backstop: Backstop | None = None,
    ) -> None:
        self._market = market
        self._fund = fund
        self._records = records
        self._equity = equity
        self._fee = fee
        self._backstop = backstop
        self.segments: dict[str, Segment] = {}
        contract, self._rules = market.contract, market.rules.liquidation
        self._waterfall = market.rules.waterfall
        whole_below = self._rules.whole_below_orders
        self._whole_lots = int(
            whole_below * contract.median_notional / contract.price * contract.lots_per_unit
        )

    def is_small(self, holding: Holding) -> bool:
        """Whether the venue states that it closes a position whole."""
        contract = self._market.contract
        notional = abs(holding.lots) * contract.lot_size * contract.price
        return notional <= WHOLE_BELOW_ORDERS * contract.median_notional

    def opened(self, holding: Holding) -> Closing:
        """Begin a liquidation: choose its name and the size of its steps."""
        held = abs(holding.lots)
        step = held if held <= self._whole_lots else max(int(held * self._rules.step_share), 1)
        return Closing(self._records.next_id(), step)

    def step(self, holding: Holding, closing: Closing, equity: float, required: float) -> int:
        """Close one step of a position; return the lots that left it.

        ``equity`` and ``required`` are what backs the position and what it needs, now.
        """
        market = self._market
        price = holding.bankruptcy_price(market.mark, market.lot_size, equity)
        is_first = not closing.is_published
        if is_first:
            closing.is_published = True
            self._records.publish(
                closing.liquidation_id,
                holding,
                "start",
                requested=abs(holding.lots),
                equity=equity,
                maintenance=required,
                bankruptcy_price=price,
            )
        lots = min(closing.step_lots, abs(holding.lots))
        skips_book = is_first and self._rules.takeover_first
        is_due = equity <= self._waterfall.takeover_ratio * required
        if self._backstop is not None and (is_due or skips_book):
            side = SELL if holding.lots > 0 else BUY
            taken = self._backstop.take_over(holding, lots, price, closing.liquidation_id)
            closed = taken.taken_over + taken.deleveraged
            self._measure(holding, side, closed)
            return closed
        return self._slice(holding, closing, lots, equity, required)

    def end(self, holding: Holding, closing: Closing, residue: float) -> None:
        """End a liquidation; ``residue`` is what is left of the collateral of a closed position."""
        pays = residue < 0 and self._waterfall.pays_losses
        paid = self._fund.pay(-residue, closing.liquidation_id) if pays else 0.0
        if not self._waterfall.remainder_returned and not holding.lots and residue > 0:
            self._fund.earn(residue, closing.liquidation_id)
            paid, residue = -residue, 0.0
        segment = self.segments.get(holding.account)
        if segment is not None and not holding.lots:
            owed = residue < 0 and not self._waterfall.pays_losses
            balance = residue if owed else max(residue, 0.0)
            publish_balance(self._market.clock, holding.account, segment, balance)
        if closing.is_published:
            self._records.publish(
                closing.liquidation_id,
                holding,
                "end",
                insurance_delta=-paid if paid else None,
                returned=None if holding.lots else max(residue, 0.0),
            )

    def _slice(
        self, holding: Holding, closing: Closing, lots: int, equity: float, required: float
    ) -> int:
        market = self._market
        side = SELL if holding.lots > 0 else BUY
        lots = self._misjudged(holding, closing, lots)
        if lots < 0:
            side, lots = -side, -lots
        price = holding.bankruptcy_price(market.mark, market.lot_size, equity)
        limit = None
        if self._backstop is not None:  # a loss beyond the collateral is the fund's to take over
            ticks = price * market.ticks_per_unit
            limit = max(ceil(ticks - 1e-9), 1) if side == SELL else floor(ticks + 1e-9)
        cash = holding.cash
        traded = market.take(holding, side, lots, limit=limit, reduce_only=True, liquidation=True)
        if not traded:
            return 0
        self._measure(holding, side, traded)
        notional = abs(holding.cash - cash)
        due = self._waterfall.fee_multiple * self._fee * notional
        fee = min(due, max(self._equity(holding), 0.0))
        if fee:
            holding.charge(fee)
            self._fund.earn(fee, closing.liquidation_id)
            market.publish_position(holding)
        self._records.publish(
            closing.liquidation_id,
            holding,
            "slice",
            method="book",
            order_id=market.publication.last_order_id,
            requested=lots,
            filled=traded,
            price=notional / (traded * market.lot_size),
            equity=equity,
            maintenance=required,
            bankruptcy_price=price,
            fee=fee,
            insurance_delta=fee,
        )
        return traded

    def _misjudged(self, holding: Holding, closing: Closing, lots: int) -> int:
        """The lots that a venue orders that breaks its rules; negative on the wrong side."""
        rules = self._rules
        if rules.oversell != 1.0 and lots == abs(holding.lots):
            lots = int(lots * rules.oversell)
        is_wrong = rules.first_side_wrong and not closing.has_erred
        closing.has_erred = True
        return -lots if is_wrong else lots

    def _measure(self, holding: Holding, side: int, lots: int) -> None:
        market = self._market
        if lots:
            market.meter.liquidated(
                market.clock.now,
                holding.account,
                side,
                lots * market.lot_size * market.mark,
                market.mark,
                market.open_notional(),
            )
