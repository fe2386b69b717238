"""The simulated exchange's own risk engine liquidates whom the ladder says, and as much."""

from collections import deque
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.contract import Contract
from detectors.risk.forced import forced_at, forced_of
from detectors.risk.ladder import ladder_of
from detectors.risk.liquidation import bankruptcy_prices, liquidation_prices
from detectors.risk.reduction import Reduction
from detectors.risk.tiers import tiers_of
from service.exchange.rules import KEPT
from service.exchange.venue.contracts import contracts
from service.exchange.venue.desk import STEP_SHARE, WHOLE_BELOW_ORDERS, Desk
from service.exchange.venue.insurance import InsuranceFund
from service.exchange.venue.ledger import Holding
from service.exchange.venue.liquidation import RiskEngine, isolated_equity
from service.exchange.venue.margins import flat
from service.exchange.venue.matching import BUY
from service.exchange.venue.publication import Clock, Publication
from service.exchange.venue.records import LiquidationRecords

CONTRACT = contracts(1)[0]
LOT = CONTRACT.lot_size
WHOLE_LOTS = int(
    WHOLE_BELOW_ORDERS * CONTRACT.median_notional / CONTRACT.price * CONTRACT.lots_per_unit
)


class BottomlessMarket:
    """Takes every forced sale at the mark price, so that the sales do not move it."""

    def __init__(self):
        self.contract, self.lot_size, self.symbol = CONTRACT, LOT, CONTRACT.symbol
        self.schedule = flat(CONTRACT.maintenance_margin_rate)
        self.mark = CONTRACT.price
        self.rules = KEPT
        self.changed = {}
        self.clock = Clock(0)
        self.publication = Publication(CONTRACT, self.clock)
        self.meter = self
        self.sold = {}

    def take(self, holding, side, lots, *, limit, reduce_only, liquidation):
        assert limit is None
        assert reduce_only
        assert liquidation
        holding.trade(lots if side == BUY else -lots, self.mark, LOT)
        self.sold[holding.account] = self.sold.get(holding.account, 0) + lots
        return lots

    def liquidated(self, *_):
        """The meter does not matter here."""

    def open_notional(self):
        return 0.0


@st.composite
def venues(draw):
    """Holdings of both sides, with lots that a fifth divides."""
    holdings = []
    for number in range(draw(st.integers(1, 12))):
        leverage = float(draw(st.integers(5, 50)))
        holding = Holding(str(number), leverage, margined=True)
        size = 5 * draw(st.integers(1, max(2, WHOLE_LOTS)))
        entry = CONTRACT.price * draw(st.floats(0.99, 1.01))
        holding.trade(size * draw(st.sampled_from([-1, 1])), entry, LOT)
        holdings.append(holding)
    return holdings


def ladders(holdings):
    quantity = np.array([holding.lots * LOT for holding in holdings])
    entry = np.array([holding.entry for holding in holdings])
    margin = np.array([holding.margin for holding in holdings])
    contract = Contract(tiers_of([CONTRACT.maintenance_margin_rate]))
    prices = liquidation_prices(contract, quantity, entry, margin)
    bankrupt = bankruptcy_prices(contract, quantity, entry, margin)
    account = np.arange(len(holdings))
    return {
        side: ladder_of(contract, side, CONTRACT.price, account, quantity, prices, bankrupt)
        for side in ("long", "short")
    }


def liquidate(holdings, path):
    """Let the engine check each mark price of the path, and finish its steps before the next."""
    market, waiting = BottomlessMarket(), deque()
    desk = Desk(
        market,
        InsuranceFund(market.clock),
        LiquidationRecords(market),
        lambda holding: isolated_equity(market, holding),
    )
    engine = RiskEngine(
        market, lambda _, call, holding: waiting.append((call, holding)), Random(1), desk
    )
    market.changed.update(dict.fromkeys(holdings))
    for mark in path:
        market.mark = mark
        engine.check()
        while waiting:
            call, holding = waiting.popleft()
            call(holding)
    return market.sold


@given(venues(), st.lists(st.floats(0.75, 1.25), min_size=1, max_size=6))
def test_a_path_of_the_mark_price_liquidates_exactly_the_accounts_of_the_ladder(venue, path):
    both = ladders(venue)
    marks = [CONTRACT.price * factor for factor in path]
    fall, rise = 1 - min(path), max(path) - 1
    expected = {
        str(account)
        for side, furthest in (("long", fall), ("short", rise))
        for account, move in zip(both[side].account, both[side].move, strict=True)
        if move <= furthest
    }
    assert set(liquidate(venue, marks)) == expected


@given(venues(), st.floats(0.8, 1.2))
def test_a_jump_of_the_mark_price_forces_what_the_ladder_says(venue, factor):
    both = ladders(venue)
    whole_below = (WHOLE_LOTS + 0.5) * LOT * CONTRACT.price
    rule = Reduction("steps", step_ratio=STEP_SHARE, whole_below=whole_below)
    side, move = ("long", 1 - factor) if factor < 1 else ("short", factor - 1)
    forced = forced_of(both[side], rule)
    beside = forced_at(forced, np.array([move - 1e-9, move + 1e-9]))
    other = "short" if side == "long" else "long"
    # At the present mark price nobody of the other side is below maintenance.
    assert forced_at(forced_of(both[other], rule), np.array([-abs(move)]))[0] == 0.0
    sold = sum(liquidate(venue, [CONTRACT.price * factor]).values()) * LOT * CONTRACT.price
    total = both[side].notional.sum()
    assert beside[0] - 1e-6 * total <= sold <= beside[1] + 1e-6 * total
