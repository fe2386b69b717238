"""No record moves a partition's time further than the log justifies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.market_data.events import Cancel, Late, Order
from service.pipeline.align import Aligner
from service.pipeline.log_time import WITNESSES

MS = 1_000_000
SECOND = 1_000 * MS
BEGIN_MS = 1_767_225_600_000
DISORDER_NS = 100 * MS
DELAY_MS = 5


def order(at_ms: int, symbol: str = "S"):
    return Order(
        ts_event=(BEGIN_MS + at_ms) * MS,
        symbol=symbol,
        order_id=str(at_ms),
        side="buy",
        price=1.0,
        quantity=1.0,
    )


def run(rows, *, by_broker=False, chunk=3, aligner=None, first=0):
    """Feed (event, arrived in ms) of one topic in chunks; what is released, and the aligner."""
    aligner = aligner or Aligner(("orders",), DISORDER_NS)
    released = []
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        aligner.feed(
            "orders",
            [event for event, _ in part],
            first_offset=first + start,
            next_offset=first + start + len(part),
            arrived_ms=[BEGIN_MS + arrived for _, arrived in part],
            by_broker=by_broker,
        )
        released += aligner.release()
    return released, aligner


def market(milliseconds, step=10):
    return [(order(at), at + DELAY_MS) for at in range(0, milliseconds, step)]


def late(released):
    return [event for event in released if isinstance(event, Late)]


def with_strangers(rows, ahead_ms, forged):
    """The rows, and every half second an event of a made-up symbol that is dated ahead."""
    mixed = []
    for event, arrived in rows:
        mixed.append((event, arrived))
        if arrived % 500 == DELAY_MS:
            mixed.append((order(arrived + ahead_ms, "X"), arrived + (ahead_ms if forged else 0)))
    return mixed


@pytest.mark.parametrize(
    ("ahead_ms", "forged"),
    [(500, False), (5_000, False), (59_000, False), (5_000, True), (59_000, True)],
)
def test_events_dated_ahead_make_no_others_late(ahead_ms, forged):
    released, aligner = run(with_strangers(market(5_000), ahead_ms, forged))
    assert late(released) == []
    # And the others are judged as soon as without them.
    assert aligner.watermark_ns == run(market(5_000))[1].watermark_ns
    mine = [event for event in released if event.symbol == "S"]
    assert mine == [event for event, _ in market(5_000) if event.ts_event < aligner.watermark_ns]


def test_an_event_dated_ahead_is_released_when_the_others_have_come_so_far():
    rows = [*market(1_000), (order(3_000, "X"), 1_000)]
    rows += [(order(at), at + DELAY_MS) for at in range(1_000, 4_000, 10)]
    released, _ = run(rows)
    assert late(released) == []
    assert [event.symbol for event in released].count("X") == 1


@pytest.mark.parametrize("by_broker", [False, True])
def test_a_market_goes_on_at_once_after_a_lull(by_broker):
    later = [(order(60_000 + at), 60_000 + at + DELAY_MS) for at in range(0, 500, 10)]
    released, _ = run([*market(1_000), *later[:WITNESSES]], by_broker=by_broker)
    assert late(released) == []
    assert len(released) == 100


def test_the_last_event_before_a_lull_is_released_once_the_topic_is_idle():
    _, aligner = run([*market(1_000), (order(60_000), 60_000 + DELAY_MS)])
    aligner.set_idle("orders")
    assert aligner.release()[-1] == order(60_000)


def test_a_silent_market_is_not_moved_to_an_event_dated_far_ahead():
    _, aligner = run([*market(1_000), (order(60_000, "X"), 1_005)])
    aligner.set_idle("orders")
    aligner.release()
    assert aligner.watermark_ns < (BEGIN_MS + 2_000) * MS
    released, _ = run(
        [(order(at), at + DELAY_MS) for at in range(1_010, 1_500, 10)], aligner=aligner, first=101
    )
    assert late(released) == []


def test_a_venue_whose_clock_is_ahead_is_judged_later_by_as_much():
    skewed = [(order(at + 40), at) for at in range(0, 2_000, 10)]
    released, aligner = run(skewed)
    assert late(released) == []
    # Dated 40 ms ahead: its time is taken for as much behind.
    assert abs(aligner.watermark_ns - (BEGIN_MS + 1_990 - 40) * MS + DISORDER_NS) < 2 * MS


def test_a_clock_that_is_ahead_for_good_loses_nothing():
    released, _ = run([(order(at + 30_000), at) for at in range(0, 120_000, 100)])
    assert late(released) == []
    assert len(released) > 500


@st.composite
def logs(draw):
    at, rows = 0, []
    for _ in range(draw(st.integers(1, 60))):
        at += draw(st.sampled_from([0, 1, 10, 900, 5_000]))
        dated = at + draw(st.sampled_from([-400, -50, -5, 0, 0, 700, 59_000]))
        stamped = at + draw(st.sampled_from([0, 0, 0, 0, 3_000, 59_000]))
        rows.append((order(dated, f"S{len(rows)}"), stamped))
    return rows


@given(logs(), st.integers(1, 9), st.booleans())
def test_any_chunking_gives_the_same_sequence(rows, chunk, by_broker):
    whole = run(rows, by_broker=by_broker, chunk=len(rows))[0]
    assert run(rows, by_broker=by_broker, chunk=chunk)[0] == whole


@given(logs(), st.integers(1, 60), st.booleans())
def test_reading_on_from_a_position_finds_what_the_first_reading_found(rows, cut, by_broker):
    whole, aligner = run(rows, by_broker=by_broker, chunk=1)
    before, first = run(rows[:cut], by_broker=by_broker, chunk=1)
    where = first.position()
    its = where.streams["orders"]
    again = Aligner(("orders",), DISORDER_NS)
    again.seek(where.streams)
    after = []
    for offset, (event, arrived) in enumerate(rows[its.start :], its.start):
        again.feed(
            "orders",
            [event],
            first_offset=offset,
            next_offset=offset + 1,
            arrived_ms=[BEGIN_MS + arrived],
            by_broker=by_broker,
            replayed=lambda _i, place, offset=offset: (
                None
                if place < where.watermark_ns and offset < its.read
                else max(place, where.watermark_ns)
            ),
        )
        after += again.release()
    assert again.watermark_ns == aligner.watermark_ns
    assert before + after == whole


def test_too_many_that_wait_release_only_what_is_too_much():
    """A topic whose time stands still gives way without being moved to what is dated far ahead."""
    aligner = Aligner(("orders",), DISORDER_NS, max_waiting=50)
    rows = [(order(0), DELAY_MS)] * 60 + [(order(59_000, "X"), DELAY_MS)]
    released, _ = run(rows, aligner=aligner, chunk=len(rows))
    assert len(released) >= 11
    assert aligner.watermark_ns < (BEGIN_MS + 1_000) * MS
    cancel = Cancel(ts_event=BEGIN_MS * MS + SECOND, symbol="S", order_id="0")
    aligner.feed("orders", [cancel], first_offset=61, next_offset=62, arrived_ms=[BEGIN_MS + 1_005])
    assert late(aligner.release()) == []


def test_after_a_restart_a_silent_market_is_as_far_as_before():
    _, aligner = run([(order(0), 0), (order(5_000), 5_000)])
    aligner.set_idle("orders")
    aligner.release()
    again = Aligner(("orders",), DISORDER_NS)
    again.seek(aligner.position().streams)
    again.set_idle("orders")
    again.release()
    assert again.watermark_ns == aligner.watermark_ns
