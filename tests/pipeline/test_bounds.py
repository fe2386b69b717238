"""What grows has a bound: counted in entries, with more made up than there is room for."""

import itertools
import logging

import msgspec
import pytest
import structlog

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.account_sums import MAX_ACCOUNTS
from detectors.market_data.events import Order
from detectors.market_data.large_orders import MOST_AT_ONCE as MOST_LARGE_ORDERS
from detectors.open_bar import MOST_AT_ONCE
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor
from service.kafka.watching.limit_log import LimitLog, PositionLimitLog
from service.pipeline.admission import IDLE_NS, newcomers
from service.pipeline.output import Tally
from service.pipeline.task import PartitionTask
from service.settings.types import LimitSettings
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

STREAMS = ("orders", "cancels", "trades")
PARAMETERS = Parameters(warmup_bars=60, false_alarms_per_day=2_000.0, quiet_ns=10 * SECOND)
ROOM = 20


def new_task(**bounds):
    bounds = {"max_disorder_ns": 0, "max_symbols": ROOM, "tally": Tally()} | bounds
    return PartitionTask(STREAMS, PARAMETERS, CATALOGUE, **bounds)


def order(at, **changes):
    fields = {"symbol": "S", "order_id": "o", "account": "a", "side": "buy", "price": 100.0}
    return Order(**({"ts_event": at, "quantity": 1.0, "leverage": 3.0} | fields | changes))


def feed(task, events):
    for stream, its in by_stream(sorted(events, key=lambda e: e.ts_event)).items():
        first = task.aligner.read(stream)
        task.feed(stream, its, first_offset=first, next_offset=first + len(its))
        if not its:
            task.aligner.set_idle(stream)
    return task.advance()


def told(outputs, symbols):
    """The alerts and signals of some symbols, whenever they were given out."""
    return [
        sorted(
            (its for output in outputs for its in getattr(output, kind) if its.symbol in symbols),
            key=lambda its: (its.ts_event, its.symbol, str(its)),
        )
        for kind in ("alerts", "signals")
    ]


def test_made_up_symbols_neither_grow_without_bound_nor_disturb_the_real_ones():
    events = market(seed=5, seconds=400)
    seconds = [
        list(its) for _, its in itertools.groupby(events, key=lambda e: e.ts_event // SECOND)
    ]
    undisturbed, flooded = new_task(), new_task()
    expected, got = [], []
    made_up = 0
    for number, real in enumerate(seconds):
        expected.append(feed(undisturbed, real))
        # From the second bar on, half of them before the real ones and half amid them.
        fakes = [
            order(BEGIN + number * SECOND + i % 2 * SECOND // 2, symbol=f"fake-{number}-{i}")
            for i in range(50 if number else 0)
        ]
        made_up += len(fakes)
        got.append(feed(flooded, real + fakes))
        assert len(flooded.monitors) <= ROOM + newcomers(ROOM)
        assert len(flooded._unsaved) <= len(flooded.monitors)
    assert made_up > 100 * ROOM
    alerts = [a for output in expected for a in output.alerts]
    assert len({alert.alert_id for alert in alerts}) >= 2, "there must be something to disturb"
    assert told(got, {"AAA", "BBB"}) == told(expected, {"AAA", "BBB"})
    tally = flooded.tally
    assert tally.unwatched > 0.9 * made_up
    assert tally.evicted_symbols > 100
    waiting = sum(flooded.aligner.pending(stream) for stream in STREAMS)
    assert tally.scored + tally.late + tally.unwatched + waiting == len(events) + made_up


def test_more_real_symbols_than_there_is_room_for_do_not_crowd_each_other_out():
    events = market(seed=1, seconds=200, symbols=tuple("ABCDE"))
    task = new_task(max_symbols=2)
    for _, second in itertools.groupby(events, key=lambda e: e.ts_event // SECOND):
        feed(task, second)
    judged = [symbol for symbol, monitor in task.monitors.items() if not monitor.warming_up]
    assert len(judged) == 2, "those that were there first are watched, not all of them in turn"


def test_a_symbol_that_was_quiet_for_a_day_makes_room_and_one_that_was_not_stays():
    task = new_task(max_symbols=2)
    feed(task, market(seed=1, seconds=200))
    assert not any(monitor.warming_up for monitor in task.monitors.values())
    feed(task, [order(BEGIN + IDLE_NS, symbol="BBB"), order(BEGIN + IDLE_NS, symbol="new")])
    feed(task, [order(BEGIN + IDLE_NS + 300 * SECOND, symbol="BBB")])
    output = feed(task, [order(BEGIN + IDLE_NS + 301 * SECOND, symbol="BBB")])
    assert list(task.monitors) == ["new", "BBB"]
    assert output.forgotten == ["AAA"]
    assert task.tally.evicted_symbols == 1


@pytest.mark.parametrize("admitted_in", [1, 7, 1_000])
def test_who_is_admitted_does_not_depend_on_the_size_of_the_batches(admitted_in):
    events = [order(BEGIN + i * SECOND // 100, symbol=f"x{i * i % 97}") for i in range(1_000)]
    task = new_task()
    for start in range(0, len(events), admitted_in):
        feed(task, events[start : start + admitted_in])
    feed(task, [order(BEGIN + 20 * SECOND)])
    whole = new_task()
    feed(whole, events)
    feed(whole, [order(BEGIN + 20 * SECOND)])
    assert list(task.monitors) == list(whole.monitors)
    assert task.tally == whole.tally


def test_order_ids_and_price_levels_are_bounded_and_the_oldest_go_first():
    parameters = Parameters(max_orders=640)
    monitor = SymbolMonitor("S", parameters, CATALOGUE, Counts())
    for i in range(20_000):
        price = 100.0 + i * 1e-6
        monitor.apply(order(BEGIN + i, order_id=f"o{i}", price=price))
        assert len(monitor.book.orders) <= 640
        assert len(monitor.book.bids.levels) == len(monitor.book.bids.prices) <= 640
    assert next(reversed(monitor.book.orders)) == "o19999"
    assert "o19400" in monitor.book.orders
    monitor.close_bar(BEGIN + SECOND)
    assert monitor.counts.evicted_orders == 20_000 - len(monitor.book.orders)


def test_all_books_together_are_bounded_and_only_the_largest_give():
    task = new_task(max_orders=1_600)
    feed(task, [order(BEGIN + i, symbol="small", order_id=f"s{i}") for i in range(100)])
    for start in range(0, 40_000, 100):
        batch = range(start, start + 100)
        feed(task, [order(BEGIN + i, symbol=f"L{i % 10}", order_id=f"o{i}") for i in batch])
        resting = {symbol: len(m.book.orders) for symbol, m in task.monitors.items()}
        assert sum(resting.values()) <= 1_600 * 17 // 16
    assert resting["small"] == 100
    assert min(size for symbol, size in resting.items() if symbol != "small") >= 140
    feed(task, [order(BEGIN + 2 * SECOND)])
    assert task.tally.market.evicted_orders >= 40_000 - 1_700


def test_accounts_and_what_waits_for_the_end_of_a_bar_are_bounded():
    parameters = Parameters(max_accounts=100)
    monitor = SymbolMonitor("S", parameters, CATALOGUE, Counts())
    for second in range(3):  # a depth and a size to be large against
        for i, price in enumerate((99.99, 100.01)):
            at = BEGIN + second * SECOND
            side = ("buy", "sell")[i]
            monitor.apply(order(at, order_id=f"d{i}", side=side, price=price))
        monitor.close_bar(BEGIN + (second + 1) * SECOND)
    for i in range(30_000):
        monitor.apply(
            order(
                BEGIN + 3 * SECOND + i, order_id=f"o{i % 10}", account=f"a{i}", price=99.99,
                quantity=10.0, leverage=2.0,
            )
        )  # fmt: skip
        assert len(monitor.open_bar.leveraged) < MOST_AT_ONCE
        assert len(monitor.large.placed) < MOST_LARGE_ORDERS
    monitor.close_bar(BEGIN + 4 * SECOND)
    assert len(monitor.leverage_baselines.recent) + len(monitor.leverage_baselines.older) <= 100
    assert 0 < len(monitor.large.layers.sums) <= MAX_ACCOUNTS
    assert monitor.counts.evicted_accounts >= 29_000
    # What was looked at before the bar closed counts as well.
    assert monitor.columns.market.spans.state(monitor.row)[0].leveraged == pytest.approx(
        30_000 * 999.9, rel=0.01
    )


def test_a_topic_whose_time_stands_still_does_not_pile_up():
    task = new_task(max_disorder_ns=100_000_000, max_waiting=500)
    feed(task, [])
    task.feed("cancels", [], first_offset=0, next_offset=0)
    for stream in ("cancels", "trades"):
        task.aligner.set_idle(stream)
    for start in range(0, 20_000, 100):
        frozen = [order(BEGIN, order_id=f"o{i}") for i in range(start, start + 100)]
        task.feed("orders", frozen, first_offset=start, next_offset=start + 100)
        task.advance()
        assert task.aligner.pending("orders") <= 600
    tally = task.tally
    assert tally.scored + tally.late + task.aligner.pending("orders") == 20_000


def test_the_log_says_which_bound_bites_and_what_was_given_up_once_a_minute():
    structlog.reset_defaults()
    logging.getLogger().setLevel(logging.INFO)
    tally = Tally()
    with structlog.testing.capture_logs() as lines:
        bounds = LimitLog(LimitSettings(), tally)
        bounds.note(now=0.0)
        tally.unwatched = 3
        tally.market.evicted_accounts = 2
        bounds.note(now=1.0)
        tally.unwatched = 10
        bounds.note(now=30.0)
        bounds.note(now=61.0)
    told = [(line["setting"], line["limit"], line["given_up"], line["count"]) for line in lines]
    assert told == [
        ("limits.symbols", 10_000, "events of unwatched symbols", 3),
        ("limits.accounts", 1_024, "accounts evicted", 2),
        ("limits.symbols", 10_000, "events of unwatched symbols", 7),
    ]


def test_an_output_about_a_symbol_of_any_spelling_is_json():
    symbol = '<b>"Ü\\b\'s"</b> 🚀'
    task = new_task()
    for _, second in itertools.groupby(
        market(seed=5, seconds=330, symbols=(symbol,)), key=lambda e: e.ts_event // SECOND
    ):
        output = feed(task, second)
        for its in (*output.alerts, *output.signals):
            assert msgspec.json.decode(msgspec.json.encode(its))["symbol"] == symbol
    assert not task.monitors[symbol].warming_up


def test_the_log_says_how_many_positions_the_watch_over_risk_gave_up():
    structlog.reset_defaults()
    logging.getLogger().setLevel(logging.INFO)
    with structlog.testing.capture_logs() as logged:
        log = PositionLimitLog(1_000)
        for now, evicted in ((0.0, 0), (1.0, 15), (30.0, 30), (61.5, 45), (200.0, 45)):
            log.note(evicted, now)
    assert [(line["setting"], line["limit"], line["count"]) for line in logged] == [
        ("risk.max_positions", 1_000, 15),
        ("risk.max_positions", 1_000, 30),
    ]
    assert {line["given_up"] for line in logged} == {"positions evicted, the smallest first"}
