"""Invariants of a task and its output, for any input."""

import json
import math
from typing import Any, NoReturn

import msgspec

from detectors.closing import Signal
from detectors.incidents.alerts import Alert
from detectors.market_data.account_sums import MAX_ACCOUNTS
from detectors.market_data.book import Book
from detectors.market_data.large_orders import MOST_AT_ONCE as MOST_LARGE_ORDERS
from detectors.open_bar import MOST_AT_ONCE
from service.pipeline.admission import newcomers
from service.pipeline.output import Output
from service.pipeline.task import PartitionTask


def check_task(task: PartitionTask, fed: int) -> None:
    """Every event is accounted for, every book is consistent, and every bound holds."""
    tally = task.tally
    waiting = sum(task.aligner.pending(stream) for stream in task.aligner._streams)
    processed = tally.scored + tally.late + tally.skipped + tally.unwatched + tally.repeated
    accounted = processed + waiting
    assert accounted == fed, (accounted, fed)
    assert len(task.monitors) <= task.max_symbols + newcomers(task.max_symbols)
    assert set(task.emission.with_incident) <= set(task.monitors)
    for symbol, monitor in task.monitors.items():
        check_book(monitor.book)
        leverage_baselines = monitor.leverage_baselines
        # A new account may exceed the size of a generation by one.
        assert (
            len(leverage_baselines.recent) + len(leverage_baselines.older)
            <= task.parameters.max_accounts + 1
        ), symbol
        large = monitor.large
        assert max(len(large.layers.sums), len(large.spoofs.sums)) <= MAX_ACCOUNTS
        assert max(len(large.placed), len(large.shown)) < MOST_LARGE_ORDERS
        assert len(monitor.open_bar.leveraged) < MOST_AT_ONCE
        check_finite(msgspec.to_builtins(monitor.open_bar.flow))


def check_book(book: Book) -> None:
    """No quantity is negative, levels are the sums of their orders, prices are sorted."""
    assert len(book.orders) <= book.max_orders
    for side, is_buy in ((book.bids, True), (book.asks, False)):
        orders = [order for order in book.orders.values() if order.is_buy is is_buy]
        assert sorted(side.levels) == sorted({order.price for order in orders})
        assert side.prices == sorted(side.sign * price for price in side.levels)
        assert sum(level.orders for level in side.levels.values()) == len(orders)
        assert all(order.quantity > 0.0 for order in orders)
        for level in side.levels.values():
            assert 0.0 <= level.quantity < math.inf, level


def check_output(output: Output) -> None:
    """Numbers are finite, probabilities and shares are valid, and everything is valid JSON."""
    for signal in output.signals:
        _check_signal(signal)
    for alert in output.alerts:
        assert 0.0 <= alert.p_value <= 1.0
        assert alert.evidence
        assert sum(e.contribution for e in alert.evidence) <= 1.0 + 1e-9
        assert all(e.contribution >= 0.0 for e in alert.evidence)
        assert alert.summary.isprintable()
        same_after_json(alert, Alert)
    for switch in output.switches:
        same_after_json(switch, type(switch))


def _check_signal(signal: Signal) -> None:
    assert signal.stress_ratio is None or signal.stress_ratio <= 1.0
    for reading in signal.detectors.values():
        assert reading.p_value is None or 0.0 <= reading.p_value <= 1.0
        assert reading.score is None or reading.score >= 0.0
        for shares in (reading.contributions, reading.drift):
            assert not shares or abs(sum(c.share for c in shares) - 1.0) < 1e-9
            assert all(c.share >= 0.0 for c in shares)
        assert not reading.alarm or reading.contributions
    same_after_json(signal, Signal)


def same_after_json(value: Any, value_type: Any) -> None:
    """Encoding and decoding preserves the value; a number that is not finite would become null."""
    text = msgspec.json.encode(value)
    json.loads(text, parse_constant=_no_constant)
    check_finite(msgspec.to_builtins(value))
    assert msgspec.json.decode(text, type=value_type) == value


def check_finite(value: Any) -> None:
    """All numbers in plain data are finite."""
    match value:
        case float():
            assert math.isfinite(value)
        case dict():
            for item in value.values():
                check_finite(item)
        case list() | tuple():
            for item in value:
                check_finite(item)


def _no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")
