"""A successor goes on with what its predecessor had learned, and says the same from there on."""

import math
from itertools import pairwise

import msgspec
import pytest

from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.assessment import Learned
from detectors.risk_watch.co_movement import MINUTE_NS, CoMovement
from detectors.risk_watch.contagion import ToldSpread
from detectors.risk_watch.flow_history import DAY_MINUTES
from detectors.risk_watch.memory import MEMORY_SECONDS, Memory, learned_of, memory_of
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput
from tests.risk_watch.venue import BEGIN, SECOND, Venue, crowd, margin, position, reference

DEPTH = (1e5, 1e5, 1e5, 1e5)
READ_BACK = 600
"""How many seconds of flow a successor reads again: less than what the impact is learned from."""


class Recorder:
    """A monitor whose input is kept."""

    def __init__(self):
        self.monitor = RiskMonitor()
        self.input = []

    def take(self, event):
        self.input.append(("take", event.ts_event, event))
        return self.monitor.take(event)

    def summarise(self, symbol, ends_at, summary):
        self.input.append(("summarise", ends_at, summary))
        return self.monitor.summarise(symbol, ends_at, summary)

    def close_until(self, ts_event):
        return self.monitor.close_until(ts_event)


@pytest.fixture(scope="module")
def session():
    """Accounts are forced while depth is withdrawn; later a cascade comes near, and goes."""
    venue = Venue(slope=2e-6, flow=100.0, seed=3)
    recorder = venue.monitor = Recorder()
    venue.keep = venue.output.join
    venue.take(margin(), reference(), position("s", -1_000.0, 0.5))
    venue.run(400)
    venue.run(30, forced_sold=4_000.0, factor=3.0, depth=2e4)
    venue.run(1_000)
    venue.take(*crowd(900.0, 0.008, at=venue.now))
    venue.run(200)
    venue.take(*crowd(900.0, 0.004, at=venue.now))
    venue.run(150)
    venue.take(*crowd(900.0, 0.5, at=venue.now))
    venue.run(60)
    return recorder.input, venue.output, venue.now


def successor(session, cut, *, remembers=True):
    """What a monitor gives that takes over after ``cut``."""
    events, output, end = session
    monitor, given = RiskMonitor(), RiskOutput()
    memories = [its for its in output.memories if its.ts_event <= cut] if remembers else []
    kept = msgspec.json.decode(msgspec.json.encode(memories), type=list[Memory])
    monitor.resume(
        [its for its in output.records if its.ts_event <= cut],
        [its for its in output.alerts if its.ts_event <= cut],
        kept,
    )
    for kind, at, its in events:
        if kind == "take":
            given.join(monitor.take(its))
        elif at > cut - READ_BACK * SECOND:
            given.join(monitor.summarise("X", at, its))
    given.join(monitor.close_until(end))
    return given


def differs(given, output, cut):
    """Which parts of the output after ``cut`` differ; a difference of the bytes would be long."""

    def bytes_of(part):
        return msgspec.json.encode([its for its in part if its.ts_event > cut])

    return [
        name
        for name in ("records", "alerts", "memories")
        if bytes_of(getattr(given, name)) != bytes_of(getattr(output, name))
    ]


CUTS = (1_425, 1_470, 1_495, 1_640, 1_700)
"""Before the crowd comes, while its cascade is near for less than a minute, while the incident is
open, and around its changes; in seconds."""


@pytest.mark.parametrize("cut", CUTS)
def test_who_takes_over_says_what_would_have_been_said(session, cut):
    _, output, _ = session
    at = BEGIN + cut * SECOND
    assert [its.status for its in output.alerts][-1] == "resolved"
    assert len(output.alerts) >= 3  # opened, told again, resolved
    given = successor(session, at)
    assert given.records[0].ts_event > at
    assert differs(given, output, at) == []


def test_without_memories_it_would_say_something_else(session):
    """What was learned before the flow that is read again is lost then."""
    at = BEGIN + CUTS[2] * SECOND
    assert "records" in differs(successor(session, at, remembers=False), session[1], at)


def test_the_venue_is_remembered_too(session):
    of_venue = [its.ts_event for its in session[1].memories if its.symbol == "*"]
    assert {after - before for before, after in pairwise(of_venue)} == {MEMORY_SECONDS * SECOND}
    monitor = RiskMonitor()
    told = ToldSpread("X longs", ["Y longs"], 1.2)
    monitor.resume(
        [], [], [Memory(symbol="*", ts_event=BEGIN, spreads_since=BEGIN - 1, told_spread=told)]
    )
    assert (monitor.contagion.since, monitor.contagion.told) == (BEGIN - 1, told)


def test_a_memory_of_another_format_is_left_out(session):
    memory = msgspec.structs.replace(session[1].memories[-1], symbol="X", format=99)
    monitor = RiskMonitor()
    monitor.resume([], [], [memory])
    assert monitor.learned == {}


def test_a_memory_whose_columns_do_not_fit_is_left_out(session):
    memory = next(its for its in reversed(session[1].memories) if its.symbol == "X")
    torn = msgspec.structs.replace(memory.flow, flows=memory.flow.flows[:-8])
    monitor = RiskMonitor()
    monitor.resume([], [], [msgspec.structs.replace(memory, flow=torn)])
    assert monitor.learned == {}


def test_what_is_older_than_what_is_learned_from_is_forgotten(session):
    """After a night without a watch the moves of the day are known, but no impact."""
    memory = next(its for its in reversed(session[1].memories) if its.symbol == "X")
    monitor = RiskMonitor()
    monitor.resume([], [], [memory])
    before = monitor.learned["X"].flow
    assert before.slope > 0.0
    monitor.close_until(memory.ts_event + 8 * 3_600 * SECOND)
    flow = monitor.learned["X"].flow
    assert math.isnan(flow.slope)
    assert monitor.learned["X"].forced.factor == memory.factor


def test_the_memory_of_a_full_day_is_bounded():
    learned, together = Learned(), CoMovement()
    for minute in range(2 * DAY_MINUTES):
        mid = 100.0 + math.sin(minute)
        summary = BookSummary(mid, 1.0, DEPTH, DEPTH, bought=abs(math.sin(3 * minute)))
        learned.flow.add(summary)
        learned.withdrawals.add(summary)
        for _ in range(2):
            learned.flow.close_span()
            learned.withdrawals.close_span(0.0)
        together.add((minute + 1) * MINUTE_NS, {"X": summary})
    memory = memory_of("X", 1, learned, None, together)
    size = len(msgspec.json.encode(memory))
    assert size < 80_000
    again = learned_of(msgspec.json.decode(msgspec.json.encode(memory), type=Memory))
    assert again.flow.state() == learned.flow.state()
    assert again.withdrawals.state() == learned.withdrawals.state()
    fresh = CoMovement()
    fresh.restore({"X": memory.returns})
    assert fresh.state("X") == together.state("X")
