"""The risk task gives the same output for any chunking, and repeats nothing after a restart."""

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.conduct.monitor import ConductMonitor
from detectors.conduct.venue_monitor import VenueMonitor
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.records import RiskRecord
from service.pipeline.risk_task import RiskTask, SignalBook
from tests.risk_watch.venue import BEGIN, SECOND, Venue, crowd, margin, position, reference

STREAMS = ("positions/0", "references/0", "margins/0", "signals/0")
DISORDER = 100_000_000


class Recorder(Venue):
    """Keeps what it feeds, as the topics would hold it."""

    def __init__(self):
        super().__init__(slope=2e-6, flow=100.0)
        self.topics = {name: [] for name in STREAMS}
        summarise = self.monitor.summarise

        def kept(symbol, ends_at, summary):
            self.topics["signals/0"].append(SignalBook(symbol, ends_at, summary))
            return summarise(symbol, ends_at, summary)

        self.monitor.summarise = kept

    def take(self, *events):
        for event in events:
            name = {"Position": "positions", "Reference": "references", "Margin": "margins"}
            self.topics[f"{name[type(event).__name__]}/0"].append(event)
        super().take(*events)


@pytest.fixture(scope="module")
def history():
    """Ten minutes in which a cascade becomes near, is withdrawn from, and is over."""
    venue = Recorder()
    venue.take(margin(), reference(), position("s", -1_000.0, 0.5))
    for minute in range(10):
        venue.take(reference(at=venue.now))
        if minute == 5:
            venue.take(*crowd(900.0, 0.008, at=venue.now))
        if minute == 8:
            venue.take(*[position(str(n), 0.0, 0.5, at=venue.now) for n in range(20)])
        venue.run(60, depth=1e4 if minute == 7 else 1e5)
    venue.keep(venue.monitor.close_until(venue.now))
    assert [its.status for its in venue.output.alerts] == ["firing", "firing", "resolved"]
    return venue


def run(topics, cuts, *, task=None, outputs=None):
    """Feed the topics in chunks that end at these shares of each, and finish."""
    task = task or RiskTask(
        STREAMS, VenueMonitor(RiskMonitor(), ConductMonitor()), DISORDER, 10_000
    )
    alerts, records = outputs or ([], [])
    for begin, end in pairwise([0.0, *cuts, 1.0]):
        for name, events in topics.items():
            first, stop = int(begin * len(events)), int(end * len(events))
            chunk = events[first:stop]
            task.feed(name, 0, chunk, first_offset=first, next_offset=stop)
        take(task, alerts, records)
    for name in topics:
        task.aligner.set_idle(name)
    take(task, alerts, records)
    return alerts, records


def take(task, alerts, records):
    output = task.advance()
    alerts += output.alerts
    records += output.records


@settings(max_examples=5, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), max_size=6).map(sorted))
def test_any_chunking_gives_the_output_of_the_monitor(history, cuts):
    alerts, records = run(history.topics, cuts)
    assert alerts == history.output.alerts
    # The last second is closed when something later comes.
    assert records == [its for its in history.output.records if its.ts_event <= history.now]


@pytest.mark.parametrize("seconds", [0, 30, 365, 425, 455, 500, 545, 590])
def test_who_takes_over_repeats_nothing_and_leaves_nothing_out(history, seconds):
    stopped = BEGIN + seconds * SECOND
    told = [its for its in history.output.alerts if its.ts_event <= stopped]
    published = [its for its in history.output.records if its.ts_event <= stopped]
    last = {(its.symbol, its.side): its for its in published}
    # What comes from a compacted topic has been JSON.
    read = [msgspec.json.decode(msgspec.json.encode(its), type=RiskRecord) for its in last.values()]
    task = RiskTask(STREAMS, VenueMonitor(RiskMonitor(), ConductMonitor()), DISORDER, 10_000)
    random.Random(seconds).shuffle(read)
    task.resume(read, told)
    alerts, records = run(history.topics, [0.3, 0.9], task=task)
    assert [*told, *alerts] == history.output.alerts
    assert [*published, *records] == history.output.records


def test_a_late_bar_counts_in_the_second_that_is_open(history):
    task = RiskTask(STREAMS, VenueMonitor(RiskMonitor(), ConductMonitor()), DISORDER, 10_000)
    bars = history.topics["signals/0"][:42]
    task.feed("signals/0", 0, [*bars[:20], *bars[25:40]], first_offset=0, next_offset=35)
    for name in STREAMS:
        task.aligner.set_idle(name)
    task.advance()
    late = [*bars[20:25], *bars[40:]]
    task.feed("signals/0", 0, late, first_offset=35, next_offset=42)
    for name in STREAMS:
        task.aligner.set_idle(name)
    task.advance()
    task.venue.close_until(bars[-1].ts_event + 10 * SECOND)
    flows = [flow for _, flow in task.monitor.learned["X"].flow._flows]
    expected = sum(its.book.bought - its.book.sold for its in bars[1:])
    assert sum(flows) == pytest.approx(expected)
