"""An exception out of the core sets its symbol aside; the others go on undisturbed."""

import msgspec
import numpy as np
import pytest

from detectors import symbol
from detectors.catalogue import CATALOGUE
from detectors.incidents.alerts import firing
from detectors.incidents.symbol_incidents import Incident
from detectors.judging.controller import Controllers
from detectors.judging.tail import Tails
from detectors.market_data.book import Book
from detectors.market_data.columns import MarketColumns
from detectors.market_data.events import Order
from detectors.market_data.running_median import RunningMedians
from detectors.parameters import Parameters
from detectors.scorer import Scorers
from detectors.state import capture
from detectors.symbol import SymbolMonitor
from service.pipeline.output import Output, Tally
from service.pipeline.set_aside import SetAside
from service.pipeline.task import PartitionTask
from service.pipeline.wire import Decoder
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

STREAMS = ("orders", "cancels", "trades")
SYMBOLS = ("AAA", "BBB")
EVENTS = market(3, 60, symbols=SYMBOLS)


def task(*, sets_aside=True, max_orders=10**6):
    return PartitionTask(
        STREAMS,
        Parameters(),
        CATALOGUE,
        max_disorder_ns=0,
        max_symbols=9,
        max_orders=max_orders,
        tally=Tally(),
        sets_aside=sets_aside,
    )


def order_of(symbol, ts_event):
    return Order(
        ts_event=ts_event, symbol=symbol, order_id="later", side="buy", price=1.0, quantity=1.0
    )


def run(its, chunks=10):
    """Feed everything in chunks; all outputs together."""
    total = Output()
    logs = by_stream(EVENTS)
    for chunk in range(chunks):
        for stream, events in logs.items():
            first, stop = len(events) * chunk // chunks, len(events) * (chunk + 1) // chunks
            part = events[first:stop]
            its.feed(stream, part, first_offset=first, next_offset=stop)
        output = its.advance()
        total.signals += output.signals
        total.forgotten += output.forgotten
        total.set_aside |= output.set_aside
        total.refused += output.refused
    return total


def failing(monkeypatch, name, *, after=0):
    """Let a method of AAA's monitor fail, from some call on."""
    original = getattr(SymbolMonitor, name)
    calls = []

    def method(self, *arguments):
        if self.symbol == "AAA":
            calls.append(None)
            if len(calls) > after:
                raise ZeroDivisionError("a fault of ours")
        return original(self, *arguments)

    monkeypatch.setattr(SymbolMonitor, name, method)


@pytest.mark.parametrize(("name", "after"), [("apply", 100), ("end_bar", 20), ("conclude", 20)])
def test_the_symbol_is_set_aside_by_name_and_the_others_go_on(monkeypatch, name, after):
    undisturbed = run(task())
    failing(monkeypatch, name, after=after)
    its = task()
    output = run(its)
    assert list(output.set_aside) == ["AAA"]
    assert output.set_aside["AAA"].startswith(
        "ZeroDivisionError('a fault of ours') (test_set_aside"
    )
    assert output.forgotten == ["AAA"]
    assert list(its.monitors) == ["BBB"]
    of_bbb = [signal for signal in undisturbed.signals if signal.symbol == "BBB"]
    assert [signal for signal in output.signals if signal.symbol == "BBB"] == of_bbb
    # Every event has become something.
    assert {event.symbol for event in output.refused} == {"AAA"}
    waiting = sum(its.aligner.pending(stream) for stream in STREAMS)
    tally = its.tally
    assert tally.scored + tally.late + tally.refused + waiting == len(EVENTS)
    assert "AAA" not in its.changed()


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (MarketColumns, "add_many"),
        (RunningMedians, "learn_many"),  # the last part of the sums
        (Scorers, "step_many"),
        (Tails, "learn_many"),  # between judging and learning
        (Controllers, "step_many"),  # the last part of the judgement
    ],
)
def test_a_symbol_that_fails_in_a_step_for_all_is_the_only_one_set_aside(monkeypatch, owner, step):
    """What the step had computed of the others before it failed is not learned twice."""
    its = task()
    original = getattr(owner, step)
    calls = []

    def failing_step(self, *given):
        calls.append(None)
        aaa = its.monitors.get("AAA")
        if len(calls) > 40 and aaa is not None and any(aaa.row in rows for rows in rows_of(given)):
            raise ZeroDivisionError("a fault of ours")
        return original(self, *given)

    # The first bars after a start are not judged.
    monkeypatch.setattr(symbol, "SETTLING_BARS", 5)
    undisturbed_task = task()
    undisturbed = run(undisturbed_task)
    monkeypatch.setattr(owner, step, failing_step)
    output = run(its)
    assert list(output.set_aside) == ["AAA"]
    of_bbb = [signal for signal in undisturbed.signals if signal.symbol == "BBB"]
    assert len(of_bbb) > 50
    assert [signal for signal in output.signals if signal.symbol == "BBB"] == of_bbb
    learned, expected = (capture(t.monitors["BBB"], None) for t in (its, undisturbed_task))
    assert msgspec.json.encode(learned) == msgspec.json.encode(expected)


def rows_of(given):
    """Yield the rows among the arguments of a step: an array of their numbers."""
    return [its for its in given if isinstance(its, np.ndarray) and its.dtype == np.intp][:1]


def test_a_book_that_fails_where_it_is_trimmed_sets_its_symbol_aside(monkeypatch):
    def evict(_self, count):
        raise KeyError(count)

    monkeypatch.setattr(Book, "evict", evict)
    output = run(task(max_orders=20))
    assert set(output.set_aside) <= set(SYMBOLS)
    assert output.set_aside


def test_elsewhere_an_exception_is_raised(monkeypatch):
    failing(monkeypatch, "apply")
    with pytest.raises(ZeroDivisionError):
        run(task(sets_aside=False))


def record(symbol, number):
    return (
        f'{{"ts_event": {BEGIN + number * SECOND}, "symbol": "{symbol}", "order_id": "{number}", '
        f'"side": "buy", "price": 1.0, "quantity": 1.0}}'
    ).encode()


def test_later_records_of_the_symbol_are_refused_byte_for_byte():
    aside = SetAside(lambda _: None)
    aside.contain("AAA", lambda: 1 / 0)
    batch = [record("BBB", 0), b"not JSON", record("AAA", 1), record("BBB", 2), record("AAA", 3)]
    decoded = Decoder("orders", {}, "ns", 1_000).decode(
        batch, [(BEGIN + 100 * SECOND) // 1_000_000] * len(batch)
    )
    kept = aside.filter(decoded, len(batch))
    assert [event.order_id for event in kept.events] == ["0", "2"]
    assert [(its.index, its.reason) for its in kept.rejections] == [
        (1, "not_json"),
        (2, "set_aside"),
        (4, "set_aside"),
    ]
    assert "symbol AAA is set aside until a restart: ZeroDivisionError" in kept.rejections[1].detail
    assert isinstance(kept.events[0], Order)


def test_an_incident_of_a_symbol_that_is_set_aside_is_resolved():
    its = task()
    logs = by_stream(EVENTS)
    for stream, events in logs.items():
        its.feed(stream, events, first_offset=0, next_offset=len(events))
    its.advance()
    fired = firing(
        "AAA", "thin_book", 1, "warning", BEGIN, BEGIN, score=9.0, p_value=1e-9, evidence=[],
        summary="AAA: thin", inputs=[],
    )  # fmt: skip
    its.monitors["AAA"].incidents.open = Incident(fired, ["thin_book"], 1, BEGIN)
    its.monitors["AAA"].open_bar = None  # its next step fails
    later = order_of("AAA", BEGIN + 70 * SECOND)
    its.feed("orders", [later], first_offset=10**6, next_offset=10**6 + 1)
    for stream in STREAMS:
        its.aligner.set_idle(stream)
    output = its.advance()
    assert list(output.set_aside) == ["AAA"]
    (alert,) = [its for its in output.alerts if its.symbol == "AAA"]
    assert (alert.alert_id, alert.status) == (fired.alert_id, "resolved")
    assert alert.summary == "AAA: it is not watched: its detection failed"
