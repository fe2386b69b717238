"""What only a partition sees of a feed: one symbol is silent, or records take long."""

from bisect import bisect_left
from operator import attrgetter

import msgspec
import pytest

from detectors.catalogue import CATALOGUE
from detectors.feed.checks import FeedLimits
from detectors.parameters import Parameters
from service.pipeline.output import PublishedUntil, Tally, alert_key
from service.pipeline.snapshot import Snapshot
from service.pipeline.task import PartitionTask
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

STREAMS = ("orders", "cancels", "trades")
PARAMETERS = Parameters(feed=FeedLimits(quiet_ns=30 * SECOND))
EVENTS = market(seed=5, seconds=420, symbols=("AAA", "BBB", "CCC"), rate=5)


def without(symbol, begin, end):
    """The market with a hole in one symbol, or in all."""
    low, high = BEGIN + begin * SECOND, BEGIN + end * SECOND
    return [
        event
        for event in EVENTS
        if event.symbol != (symbol or event.symbol) or not low <= event.ts_event < high
    ]


def new_task():
    return PartitionTask(
        STREAMS,
        PARAMETERS,
        CATALOGUE,
        max_disorder_ns=100_000_000,
        max_symbols=100,
        tally=Tally(),
    )


def play(events, *, step=7, delay_ms=None, task=None, fed=None, until=420):
    """The feed alerts of a market; ``delay_ms`` gives each event's delay in the log."""
    task = task or new_task()
    fed = fed or dict.fromkeys(STREAMS, 0)
    logs, alerts = by_stream(events), []
    for end in range(step, until + step, step):
        for stream in STREAMS:
            start, stop = fed[stream], fed[stream]
            while stop < len(logs[stream]) and logs[stream][stop].ts_event < BEGIN + end * SECOND:
                stop += 1
            batch = logs[stream][start:stop]
            arrived = None
            if delay_ms is not None:
                arrived = [event.ts_event // 10**6 + delay_ms(event) for event in batch]
            task.feed(stream, batch, first_offset=start, next_offset=stop, arrived_ms=arrived)
            fed[stream] = stop
        alerts += [a for a in task.advance().alerts if a.detector == "feed_integrity"]
    return alerts


def test_a_healthy_feed_is_trusted():
    task = new_task()
    assert play(EVENTS, task=task, delay_ms=lambda _: 40) == []
    assert task.tally.market.feed.findings == {}


def test_a_symbol_that_falls_silent_while_others_move_is_one_incident_that_resolves():
    task = new_task()
    opened, *more, resolved = play(without("BBB", 300, 340), task=task)
    assert (opened.symbol, opened.status) == ("BBB", "firing")
    assert opened.evidence[0].feature == "symbol_frozen_seconds"
    assert opened.starts_at == BEGIN + 301 * SECOND
    assert 309 <= (opened.ts_event - BEGIN) / SECOND <= 320
    assert {alert.alert_id for alert in more} <= {opened.alert_id}
    assert (resolved.alert_id, resolved.status) == (opened.alert_id, "resolved")
    assert task.monitors["BBB"].feed.inputs(BEGIN + 420 * SECOND) == []


def test_what_was_told_of_a_feed_and_has_not_ended_is_open_at_any_time():
    logs = by_stream(without("BBB", 300, 340))
    task, fed, told, most = new_task(), dict.fromkeys(STREAMS, 0), {}, 0
    for end in range(1, 421):
        for stream in STREAMS:
            stop = bisect_left(logs[stream], BEGIN + end * SECOND, key=attrgetter("ts_event"))
            batch = logs[stream][fed[stream] : stop]
            task.feed(stream, batch, first_offset=fed[stream], next_offset=stop)
            fed[stream] = stop
        for alert in task.advance().alerts:
            if alert.status == "firing":
                told[alert.alert_id] = alert
            else:
                del told[alert.alert_id]
        assert {alert.alert_id: alert for alert in task.open_alerts()} == told
        most = max(most, sum(alert.detector == "feed_integrity" for alert in told.values()))
    assert most == 1


def test_a_partition_that_stops_as_a_whole_is_no_silence_of_one():
    assert play(without(None, 300, 340)) == []


@pytest.mark.parametrize("step", [1, 420])
def test_the_size_of_the_batches_changes_nothing(step):
    events = without("BBB", 300, 340)

    def growing(event):
        return 40 + max(0, (event.ts_event - BEGIN) // SECOND - 350) * 100

    assert play(events, step=step, delay_ms=growing) == play(events, delay_ms=growing)


@pytest.mark.parametrize("crash", [301, 315, 343])
def test_after_a_crash_the_incident_is_the_same(crash):
    events = without("BBB", 300, 340)
    expected = {alert_key(a) for a in play(events)}
    logs, task, fed = by_stream(events), new_task(), dict.fromkeys(STREAMS, 0)
    before = play(events, step=1, task=task, fed=fed, until=crash)
    kept = {s: msgspec.msgpack.encode(task.snapshot(s)) for s in ("AAA", "CCC")}
    for symbol in kept:
        task.saved(symbol)
    resume = task.resume_position()
    restored = new_task()
    restored.resume(
        resume.streams,
        [msgspec.msgpack.decode(its, type=Snapshot) for its in kept.values()],
        PublishedUntil(),
        {alert_key(a) for a in before},
    )
    fed = {stream: resume.streams[stream].start for stream in logs}
    after = play(events, task=restored, fed=fed)
    assert {alert_key(a) for a in before + after} == expected


def test_records_that_take_longer_and_longer_are_told_of_in_every_symbol():
    alerts = play(EVENTS, delay_ms=lambda e: 40 if e.ts_event < BEGIN + 300 * SECOND else 4_000)
    firing = [alert for alert in alerts if alert.status == "firing"]
    assert {alert.symbol for alert in firing} == {"AAA", "BBB", "CCC"}
    assert {alert.evidence[0].feature for alert in firing} == {"transport_delay_seconds"}
    evidence = firing[0].evidence[0]
    assert (evidence.value, evidence.expected) == pytest.approx((4.0, 0.04), abs=0.01)
    assert firing[0].ts_event <= BEGIN + 320 * SECOND


def test_one_topic_that_is_late_is_enough_and_stragglers_are_not():
    trades = play(EVENTS, delay_ms=lambda e: 4_000 if e.kind == 2 and late(e) else 40)
    assert {alert.evidence[0].feature for alert in trades} == {"transport_delay_seconds"}
    assert play(EVENTS, delay_ms=lambda e: 4_000 if e.sequence % 10 == 0 and late(e) else 40) == []


def late(event):
    return event.ts_event >= BEGIN + 300 * SECOND


def test_events_dated_after_their_records_are_a_wrong_clock():
    alerts = play(EVENTS, delay_ms=lambda _: -700)
    assert {alert.evidence[0].feature for alert in alerts} == {"clock_skew_seconds"}


def test_a_recording_played_back_or_read_from_files_says_nothing_of_delays():
    task = new_task()
    assert play(EVENTS, task=task, delay_ms=lambda _: 10**9) == []
    transport = task.monitors["AAA"].feed.state.transport
    assert {stream: its.known for stream, its in transport.items()} == dict.fromkeys(STREAMS, False)
