"""However the topics' records are cut and interleaved, the sequence is one and the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.market_data.events import Cancel, Late, Order
from service.pipeline.align import Aligner

BEGIN = 1_767_225_600_000_000_000
DISORDER = 100
STREAMS = ("orders", "cancels")


def order(at, sequence=None, name="x"):
    return Order(
        ts_event=BEGIN + at,
        sequence=sequence,
        symbol="S",
        order_id=name,
        side="buy",
        price=1.0,
        quantity=1.0,
    )


def cancel(at, sequence=None, name="x"):
    return Cancel(ts_event=BEGIN + at, sequence=sequence, symbol="S", order_id=name)


def log(make):
    entries = st.tuples(st.integers(0, 1_000), st.one_of(st.none(), st.integers(0, 5)))
    return st.lists(entries, max_size=40).map(
        lambda rows: [make(at, sequence, str(i)) for i, (at, sequence) in enumerate(rows)]
    )


def run(logs, chunks):
    """Feed the logs in the given chunks (stream, size); then what is left; then the end."""
    aligner = Aligner(STREAMS, DISORDER)
    fed = dict.fromkeys(STREAMS, 0)
    released = []
    for stream, size in [*chunks, *((s, len(logs[s])) for s in STREAMS)]:
        batch = logs[stream][fed[stream] : fed[stream] + size]
        first = fed[stream]
        fed[stream] += len(batch)
        aligner.feed(stream, batch, first_offset=first, next_offset=fed[stream])
        released += aligner.release()
    for stream in STREAMS:
        aligner.set_idle(stream)
    released += aligner.release()
    return released


chunkings = st.lists(st.tuples(st.sampled_from(STREAMS), st.integers(0, 7)), max_size=30)


@given(log(order), log(cancel), chunkings)
def test_any_chunking_gives_the_same_sequence(orders, cancels, chunks):
    logs = {"orders": orders, "cancels": cancels}
    assert run(logs, chunks) == run(logs, [])


@given(log(order), log(cancel), chunkings)
def test_nothing_is_lost_and_time_never_goes_back(orders, cancels, chunks):
    released = run({"orders": orders, "cancels": cancels}, chunks)
    assert len(released) == len(orders) + len(cancels)
    times = [event.ts_event for event in released]
    assert times == sorted(times)


def test_an_event_waits_for_the_other_topic():
    aligner = Aligner(STREAMS, DISORDER)
    aligner.feed("orders", [order(0), order(500)], first_offset=0, next_offset=2)
    assert aligner.release() == []
    aligner.feed("cancels", [cancel(300)], first_offset=0, next_offset=1)
    assert aligner.release() == [order(0)]


def test_an_idle_topic_holds_nothing_back_until_it_speaks_again():
    aligner = Aligner(STREAMS, DISORDER)
    aligner.feed("orders", [order(0), order(500)], first_offset=0, next_offset=2)
    aligner.set_idle("cancels")
    assert aligner.release() == [order(0)]
    aligner.feed("cancels", [cancel(450)], first_offset=0, next_offset=1)
    aligner.feed("orders", [order(900)], first_offset=2, next_offset=3)
    assert aligner.release() == []


def test_what_comes_after_its_topic_was_taken_for_idle_is_late_and_not_lost():
    aligner = Aligner(STREAMS, DISORDER)
    aligner.feed("orders", [order(0), order(500)], first_offset=0, next_offset=2)
    aligner.set_idle("cancels")
    aligner.release()
    aligner.feed("cancels", [cancel(10), cancel(800)], first_offset=0, next_offset=2)
    aligner.feed("orders", [order(800)], first_offset=2, next_offset=3)
    late, in_time = aligner.release()
    assert isinstance(late, Late)
    assert late.event == cancel(10)
    assert in_time == order(500)


def test_an_event_older_than_its_topics_newest_by_more_than_the_disorder_is_late():
    released = run({"orders": [order(500), order(450), order(399)], "cancels": []}, [])
    kinds = [type(event) for event in released]
    assert kinds == [Late, Order, Order]
    assert released[0].ts_event == BEGIN + 400
    assert released[0].event == order(399)


def test_ties_go_by_sequence_then_by_topic_then_by_offset():
    orders = [order(0, 3, "a"), order(0, 1, "b"), order(0, 3, "c")]
    cancels = [cancel(0, 1, "d"), cancel(0, 2, "e")]
    released = run({"orders": orders, "cancels": cancels}, [])
    assert [event.order_id for event in released] == ["b", "d", "e", "a", "c"]


@given(log(order), log(cancel), chunkings, st.data())
def test_reading_on_from_a_position_gives_what_had_not_been_released(orders, cancels, chunks, data):
    logs = {"orders": orders, "cancels": cancels}
    whole = run(logs, [])
    aligner = Aligner(STREAMS, DISORDER)
    fed = dict.fromkeys(STREAMS, 0)
    released = []
    for stream, size in chunks[: data.draw(st.integers(0, len(chunks)))]:
        batch = logs[stream][fed[stream] : fed[stream] + size]
        first = fed[stream]
        fed[stream] += len(batch)
        aligner.feed(stream, batch, first_offset=first, next_offset=fed[stream])
        released += aligner.release()
    position = aligner.position()

    again = Aligner(STREAMS, DISORDER)
    again.seek(position.streams)
    for stream in STREAMS:
        start = position.streams[stream].start
        read = position.streams[stream].read
        assert start <= read == fed[stream]
        again.feed(
            stream,
            logs[stream][start:],
            first_offset=start,
            next_offset=len(logs[stream]),
            replayed=lambda i, place, start=start, read=read: (
                None
                if place < position.watermark_ns and start + i < read
                else max(place, position.watermark_ns)
            ),
        )
        again.set_idle(stream)
    assert released + again.release() == whole


def test_how_much_waits_is_told():
    aligner = Aligner(STREAMS, DISORDER)
    aligner.feed("orders", [order(0), order(1)], first_offset=0, next_offset=2)
    assert aligner.pending("orders") == 2
    assert aligner.pending("cancels") == 0


@pytest.mark.parametrize("stream", STREAMS)
def test_becoming_idle_is_news_once(stream):
    aligner = Aligner(STREAMS, DISORDER)
    assert aligner.set_idle(stream)
    assert not aligner.set_idle(stream)


def test_the_topic_that_the_others_wait_for_is_known():
    aligner = Aligner(STREAMS, DISORDER)
    aligner.feed("orders", [order(0), order(50)], first_offset=0, next_offset=2)
    aligner.feed("cancels", [cancel(500)], first_offset=0, next_offset=1)
    assert aligner.holds_back("orders")
    assert not aligner.holds_back("cancels")
    aligner.set_idle("orders")
    assert not aligner.holds_back("orders")
    assert aligner.holds_back("cancels")


def test_a_large_batch_is_not_taken_for_a_topic_whose_time_stands_still():
    aligner = Aligner(("orders",), 10, max_waiting=20)
    aligner.feed("orders", [order(at) for at in range(100, 200)], first_offset=0, next_offset=100)
    aligner.release()
    assert aligner.pending("orders") == 10 + 1
