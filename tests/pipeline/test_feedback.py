"""What an operator judges of an alert: the record, its effect on the budget, and a restart."""

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.feedback import MAX_NOTE, Feedback, Judgements, decode, decode_all, encode
from service.pipeline.output import PublishedUntil, Tally, alert_key
from service.pipeline.rejection import Rejection
from service.pipeline.snapshot import Snapshot
from service.settings.assembly import partition_task
from service.settings.types import DetectionSettings, Settings
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

STREAMS = ("orders", "cancels", "trades")
LOGS = by_stream(market(seed=5, seconds=240))
SETTINGS = Settings(
    detection=DetectionSettings(warmup_bars=60, quiet_seconds=10, false_alarms_per_day=1_000)
)
JUDGED = BEGIN + 200 * SECOND
END = BEGIN + 240 * SECOND
GOOD_MS = 1_800_000_000_000


def new():
    return partition_task(SETTINGS, dict.fromkeys(STREAMS), Tally())


def play(task, until_ns):
    for stream in STREAMS:
        start = task.aligner.read(stream)
        events = [event for event in LOGS[stream][start:] if event.ts_event < until_ns]
        offsets = range(start, start + len(events))
        task.feed(
            stream, events, first_offset=start, next_offset=start + len(events), offsets=offsets
        )
    return task.advance()


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    timestamp: int = GOOD_MS


def verdict(alert, word):
    return Feedback(alert.alert_id, alert.symbol, alert.detector, word, JUDGED)


def bars(task, symbol):
    """The bar of each statistic of a symbol that is not at rest."""
    return {
        (its.detector.name, name): controller.bar
        for its in task.monitors[symbol].scorers
        for name, controller in its.state().controllers.items()
        if controller.bar > 0.0
    }


def states(task):
    return {symbol: msgspec.msgpack.encode(task.snapshot(symbol).state) for symbol in task.monitors}


@pytest.fixture
def alarmed():
    """A task after an alarm, and the alert that opened the incident."""
    task = new()
    alerts = play(task, JUDGED).alerts
    alert = next(alert for alert in alerts if alert.status == "firing")
    assert bars(task, alert.symbol)
    return task, alert


def test_an_alarm_that_was_right_costs_the_budget_nothing(alarmed):
    task, alert = alarmed
    before = bars(task, alert.symbol)
    task.judge([verdict(alert, "true")])
    entry = task.monitors[alert.symbol].ledger.entries[alert.alert_id]
    charged = {(charge.detector, charge.statistic) for charge in entry.charges}
    assert charged
    after = bars(task, alert.symbol)
    # All that the incident cost is credited, and nothing else.
    for key, bar in before.items():
        credited = sum(c.credited for c in entry.charges if (c.detector, c.statistic) == key)
        assert after.get(key, 0.0) == pytest.approx(bar - credited)
        assert bool(credited) == (key in charged)
    assert task.tally.market.feedback == {(alert.detector, "true"): 1}


def test_a_verdict_counts_once_and_can_be_taken_back(alarmed):
    task, alert = alarmed
    before = bars(task, alert.symbol)
    task.judge([verdict(alert, "true")])
    credited = bars(task, alert.symbol)
    task.judge([verdict(alert, "true")])
    assert bars(task, alert.symbol) == credited != before
    task.judge([verdict(alert, "false")])
    assert bars(task, alert.symbol) == pytest.approx(before)
    task.judge([verdict(alert, "true"), verdict(alert, "false"), verdict(alert, "true")])
    assert bars(task, alert.symbol) == pytest.approx(credited)


def test_a_credit_that_is_taken_back_late_is_taken_back_whole(alarmed):
    task, alert = alarmed
    task.judge([verdict(alert, "true")])
    entry = task.monitors[alert.symbol].ledger.entries[alert.alert_id]
    credited = {(its.detector, its.statistic): its.credited for its in entry.charges}
    play(task, END)
    before = bars(task, alert.symbol)
    task.judge([verdict(alert, "false")])
    after = bars(task, alert.symbol)
    for key, taken in credited.items():
        assert after[key] - before.get(key, 0.0) == pytest.approx(taken)


def test_an_alarm_that_was_wrong_counts_as_before(alarmed):
    task, alert = alarmed
    before = bars(task, alert.symbol)
    task.judge([verdict(alert, "false")])
    assert bars(task, alert.symbol) == before
    assert task.tally.market.feedback == {(alert.detector, "false"): 1}


def test_a_verdict_on_another_alert_changes_nothing(alarmed):
    task, alert = alarmed
    before = bars(task, alert.symbol)
    foreign = msgspec.structs.replace(verdict(alert, "true"), alert_id="0" * 32)
    elsewhere = msgspec.structs.replace(verdict(alert, "true"), symbol="NOWHERE")
    task.judge([foreign, elsewhere])
    assert bars(task, alert.symbol) == before
    assert not task.tally.market.feedback


def test_a_later_alarm_of_an_incident_that_was_right_is_credited_too(alarmed):
    _, alert = alarmed
    opened = new()
    play(opened, alert.ts_event + SECOND)  # the incident has just opened
    opened.judge([verdict(alert, "true")])
    play(opened, JUDGED)
    unjudged, _ = alarmed
    whole = unjudged.monitors[alert.symbol].ledger.entries[alert.alert_id]
    entry = opened.monitors[alert.symbol].ledger.entries[alert.alert_id]
    assert sum(charge.runs for charge in entry.charges) >= sum(c.runs for c in whole.charges)
    assert all(charge.credited > 0.0 for charge in entry.charges)


@pytest.mark.parametrize("saved_before_the_verdict", [False, True])
def test_a_restart_neither_forgets_a_verdict_nor_credits_it_twice(
    alarmed, saved_before_the_verdict
):
    first, alert = alarmed
    told = [verdict(alert, "true")]
    if not saved_before_the_verdict:
        first.judge(told)
    kept = [msgspec.msgpack.encode(first.snapshot(symbol)) for symbol in first.changed()]
    for symbol in list(first.monitors):
        first.saved(symbol)
    position = first.resume_position()
    first.judge(told)

    again = new()
    snapshots = [msgspec.msgpack.decode(raw, type=Snapshot) for raw in kept]
    again.resume(position.streams, snapshots, PublishedUntil())
    again.judge(told)
    assert bars(again, alert.symbol) == pytest.approx(bars(first, alert.symbol))
    assert bool(again.tally.market.feedback) == saved_before_the_verdict
    assert play(again, END).alerts == play(first, END).alerts
    assert states(again) == states(first)


def test_a_restart_that_raises_the_alert_again_knows_the_verdict(alarmed):
    first, alert = alarmed
    first.judge([verdict(alert, "true")])
    again = new()
    again.judge([verdict(alert, "true")])
    assert again.tally.market.feedback == {}
    raised = play(again, JUDGED).alerts
    assert alert_key(alert) in set(map(alert_key, raised))
    assert again.tally.market.feedback == {(alert.detector, "true"): 1}
    entry = again.monitors[alert.symbol].ledger.entries[alert.alert_id]
    assert entry.is_true
    assert all(charge.credited > 0.0 for charge in entry.charges)


def test_a_verdict_before_the_first_charge_counts_when_the_incident_resolves():
    task = new()
    alert = play(task, BEGIN + 187 * SECOND).alerts[-1]
    entries = task.monitors[alert.symbol].ledger.entries
    entry = entries.pop(alert.alert_id)
    task.judge([verdict(alert, "true")])
    assert task.tally.market.feedback == {}
    entries[alert.alert_id] = entry  # charged by an alarm that publishes no alert
    later = task.rest(60 * SECOND).alerts  # no bar follows
    assert [(its.alert_id, its.status) for its in later] == [(alert.alert_id, "resolved")]
    assert entry.is_true
    assert task.tally.market.feedback == {(alert.detector, "true"): 1}


def test_a_verdict_is_saved_with_the_symbol_that_it_concerns(alarmed):
    task, alert = alarmed
    for symbol in task.changed():
        task.snapshot(symbol)
        task.saved(symbol)
    task.judge([verdict(alert, "true")])
    assert task.changed() == [alert.symbol]


def test_the_last_verdict_on_an_alert_counts():
    judged = Judgements()
    one, two = (Feedback(name, "S", "thin_book", "true", 1) for name in ("a", "b"))
    changed = msgspec.structs.replace(one, verdict="false")
    for feedback in (one, two, changed):
        judged.add(feedback)
    assert judged.since(0) == [two, changed]
    assert judged.since(2) == [changed]
    assert judged.since(judged.serial) == []
    assert judged.of("a") == changed
    assert judged.serial == 3
    assert judged.of("c") is None
    assert judged.counts == {("thin_book", "true"): 1, ("thin_book", "false"): 1}
    # Compaction keeps the last record, whatever its judged_at: so does the service.
    last = msgspec.structs.replace(one, judged_at=0)
    judged.add(last)
    assert judged.of("a") == last
    assert judged.since(3) == [last]


def test_detectors_that_do_not_exist_share_one_count():
    judged = Judgements()
    for number in range(5_000):
        judged.add(Feedback(f"{number % 3}", "S", f"made up {number}", "true", number))
    assert dict(judged.counts) == {("other", "true"): 3}
    for number, detector in enumerate(("market_wide", "drift", "feed_integrity")):
        judged.add(Feedback(f"{number}", "S", detector, "false", 5_000))
    # A count that fell to zero is gone.
    assert dict(judged.counts) == {
        ("market_wide", "false"): 1, ("drift", "false"): 1, ("feed_integrity", "false"): 1,
    }  # fmt: skip


GOOD = {
    "alert_id": "78f06c56d9142a041e179255dbf2eb1b",
    "symbol": "BTC-PERP",
    "detector": "cancel_burst",
    "verdict": "true",
    "judged_at": 1_800_000_000_000_000_000,
}
KEY = GOOD["alert_id"].encode()


@pytest.mark.parametrize(
    ("key", "value", "reason", "said"),
    [
        (KEY, GOOD | {"verdict": "yes"}, "unknown_verdict",
         'verdict is "yes"; it must be one of "false", "true"'),
        (KEY, GOOD | {"verdict": True}, "wrong_type",
         'verdict is true; it must be one of "false", "true"'),
        (KEY, GOOD | {"note": "x" * 501}, "wrong_length", "it must be text of 0 to 500 characters"),
        (KEY, GOOD | {"symbol": ""}, "wrong_length", "it must be text of 1 to 64 characters"),
        (KEY, {"alert_id": "a"}, "missing_field", "symbol is missing"),
        (KEY, GOOD | {"judged_at": 1_800_000_000}, "out_of_range",
         "judged_at is 1800000000; it must be a whole number from 946684800000000000"),
        (KEY, GOOD | {"judged_at": (GOOD_MS + 61_000) * 1_000_000}, "in_the_future",
         "it must be at most 60 s after the record's timestamp, 1800000000000 ms since 1970"),
        (b"other", GOOD, "wrong_key", "the key is other; it must be the alert_id, 78f06c"),
        (None, GOOD, "wrong_key", "it must be the alert_id"),
        (KEY, b"", "empty", "it must be a JSON object"),
        (KEY, b"{", "not_json", "not JSON"),
        (KEY, b"[]", "not_an_object", "is not a JSON object"),
        (KEY, b'{"note": "\xff"}', "not_utf8", "must be UTF-8"),
        (KEY, b" " * 70_000, "too_large", "it must have at most 65536"),
        (KEY, b'{"x":' + b"[" * 60_000, "not_json", "nested too deeply"),
    ],
)  # fmt: skip
def test_a_record_that_is_no_feedback_is_refused_in_a_sentence(key, value, reason, said):
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    refused = decode(3, Record(key, raw))
    assert isinstance(refused, Rejection)
    assert (refused.index, refused.reason) == (3, reason)
    assert said in refused.detail


def test_a_bad_record_stops_none_of_the_others():
    feedback = msgspec.convert(GOOD | {"note": "n" * MAX_NOTE}, Feedback)
    good = Record(KEY, encode(feedback))
    found, refused = decode_all([Record(KEY, b"?"), good, Record(None, None)])
    assert found == [feedback]
    assert [(its.index, its.reason) for its in refused] == [(0, "not_json"), (2, "empty")]


@given(st.one_of(st.none(), st.binary(max_size=80)), st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "other"]), inner),
    ).map(msgspec.json.encode),
))  # fmt: skip
def test_no_record_raises_an_exception(key, value):
    decoded = decode(0, Record(key, value))
    assert isinstance(decoded, (Feedback, Rejection))
    if isinstance(decoded, Rejection):
        assert decoded.detail.isprintable()
