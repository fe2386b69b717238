"""Scenarios do what their names say, and cascades come out of the mechanism."""

from collections import Counter
from types import UnionType
from typing import Any

import pytest

from detectors.market_data.events import Cancel, Event, Order, Reference, Trade
from service.exchange.measures import MEASURED, CascadeMeter, Truth, WithdrawalMeter
from service.exchange.scenarios.catalogue import SCENARIOS, scenario
from service.exchange.simulation import START_NS, simulate

SECOND = 1_000_000_000


def run(
    name: str,
    seed: int = 1,
    seconds: int = 1_300,
    events_per_second: float = 10.0,
    symbols: int = 1,
    **how: Any,
):
    return list(
        simulate(
            scenario(name, **how),
            seed=seed,
            symbols=symbols,
            duration_ns=seconds * SECOND,
            events_per_second=events_per_second,
        )
    )


def between(events: list[Event | Truth], kind: type | UnionType, start: int, end: int):
    low, high = START_NS + start * SECOND, START_NS + end * SECOND
    return [event for event in events if isinstance(event, kind) and low <= event.ts_event < high]


def truths(events: list[Event | Truth]):
    """What was provoked, and cascades; makers also leave by themselves, and come back."""
    labels = [event for event in events if isinstance(event, Truth)]
    return [label for label in labels if label.kind != "makers_left"]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "calm"])
def test_what_is_provoked_is_labelled_beside_the_stream(name: str):
    symbols = max(SCENARIOS[name].symbols or (0,)) + 1
    labels = truths(run(name, seconds=300, start_seconds=60, length_seconds=120, symbols=symbols))
    provoked = [label for label in labels if label.kind not in (*MEASURED, "breach")]
    assert provoked
    for label in provoked:
        assert label.symbol in ("BTC-PERP", "ETH-PERP")[:symbols]
        assert START_NS + 60 * SECOND <= label.starts_at < label.ends_at


def test_an_unknown_scenario_is_refused_by_name():
    with pytest.raises(ValueError, match="scenarios: calm, surge"):
        scenario("panic")
    with pytest.raises(ValueError, match="strength"):
        scenario("surge", strength=0)


def test_surge_multiplies_events_without_stress():
    calm = busy = 0.0
    for seed in range(4):
        events = run("surge", seed=seed, seconds=760, length_seconds=120, start_seconds=600)
        calm += len(between(events, Order | Cancel | Trade, 300, 600)) / 300
        busy += len(between(events, Order | Cancel | Trade, 620, 700)) / 80
        assert [label.kind for label in truths(events)] == ["surge"]
        marks = [event.mark_price for event in between(events, Reference, 600, 760)]
        assert max(marks) / min(marks) < 1.01
    assert 5 < busy / calm < 20


def test_cancel_burst_withdraws_orders_within_two_seconds():
    events = run("cancel_burst", events_per_second=30.0, seconds=960)
    cancels = Counter(
        (event.ts_event - START_NS) // SECOND for event in between(events, Cancel, 600, 960)
    )
    placed = len(between(events, Order, 903, 913))
    usual = len(between(events, Order, 600, 900)) / 30
    assert cancels[900] + cancels[901] >= 35
    assert placed < 0.7 * usual


def test_leverage_rises_by_many_accounts_or_by_one():
    many = run("leverage_buildup", seconds=1_380)
    before = [event.leverage for event in between(many, Order, 600, 900)]
    after = [event.leverage for event in between(many, Order, 1_200, 1_380)]
    assert sum(after) / len(after) > 1.5 * sum(before) / len(before)
    (label,) = [label for label in truths(many) if label.kind == "leverage_buildup"]
    assert len(label.accounts) >= 10
    one = run("leverage_jump", seconds=1_100)
    (label,) = truths(one)
    (account,) = label.accounts
    orders = [event for event in between(one, Order, 900, 1_080) if event.account == account]
    assert len(orders) >= 5
    assert {event.leverage for event in orders} == {100.0}


def test_a_draining_book_is_placed_smaller():
    events = run("draining_book", seconds=1_350)

    def placed(start: int, end: int) -> float:
        sizes = [event.quantity for event in between(events, Order, start, end)]
        return sum(sizes) / len(sizes)

    assert placed(1_250, 1_320) < 0.6 * placed(600, 900)


def test_cascades_begin_after_their_build_up_and_in_most_seeds():
    onsets = []
    for seed in range(8):
        events = run("cascade", seed=seed, seconds=1_800, events_per_second=5.0)
        labels = {label.kind: label for label in truths(events)}
        for kind in ("leverage_buildup", "draining_book", "big_trade"):
            assert kind in labels
        if "cascade" in labels:
            cascade = labels["cascade"]
            onsets.append((cascade.starts_at - labels["draining_book"].starts_at) / SECOND)
            assert cascade.peak_drawdown_ratio > 0.005
            steps = [event for event in events if isinstance(event, Trade) and event.liquidation]
            assert len(steps) >= cascade.liquidation_steps
    assert len(onsets) >= 6
    assert min(onsets) > 120


def test_neither_calm_nor_the_same_sale_alone_is_a_cascade():
    for seed in range(4):
        assert truths(run("calm", seed=seed, seconds=1_800, events_per_second=5.0)) == []
        labels = truths(run("big_trade", seed=seed, seconds=1_300, events_per_second=5.0))
        assert [label.kind for label in labels] == ["big_trade"]


def test_the_onset_is_the_first_liquidation_of_the_window_that_qualifies():
    meter = CascadeMeter("X")
    now = START_NS
    meter.traded(now, 1_000.0)
    for number in range(10):
        now += SECOND
        meter.traded(now, 100.0)
        mark = 100.0 - number / 10
        meter.liquidated(now, f"account {number}", -1, 100.0, mark, 10_000.0)
    assert meter.watch(now + 60 * SECOND, 90.0) is None
    cascade = meter.watch(now + 121 * SECOND, 99.0)
    assert cascade is not None
    assert cascade.starts_at == START_NS + SECOND
    assert cascade.ends_at == now
    assert cascade.peak_drawdown_ratio == pytest.approx(0.1)
    assert cascade.liquidation_steps == 10
    assert cascade.liquidated_notional == pytest.approx(1_000.0)
    assert meter.close() is None


def test_manipulation_is_by_one_account_that_hardly_trades():
    for name in ("layering", "quote_stuffing"):
        events = run(name, seconds=1_050)
        (label,) = truths(events)
        (account,) = label.accounts
        placed = [event for event in between(events, Order, 900, 1_020) if event.account == account]
        others = [event for event in between(events, Order, 900, 1_020) if event.account != account]
        sold = sum(event.quantity for event in placed if event.side == "sell")
        assert len(placed) > (100 if name == "layering" else 0.5 * len(others))
        trades = [
            event
            for event in between(events, Trade, 900, 1_050)
            if event.maker_account == account and event.side == "buy"
        ]
        assert sum(event.quantity for event in trades) < 0.1 * sold


def test_a_lull_ends_with_everybody_coming_back():
    events = run("lull", seconds=1_700)
    quiet = len(between(events, Order, 960, 1_480)) / 520
    after = len(between(events, Order, 1_520, 1_700)) / 180
    assert quiet < 0.1 * after


def test_a_wider_spread_and_another_rhythm_leave_activity_and_depth_alone():
    wide = run("spread_blowout", seconds=1_010)
    assert [label.kind for label in truths(wide)] == ["spread_blowout"]
    quick = run("requote_rhythm", seconds=1_500, events_per_second=30.0)
    usual = len(between(quick, Cancel, 300, 900)) / 600
    assert 1.4 < len(between(quick, Cancel, 900, 1_500)) / 600 / usual < 4


def test_liquidations_that_do_not_move_the_price_are_no_cascade():
    meter = CascadeMeter("X")
    meter.traded(START_NS, 1_000.0)
    for number in range(10):
        meter.liquidated(START_NS, f"account {number}", -1, 100.0, 100.0, 10_000.0)
    assert meter.watch(START_NS + 121 * SECOND, 99.9) is None
    assert meter.close() is None


def test_makers_that_leave_by_themselves_are_told_until_most_are_back():
    meter = WithdrawalMeter("A")
    told = [meter.watch(at, share) for at, share in enumerate([1.0, 0.6, 0.4, 0.1, 0.6, 0.8, 1.0])]
    (label,) = [label for label in told if label is not None]
    assert (label.kind, label.starts_at, label.ends_at, label.strength) == (
        "makers_left",
        2,
        5,
        0.9,
    )
    assert meter.close(7) is None


def test_when_makers_pull_their_quotes_they_have_left():
    events = run("cancel_burst", seconds=300, start_seconds=100, length_seconds=60)
    left = [e for e in events if isinstance(e, Truth) and e.kind == "makers_left"]
    assert any(abs(label.starts_at - START_NS - 100 * SECOND) < 3 * SECOND for label in left)
    assert max(label.strength for label in left) > 0.8
