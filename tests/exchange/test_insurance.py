"""Bankruptcy: takeover by the fund, automatic deleveraging, and books that reconcile."""

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.market_data.events import Position
from detectors.market_data.risk_events import Insurance, Liquidation
from service.exchange import simulation
from service.exchange.floors import Floors
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate_with_risk
from service.exchange.venue.backstop import FUND_MARGIN
from service.exchange.venue.matching import SELL
from tests.exchange.hall import Hall

SECOND = 1_000_000_000
BANKRUPT_LOTS = 10_000


def bankrupt_hall(fund, shorts):
    """A long that the mark has carried below zero, and shorts of (lots, leverage, entry factor)."""
    hall = Hall(fund=fund)
    (market,) = hall.markets
    price = market.mark
    long = hall.isolated("long", BANKRUPT_LOTS, 50.0, entry=price)
    targets = [
        hall.isolated(f"short{n}", -lots, leverage, entry=price * factor)
        for n, (lots, leverage, factor) in enumerate(shorts)
    ]
    market.mark = price * 0.97  # a loss of 3 % on a margin of 2 %
    long.liquidating = True
    return hall, long, targets


def wreck(hall, long):
    (market,) = hall.markets
    equity = long.equity(market.mark, market.lot_size)
    price = long.bankruptcy_price(market.mark, market.lot_size, equity)
    assert market.mark < price < long.entry
    return hall.backstops[0].take_over(long, abs(long.lots), price, "L"), price


SHORTS = st.lists(
    st.tuples(
        st.integers(1, 6_000), st.sampled_from([2.0, 5.0, 20.0, 50.0]), st.floats(0.94, 1.02)
    ),
    min_size=2,
    max_size=12,
).filter(lambda its: sum(lots for lots, _, _ in its) >= BANKRUPT_LOTS)


@given(SHORTS)
def test_without_a_fund_all_is_deleveraged_in_the_order_of_the_rule_and_to_the_lot(shorts):
    hall, long, targets = bankrupt_hall(0.0, shorts)
    (market,) = hall.markets
    held = {its.account: its.lots for its in targets}

    def score(its):
        notional = abs(its.lots) * market.lot_size
        equity = its.margin + its.lots * market.lot_size * (market.mark - its.entry)
        ratio = (its.entry - market.mark) / its.entry
        leverage = notional * market.mark / equity if equity > 0 else float("inf")
        return ratio * leverage if ratio > 0 else ratio / leverage

    scores = {its.account: score(its) for its in targets}
    open_before = market.open_lots
    taken, price = wreck(hall, long)
    assert taken == (0, BANKRUPT_LOTS)
    records = [its for its in hall.records(Liquidation) if its.reason == "counterparty"]
    order = [its.account for its in records]
    closed = {its.account: its.lots - held[its.account] for its in targets}
    assert [its.quantity_filled for its in records] == pytest.approx(
        [closed[account] * market.lot_size for account in order]
    )
    assert sum(closed.values()) == BANKRUPT_LOTS
    assert long.lots == 0
    # Everyone before the last is closed whole, and nobody with a higher score is left out.
    assert all(closed[account] == -held[account] for account in order[:-1])
    ranked = [scores[account] for account in order]
    assert all(high >= low - 1e-9 * abs(low) for high, low in pairwise(ranked))
    spared = [scores[account] for account in scores if account not in order]
    assert max(spared, default=ranked[-1]) <= ranked[-1] + 1e-9 * abs(ranked[-1])
    assert market.open_lots == open_before - BANKRUPT_LOTS
    assert long.residue == pytest.approx(0.0, abs=1e-6 * price)
    assert {its.method for its in records} == {"adl"}
    assert all(its.price == price for its in records)
    assert hall.fund.balance == hall.fund.unpaid == 0.0


@given(st.floats(1.0, 3_000.0))
def test_the_fund_takes_what_it_can_bear_and_deleverages_the_rest(fund):
    hall, long, _ = bankrupt_hall(fund, [(BANKRUPT_LOTS, 5.0, 1.0)])
    (market,) = hall.markets
    taken, price = wreck(hall, long)
    assert taken.taken_over + taken.deleveraged == BANKRUPT_LOTS
    own = hall.backstops[0].holding
    assert own.lots == taken.taken_over
    equity = fund + own.profit(market.mark, market.lot_size)
    assert hall.fund.equity() == pytest.approx(equity)
    assert equity >= FUND_MARGIN * hall.fund.at_risk() - 1e-6 * fund
    per_lot = market.lot_size * (price - market.mark + FUND_MARGIN * market.mark)
    if taken.deleveraged:  # one more lot would have been too much
        assert fund < (taken.taken_over + 1) * per_lot * (1 + 1e-9)


def test_the_fund_sells_what_it_holds_and_settles_its_loss():
    hall, long, _ = bankrupt_hall(5e4, [(BANKRUPT_LOTS, 5.0, 1.0)])
    (market,) = hall.markets
    (_, price), backstop = wreck(hall, long), hall.backstops[0]
    market.near_lots = 50_000.0
    for _ in range(100):
        backstop.act(1.0)
    assert backstop.holding.lots == 0
    loss = BANKRUPT_LOTS * market.lot_size * (price - market.mark)
    assert hall.fund.balance == pytest.approx(5e4 - loss)
    assert hall.fund.unpaid == 0.0


def test_a_fund_that_can_bear_its_position_no_longer_deleverages_it():
    hall, long, (short,) = bankrupt_hall(1_000.0, [(BANKRUPT_LOTS, 2.0, 1.0)])
    (market,) = hall.markets
    wreck(hall, long)
    own = hall.backstops[0].holding
    held = own.lots
    assert held > 0
    market.mark *= 0.9
    assert hall.fund.equity() < 0
    hall.backstops[0].act(1.0)
    assert (own.lots, short.lots) == (0, 0)
    assert hall.fund.balance == pytest.approx(0.0, abs=1e-6 * market.mark)
    assert hall.fund.unpaid == pytest.approx(0.0, abs=1e-6 * market.mark)


def test_a_bankrupt_position_of_an_isolated_account_is_published_below_zero():
    hall = Hall(takeover=False)
    (market,) = hall.markets
    long = hall.isolated("long", 1_000, 100.0)
    long.liquidating = True
    long.trade(-200, market.mark * 0.9, market.lot_size)
    market.publish_position(long)
    assert hall.records(Position)[-1].margin < 0


def run(name, seed=1, **more):
    settings = {"symbols": 2, "duration_ns": 1_650 * SECOND, "events_per_second": 10.0}
    return simulate_with_risk(scenario(name), seed=seed, **(settings | more))


@pytest.fixture(params=["cascade", "cross_cascade", "exhausted_fund", "insured_stress"])
def venue(request, monkeypatch):
    """A whole run: its floors at the end, and its events."""
    made = []

    def make(*its):
        made.append(Floors(*its))
        return made[0]

    monkeypatch.setattr(simulation, "Floors", make)
    events = list(run(request.param))
    return request.param, made[0], events


def test_a_run_reconciles(venue):
    """Longs are shorts and the open interest; the fund's path is that of its changes."""
    name, floors, events = venue
    for floor in floors.floors:
        holdings = list(floor.holdings())
        if floor.backstop is not None:
            holdings.append(floor.backstop.holding)
        assert sum(its.lots for its in holdings) == 0
        assert sum(max(its.lots, 0) for its in holdings) == floor.market.open_lots
    path = [event for event in events if isinstance(event, Insurance)]
    balance = 0.0
    for event in path:
        balance += event.delta
        assert event.balance == pytest.approx(balance, abs=1e-6 * path[0].balance)
        assert event.balance >= 0
        assert (event.delta < 0) == (event.cause == "loss")
    assert floors.fund.balance == path[-1].balance
    if floors.floors[0].backstop is not None:
        assert floors.fund.unpaid == pytest.approx(0.0, abs=1e-6 * path[0].balance)
    by_id = defaultdict(float)
    for event in path[1:]:
        by_id[event.liquidation_id] += event.delta
    told = defaultdict(float)
    for event in events:
        if isinstance(event, Liquidation) and event.insurance_delta:
            told[event.liquidation_id] += event.insurance_delta
    for liquidation_id, delta in told.items():
        assert delta == pytest.approx(by_id[liquidation_id], abs=1e-6 * path[0].balance), name


def test_every_liquidation_has_a_start_and_its_steps_close_what_they_say():
    open_ids, closed = set(), 0.0
    last = {}
    for event in run("exhausted_fund"):
        if isinstance(event, Position):
            last[event.symbol, event.account] = event.quantity
        if not isinstance(event, Liquidation) or event.reason == "counterparty":
            continue
        if event.phase == "start":
            assert event.liquidation_id not in open_ids
            open_ids.add(event.liquidation_id)
            assert event.quantity_requested == abs(last[event.symbol, event.account])
        elif event.liquidation_id.startswith(event.symbol):
            assert event.liquidation_id in open_ids
            if event.phase == "end":
                open_ids.remove(event.liquidation_id)
            else:
                assert 0 < event.quantity_filled <= event.quantity_requested
                closed += event.quantity_filled
    assert closed > 0


def test_deleveraged_accounts_were_on_the_other_side_and_in_profit():
    sides, found = {}, 0
    for event in run("exhausted_fund", seed=2):
        if isinstance(event, Position):
            sides[event.symbol, event.account] = event
        elif isinstance(event, Liquidation) and event.reason == "counterparty":
            target = sides[event.symbol, event.account]
            found += 1
            if target.quantity:  # what is left after it
                assert (event.price - target.entry_price) * target.quantity > 0
    assert found > 10


def test_stress_that_the_fund_absorbs_deleverages_nobody_and_is_no_cascade():
    taken = 0
    for seed in (1, 2, 3):
        for event in run("insured_stress", seed=seed):
            if isinstance(event, Liquidation):
                assert event.method != "adl"
                taken += event.phase == "takeover"
            assert getattr(event, "kind", None) != "cascade"
    assert taken > 10


def test_closing_in_the_book_stops_at_the_bankruptcy_price():
    for event in run("exhausted_fund"):
        if isinstance(event, Liquidation) and event.method == "book":
            better = event.price - event.bankruptcy_price
            is_long = event.equity_before > 0 and event.bankruptcy_price < event.mark_price
            assert better >= -1e-6 * event.price if is_long else better <= 1e-6 * event.price


def test_a_sale_takes_shorts_and_a_purchase_longs():
    hall = Hall()
    hall.isolated("long", 5, 10.0)
    hall.isolated("short", -5, 10.0)
    assert [its.account for its in hall.backstops[0].queue(SELL)] == ["short"]
    assert [its.account for its in hall.backstops[0].queue(-SELL)] == ["long"]
