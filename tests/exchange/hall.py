"""Markets, desks and accounts built by hand, so that a test decides every price."""

from random import Random

from service.exchange.measures import CascadeMeter
from service.exchange.venue.backstop import Backstop
from service.exchange.venue.contracts import contracts
from service.exchange.venue.desk import Desk
from service.exchange.venue.insurance import InsuranceFund
from service.exchange.venue.ledger import Holding
from service.exchange.venue.liquidation import isolated_equity
from service.exchange.venue.margins import flat, tiered
from service.exchange.venue.publication import Clock
from service.exchange.venue.records import LiquidationRecords
from service.exchange.venue.venue import Market

START_NS = 1_767_225_600_000_000_000


def schedule_of(contract, is_tiered):
    if is_tiered:
        return tiered(
            contract.maintenance_margin_rate,
            contract.initial_margin_rate,
            contract.median_notional,
        )
    return flat(contract.maintenance_margin_rate)


class Hall:
    """Some markets with empty books, and one fund.

    ``takes``: instead of the book, a buyer takes every forced order at the mark price.
    """

    def __init__(self, symbols=1, *, fund=0.0, is_tiered=False, takeover=True, fee=0.0, takes=True):
        self.clock = Clock(START_NS, with_risk=True)
        self.fund = InsuranceFund(self.clock)
        self.holdings = [[] for _ in range(symbols)]
        self.markets, self.desks, self.backstops = [], [], []
        self.buyer = Holding("buyer", 1.0, margined=False)
        for number, contract in enumerate(contracts(symbols)):
            market = Market(contract, self.clock, CascadeMeter(contract.symbol))
            market.schedule = schedule_of(contract, is_tiered)
            if takes:
                market.take = self._taker(market)
            records = LiquidationRecords(market)

            def equity(holding, market=market):
                return holding.pool.equity() if holding.pool else isolated_equity(market, holding)

            backstop = Backstop(
                market, self.fund, records, "fund", lambda n=number: self.holdings[n], equity
            )
            self.markets.append(market)
            self.backstops.append(backstop)
            self.desks.append(
                Desk(market, self.fund, records, equity, fee, backstop if takeover else None)
            )
        if fund:
            self.fund.endow(fund)
        self.waiting = []
        self.rng = Random(1)

    def _taker(self, market):
        def take(holding, side, lots, **_):
            holding.trade(side * lots, market.mark, market.lot_size)
            return lots

        return take

    def schedule(self, _, call, argument):
        self.waiting.append((call, argument))

    def finish(self):
        while self.waiting:
            call, argument = self.waiting.pop(0)
            call(argument)

    def isolated(self, account, lots, leverage, entry=None, number=0):
        """Open a position with isolated margin; the other side is nobody's."""
        market = self.markets[number]
        holding = Holding(account, leverage, margined=True)
        holding.trade(lots, market.mark if entry is None else entry, market.lot_size)
        market.open_lots += max(lots, 0)
        self.holdings[number].append(holding)
        return holding

    def records(self, kind):
        return [event for event in self.clock.published if isinstance(event, kind)]
