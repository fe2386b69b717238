"""Cross margin: who is reduced, in which symbol, and because of which symbol's price."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.market_data.events import Trade
from detectors.market_data.risk_events import Account, Liquidation
from detectors.risk.contract import Contract
from detectors.risk.joint import CrossPositions, slack
from detectors.risk.tiers import tiers_of
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS, simulate_with_risk
from service.exchange.venue.cross_margin import CrossAccount, CrossEngine, Place
from service.exchange.venue.ledger import Holding, Pool
from tests.exchange.hall import Hall

SECOND = 1_000_000_000
SYMBOLS = 3


def admit(hall, name, lots, leverage):
    """A cross-margin account with these lots in each market, entered at the present marks."""
    pool, places = Pool(name, 0.0), []
    for number, (market, desk) in enumerate(zip(hall.markets, hall.desks, strict=True)):
        holding = Holding(name, 10.0, margined=True)
        holding.pool = pool
        if lots[number]:
            holding.trade(lots[number], market.mark, market.lot_size)
        pool.positions.append((market, holding))
        hall.holdings[number].append(holding)
        places.append(Place(market, desk, holding))
    pool.collateral = pool.gross() / leverage
    return CrossAccount(pool, places)


def engine_of(hall, accounts, allocation="largest"):
    return CrossEngine(hall.clock, accounts, hall.markets, allocation, hall.schedule, hall.rng)


def move(hall, factors):
    for market, factor in zip(hall.markets, factors, strict=True):
        market.mark = market.contract.price * factor


LOTS = st.lists(
    st.lists(st.integers(-3_000, 3_000), min_size=SYMBOLS, max_size=SYMBOLS).filter(any),
    min_size=1,
    max_size=6,
)
FACTORS = st.lists(st.floats(0.9, 1.1), min_size=SYMBOLS, max_size=SYMBOLS)


@given(LOTS, st.lists(FACTORS, min_size=1, max_size=4), st.floats(5, 40))
def test_it_reduces_exactly_the_accounts_that_the_detectors_find_below_maintenance(
    lots, path, leverage
):
    hall = Hall(SYMBOLS, takeover=False)
    accounts = [admit(hall, str(n), its, leverage) for n, its in enumerate(lots)]
    contracts = [Contract(tiers_of([m.contract.maintenance_margin_rate])) for m in hall.markets]
    rows = [
        (symbol, number, holding, market)
        for symbol in range(SYMBOLS)
        for number, account in enumerate(accounts)
        for market, holding in [account.pool.positions[symbol]]
        if holding.lots
    ]
    positions = CrossPositions(
        np.array([number for _, number, _, _ in rows]),
        np.array([symbol for symbol, _, _, _ in rows]),
        np.array([its.lots * market.lot_size for _, _, its, market in rows]),
        np.array([its.entry for _, _, its, _ in rows]),
        np.array([account.pool.collateral for account in accounts]),
    )
    engine = engine_of(hall, accounts)
    expected = set()
    for factors in path:
        move(hall, factors)
        prices = np.array([market.mark for _, _, _, market in rows])
        below = slack(positions, contracts, prices)
        gross = max(account.pool.gross() for account in accounts)
        if np.any(np.abs(below) < 1e-9 * gross):
            return  # rounding decides
        expected |= {str(number) for number in np.flatnonzero(below < 0)}
        engine.check()
        hall.finish()
        for number in np.flatnonzero(below < 0):  # it is another account from now on
            positions.collateral[number] = np.inf
    assert {its.account for its in hall.records(Liquidation) if its.phase == "start"} == expected


@given(st.lists(st.integers(-3_000, 3_000), min_size=2, max_size=2).filter(any), FACTORS)
def test_the_parent_is_the_symbol_without_whose_move_most_slack_would_be_left(lots, factors):
    """The label is checked by replaying: with one symbol's mark held at its old value."""

    def run(held=None):
        hall = Hall(SYMBOLS, takeover=False)
        account = admit(hall, "x", [*lots, 0], 20.0)
        engine = engine_of(hall, [account])
        move(hall, [1.0 if n == held else factor for n, factor in enumerate(factors)])
        left = account.pool.equity() - account.pool.maintenance()
        engine.check()
        return hall, list(engine.take_forced()), left

    hall, forced, _ = run()
    if not forced:
        return
    left = {market.symbol: run(n)[2] for n, market in enumerate(hall.markets)}
    assert left[forced[0].parent] >= max(left.values()) - 1e-9 * abs(max(left.values()))
    alone = forced[0].alone
    held = next(n for n, its in enumerate(hall.markets) if its.symbol == forced[0].parent)
    assert alone == (not run(held)[1]) or abs(left[forced[0].parent]) < 1e-6
    assert 0 < forced[0].share <= 1


def test_a_fall_in_one_symbol_forces_a_sale_in_another():
    hall = Hall(2, takeover=False)
    account = admit(hall, "x", [20_000, 60_000], 25.0)  # 120,000 and 180,000 on 12,000
    engine = engine_of(hall, [account])
    move(hall, [0.905, 1.0])
    engine.check()
    (step,) = engine.take_forced()
    assert (step.symbol, step.parent, step.share, step.alone) == (
        "ETH-PERP", "BTC-PERP", 1.0, True,
    )  # fmt: skip


@pytest.mark.parametrize(("allocation", "reduced"), [("largest", 1), ("pro_rata", 2)])
def test_the_rule_says_which_positions_are_reduced(allocation, reduced):
    hall = Hall(2, takeover=False)
    # Steps of a fifth of both: one of them alone is not enough.
    account = admit(hall, "x", [20_000, 410_000], 50.0)
    engine = engine_of(hall, [account], allocation)
    move(hall, [0.984, 0.984])
    engine.check()
    assert len({step.symbol for step in engine.take_forced()}) == reduced
    hall.finish()
    assert account.pool.equity() >= account.pool.maintenance()
    assert not account.liquidating


def test_an_account_below_zero_is_taken_over_and_owes_nothing():
    hall = Hall(2, fund=1e9)
    account = admit(hall, "x", [50_000, 500_000], 40.0)
    engine = engine_of(hall, [account])
    move(hall, [0.96, 0.97])
    assert account.pool.equity() < 0
    before = hall.fund.equity() + account.pool.equity()
    engine.check()
    hall.finish()
    assert not any(holding.lots for _, holding in account.pool.positions)
    assert account.pool.collateral == pytest.approx(0.0, abs=1e-3)
    assert hall.fund.equity() == pytest.approx(before)
    assert hall.fund.unpaid == 0.0


def test_its_profit_and_fees_go_through_its_collateral():
    hall = Hall(1, takeover=False, fee=0.001)
    account = admit(hall, "x", [100_000], 100.0)
    engine = engine_of(hall, [account])
    move(hall, [0.994])
    equity = account.pool.equity()
    engine.check()
    hall.finish()
    fees = sum(its.fee or 0 for its in hall.records(Liquidation))
    assert fees > 0
    assert account.pool.equity() == pytest.approx(equity - fees)
    last = hall.records(Account)[-1]
    assert last.collateral_value == account.pool.collateral
    assert last.equity == pytest.approx(account.pool.equity())
    assert last.maintenance_requirement == pytest.approx(account.pool.maintenance())


# Contagion, out of the mechanism.


def run(market, seed):
    return list(
        simulate_with_risk(
            market, seed=seed, symbols=2, duration_ns=1_750 * SECOND, events_per_second=10.0
        )
    )


def labels(events, *kinds):
    return [event for event in events if isinstance(event, Truth) and event.kind in kinds]


def without(market, *kinds):
    """The scenario without the episodes of these kinds."""
    return replace(market, episodes=tuple(its for its in market.episodes if its.kind not in kinds))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cascade_jumps_to_the_second_symbol_through_shared_accounts(seed):
    events = run(scenario("cross_cascade"), seed)
    (spread,) = labels(events, "contagion")
    assert (spread.symbol, spread.parent_symbol) == ("ETH-PERP", "BTC-PERP")
    assert spread.channel == "shared_accounts"
    first = {truth.symbol: truth.starts_at for truth in labels(events, "cascade")}
    assert first["BTC-PERP"] < first["ETH-PERP"] == spread.starts_at
    before = [
        truth
        for truth in labels(events, "forced")
        if truth.symbol == "ETH-PERP" and truth.starts_at <= spread.starts_at + 60 * SECOND
    ]
    assert len(before) >= 5
    by_first = [truth for truth in before if truth.parent_symbol == "BTC-PERP"]
    sold = sum(truth.liquidated_notional for truth in by_first)
    assert sold > 0.9 * sum(truth.liquidated_notional for truth in before)
    liquidated = sum(
        event.price * event.quantity
        for event in events
        if isinstance(event, Trade)
        and event.liquidation
        and event.symbol == "ETH-PERP"
        and event.ts_event >= spread.starts_at
    )
    assert sold > 0.1 * liquidated


@pytest.mark.parametrize("seed", [1, 2])
def test_without_the_sale_in_the_first_symbol_the_second_has_no_cascade(seed):
    for name in ("cross_cascade", "maker_cascade"):
        assert labels(run(without(scenario(name), "big_trade"), seed), "contagion") == []


@pytest.mark.parametrize("seed", [1, 2])
def test_without_shared_accounts_or_makers_the_second_symbol_has_no_cascade(seed):
    alone = scenario("cross_cascade")
    structure = replace(alone.structure, cross=None)
    events = run(without(replace(alone, structure=structure), "cross_leverage"), seed)
    assert {truth.symbol for truth in labels(events, "cascade")} <= {"BTC-PERP"}
    together = scenario("maker_cascade")
    structure = replace(together.structure, shared_makers=False)
    events = run(replace(together, structure=structure), seed)
    assert {truth.symbol for truth in labels(events, "cascade")} <= {"BTC-PERP"}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cascade_is_followed_by_another_through_the_makers_alone(seed):
    events = run(scenario("maker_cascade"), seed)
    (spread,) = labels(events, "contagion")
    assert (spread.symbol, spread.parent_symbol) == ("ETH-PERP", "BTC-PERP")
    assert spread.channel == "co_movement"
    assert labels(events, "forced") == []
    assert spread.starts_at > START_NS + 1_440 * SECOND
