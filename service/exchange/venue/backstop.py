"""What happens to bankrupt positions: the fund takes them over or deleverages the other side.

The order of escalation is that of large venues: book, takeover by the insurance fund, automatic
deleveraging (Bybit's and WhiteBIT's documents). The fund takes a position at its bankruptcy price
as far as it can bear the loss at the mark price, and sells it slowly in the book. The rest is
closed against accounts of the other side, at the bankruptcy price.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from service.exchange.venue.accounts import publish_pool
from service.exchange.venue.deleveraging import Equity, ranked, shared
from service.exchange.venue.insurance import InsuranceFund
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL
from service.exchange.venue.records import LiquidationRecords
from service.exchange.venue.venue import Market

FUND_MARGIN = 0.02
"""The fund takes positions over only while its equity is at least this share of their notional. At
half of it, it deleverages what it holds. Number chosen."""

UNWIND_DEPTHS = 0.03
UNWIND_BAND = 0.005
"""The fund sells this many near depths a second, no further than this from the mark price. Numbers
chosen: slow enough not to continue the fall."""


class Taken(NamedTuple):
    """What became of a part of a bankrupt position, in lots."""

    taken_over: int
    deleveraged: int


class Backstop:
    """The fund's account in one market, and the venue's queue for deleveraging there.

    Parameters
    ----------
    market, fund, records
        The market, the fund that bears the losses, and the published records.
    account
        The published name of the fund's account.
    holdings
        All holdings of the market but the fund's.
    equity
        What backs a position.
    """

    def __init__(
        self,
        market: Market,
        fund: InsuranceFund,
        records: LiquidationRecords,
        account: str,
        holdings: Callable[[], Iterable[Holding]],
        equity: Equity,
    ) -> None:
        self.holding = Holding(account, 1.0, margined=False)
        fund.inventory.append((market, self.holding))
        self._market = market
        self._fund = fund
        self._records = records
        self._holdings = holdings
        self._equity = equity
        self._unsold = 0.0

    def take_over(self, bankrupt: Holding, lots: int, price: float, liquidation_id: str) -> Taken:
        """Relieve a bankrupt position of ``lots`` at its bankruptcy price."""
        if self._market.state != "open":
            return Taken(0, 0)
        side = SELL if bankrupt.lots > 0 else BUY
        kept = min(self._bearable(side, price), lots)
        if kept:
            booked = self._booked()
            self._market.transfer(bankrupt, self.holding, -side * kept, price)
            delta = self._realise(booked, liquidation_id)
            self._records.publish(
                liquidation_id,
                bankrupt,
                "takeover",
                method="backstop",
                requested=lots,
                filled=kept,
                price=price,
                bankruptcy_price=price,
                insurance_delta=delta,
            )
        return Taken(kept, self._deleverage(bankrupt, lots - kept, price, liquidation_id))

    def act(self, seconds: float) -> None:
        """Sell what the fund holds, or deleverage it if the fund can bear it no longer."""
        market, own, fund = self._market, self.holding, self._fund
        if not own.lots:
            return
        if fund.equity() < 0.5 * FUND_MARGIN * fund.at_risk():
            self._relieve()
            return
        self._unsold += UNWIND_DEPTHS * seconds * market.near_lots
        if self._unsold < max(UNWIND_DEPTHS * market.near_lots, 1.0):
            return  # once a second
        lots = min(int(self._unsold), abs(own.lots))
        self._unsold -= lots
        side = SELL if own.lots > 0 else BUY
        limit = int(market.mark * (1 + side * UNWIND_BAND) * market.ticks_per_unit)
        booked = self._booked()
        market.take(own, side, lots, limit=limit, reduce_only=True)
        self._realise(booked, None)

    def queue(self, side: int) -> list[Holding]:
        """The accounts that deleveraging closes against an order of this side; see `ranked`."""
        others = (its for its in self._holdings() if its.lots * side > 0)
        return ranked(others, self._market, self._equity)

    def _bearable(self, side: int, price: float) -> int:
        """How many lots the fund can take at this price and still have its margin."""
        market, fund = self._market, self._fund
        if not market.rules.waterfall.takes_over:
            return 0
        loss = max(side * (market.mark - price), 0.0) * market.lot_size
        needed = FUND_MARGIN * market.lot_size * market.mark
        free = fund.equity() - FUND_MARGIN * fund.at_risk()
        return max(int(free / (loss + needed)), 0)

    def _relieve(self) -> None:
        """Deleverage the fund's own position, at a price that its equity can pay."""
        market, own, fund = self._market, self.holding, self._fund
        price = market.mark - min(fund.equity(), 0.0) / (own.lots * market.lot_size)
        booked = self._booked()
        self._deleverage(own, abs(own.lots), price, f"{own.account}-{market.symbol}")
        self._realise(booked, None)

    def _deleverage(self, giver: Holding, lots: int, price: float, liquidation_id: str) -> int:
        """Close ``lots`` of a position against the queue; return the closed lots."""
        if not lots:
            return 0
        market, left = self._market, lots
        rules = market.rules.waterfall
        side = SELL if giver.lots > 0 else BUY
        for target, closed in shared(rules.adl_rule, self.queue(side), lots, market, self._equity):
            market.transfer(giver, target, -side * closed, price)
            if target.pool is not None:
                publish_pool(market.clock, target.pool)
            for holding, reason in ((giver, None), (target, "counterparty")):
                self._records.publish(
                    liquidation_id,
                    holding,
                    "slice",
                    method="adl",
                    requested=closed,
                    filled=closed,
                    price=price,
                    bankruptcy_price=price,
                    reason=reason,
                )
            left -= closed
            if rules.adl_excess_ratio:
                self._close_more(target, int(closed * rules.adl_excess_ratio), liquidation_id)
        return lots - left

    def _close_more(self, target: Holding, lots: int, liquidation_id: str) -> None:
        """Close more of a target than was needed, against the largest account on the other side."""
        market = self._market
        side = SELL if target.lots > 0 else BUY
        others = [its for its in self._holdings() if its.lots * side > 0 and not its.liquidating]
        other = max(others, key=lambda its: abs(its.lots), default=None)
        if other is None or not target.lots:
            return
        closed = min(lots, abs(target.lots), abs(other.lots))
        if not closed:
            return
        market.transfer(target, other, -side * closed, market.mark)
        for holding in (target, other):
            self._records.publish(
                liquidation_id,
                holding,
                "slice",
                method="adl",
                requested=closed,
                filled=closed,
                price=market.mark,
                reason="counterparty",
            )

    def _booked(self) -> float:
        """The fund's profit so far, with its position at the entry price."""
        own = self.holding
        return own.cash + own.lots * self._market.lot_size * own.entry

    def _realise(self, booked: float, liquidation_id: str | None) -> float:
        """Settle the profit since ``booked`` with the fund; return the change of its balance."""
        gain = self._booked() - booked
        if gain >= 0:
            self._fund.earn(gain, liquidation_id)
            return gain
        return -self._fund.pay(-gain, liquidation_id)
