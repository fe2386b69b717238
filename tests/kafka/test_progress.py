"""A partition that has work and does not advance is named, whatever holds it back."""

from service.kafka.watching.progress import STUCK_SECONDS, LogEnd, ProgressWatchdog
from tests.kafka.test_partition import feed, partition


def watched(its, watchdog, unread, now, unfinished=0):
    def end(tp):
        readable = its.read()[tp] + unread.get(tp.topic, 0)
        return LogEnd(readable, readable + unfinished)

    watchdog.note([its], end, now)
    return watchdog.stuck(now)


def test_unread_records_without_progress_are_named_with_their_topic():
    its, watchdog = partition(), ProgressWatchdog()
    feed(its, 0.5)
    assert watched(its, watchdog, {"t": 7}, 0.0) == {}
    assert watched(its, watchdog, {"t": 7}, STUCK_SECONDS - 1.0) == {}
    (why,) = watched(its, watchdog, {"t": 7}, STUCK_SECONDS).values()
    assert why.startswith("has not advanced for 60 s: ")
    assert "t has 7 unread records" in why


def test_progress_ends_it_at_once():
    its, watchdog = partition(), ProgressWatchdog()
    feed(its, 0.5)
    watched(its, watchdog, {"t": 7}, 0.0)
    assert watched(its, watchdog, {"t": 7}, 2 * STUCK_SECONDS)
    feed(its, 0.9)
    assert watched(its, watchdog, {"t": 7}, 2 * STUCK_SECONDS + 1.0) == {}


def test_events_that_wait_for_another_topic_are_work_too():
    its, watchdog = partition(), ProgressWatchdog()
    feed(its, 0.5)
    watched(its, watchdog, {}, 0.0)
    (why,) = watched(its, watchdog, {}, STUCK_SECONDS).values()
    assert "wait for other topics" in why


def test_a_transaction_that_is_never_finished_is_named():
    its, watchdog = partition(), ProgressWatchdog()
    feed(its, 1.0)
    for stream in ("orders", "cancels", "trades"):
        its.task.aligner.set_idle(stream)
    its.task.advance()
    watched(its, watchdog, {}, 0.0, unfinished=5)
    (why,) = watched(its, watchdog, {}, STUCK_SECONDS, unfinished=5).values()
    assert "t has 5 records of an open transaction" in why
    assert watched(its, watchdog, {}, STUCK_SECONDS + 1.0) == {}


def test_a_silent_market_is_not_stuck():
    its, watchdog = partition(), ProgressWatchdog()
    feed(its, 1.0)
    for stream in ("orders", "cancels", "trades"):
        its.task.aligner.set_idle(stream)
    its.task.advance()
    for minute in range(600):
        assert watched(its, watchdog, {}, 60.0 * minute) == {}
