"""The kill switches of a partition: its monitors, restarts, silence, evictions, operators."""

from types import SimpleNamespace

import msgspec
import pytest

from detectors.catalogue import CATALOGUE
from detectors.incidents.alerts import firing
from detectors.incidents.market_wide import MARKET
from detectors.kill_switch.conditions import Conditions
from detectors.kill_switch.machine import COOLING_NS
from detectors.kill_switch.switch import decode, encode, first_break
from detectors.market_data.events import Margin, Status
from detectors.parameters import Parameters
from detectors.venue.limits import TIGHTENED_NS, LimitsState, take
from service.pipeline.commands import VALID_SECONDS, Command, Commands
from service.pipeline.commands import decode as decode_command
from service.pipeline.commands import encode as encode_command
from service.pipeline.ladders import Ladders
from service.pipeline.output import Output, PublishedUntil, Tally
from service.pipeline.rejection import Rejection
from service.pipeline.switches import HEARTBEAT_KEY, Switches, conditions_of, key_of
from service.pipeline.task import PartitionTask, Snapshot
from tests.pipeline.events import BEGIN, SECOND, market

STREAMS = ("orders", "cancels", "trades", "margins", "statuses")
NAMES = {
    "Order": "orders",
    "Cancel": "cancels",
    "Trade": "trades",
    "Margin": "margins",
    "Status": "statuses",
}
PARAMETERS = Parameters(warmup_bars=60, false_alarms_per_day=50.0, quiet_ns=20 * SECOND)
EVENTS = market(seed=1, seconds=400)
COMMAND = Command("c1", "AAA", "trip", "a test", "ann", BEGIN)


class Run:
    """A task, and everything that it published of its switches."""

    def __init__(self, parameters=PARAMETERS):
        self.task = PartitionTask(
            STREAMS,
            parameters,
            CATALOGUE,
            max_disorder_ns=0,
            max_symbols=1_000,
            tally=Tally(),
        )
        self.fed = dict.fromkeys(STREAMS, 0)
        self.records = []
        self.lifted = []

    def feed(self, events, step=SECOND):
        events = sorted(events, key=lambda event: event.ts_event)
        start = 0
        while start < len(events):
            end_ns = events[start].ts_event // step * step + step
            stop = start
            while stop < len(events) and events[stop].ts_event < end_ns:
                stop += 1
            for stream in STREAMS:
                batch = [e for e in events[start:stop] if NAMES[type(e).__name__] == stream]
                self.task.feed(
                    stream,
                    batch,
                    first_offset=self.fed[stream],
                    next_offset=self.fed[stream] + len(batch),
                )
                self.fed[stream] += len(batch)
                self.task.aligner.set_idle(stream, idle=not batch)
            self.take(self.task.advance())
            start = stop
        return self

    def take(self, output):
        self.records += output.switches
        self.lifted += output.lifted

    def moves(self, symbol="AAA"):
        return [r.state for r in self.records if r.symbol == symbol and r.cause == "transition"]

    def topic(self, partition=1):
        """The records as they are on the topic."""
        return [
            SimpleNamespace(
                key=key_of(record, partition),
                value=encode(record),
                timestamp=record.ts_event // 1_000_000,
            )
            for record in self.records
        ]


@pytest.fixture(scope="module")
def undisturbed():
    return Run().feed(EVENTS)


def margins(*rates):
    return [
        Margin(ts_event=BEGIN + 290 * SECOND + i, symbol="AAA", maintenance_margin_rate=rate)
        for i, rate in enumerate(rates)
    ]


def test_every_symbol_begins_armed_and_a_critical_incident_makes_it_reduce_only(undisturbed):
    first = {r.symbol: r for r in reversed(undisturbed.records)}
    assert {r.cause for r in first.values()} == {"started"}
    assert {r.state for r in first.values()} == {"armed"}
    assert undisturbed.moves() == ["reduce_only"]
    (move,) = [r for r in undisturbed.records if r.cause == "transition"]
    assert move.reason.startswith("the order flow is critical; AAA: ")
    assert move.alert_id
    assert undisturbed.moves("BBB") == []


def test_the_flow_trips_only_with_the_venues_limits_or_the_ladder_beside_it():
    raised = Run().feed([*EVENTS, *margins(0.005, 0.01)])
    assert raised.moves()[-1] == "tripped"
    unchanged = Run().feed([*EVENTS, *margins(0.005, 0.0051, 0.004)])
    assert unchanged.moves() == ["reduce_only"]
    laddered = Run()
    laddered.task.switches.note_ladders({"AAA": "warning"})
    laddered.feed(EVENTS)
    assert laddered.moves() == ["caution", "tripped"]
    reason = next(r.reason for r in laddered.records if r.state == "tripped")
    assert reason.startswith("the order flow is critical and a run of liquidations is near; AAA")


def test_a_ladder_that_is_over_no_longer_counts():
    run = Run()
    run.task.switches.note_ladders({"BBB": "critical"})
    run.feed(EVENTS[: len(EVENTS) // 4])
    assert run.moves("BBB") == ["reduce_only"]
    run.task.switches.note_ladders({})
    run.feed(EVENTS[len(EVENTS) // 4 :])
    assert run.moves("BBB") == ["reduce_only"]
    output = Output()
    run.task.switches.rest(EVENTS[-1].ts_event + COOLING_NS, output)
    assert [r.state for r in output.switches if r.symbol == "BBB"] == ["armed"]


def alert_record(alert_id, severity, status="firing", detector="cascade"):
    alert = firing(
        *("AAA", detector, 1, severity, BEGIN, BEGIN),
        score=1.0,
        p_value=None,
        evidence=[],
        summary="a fall of 0.8 % would do it",
        inputs=[],
    )
    alert = msgspec.structs.replace(alert, alert_id=alert_id, status=status)
    return SimpleNamespace(key=b"AAA", value=msgspec.json.encode(alert), timestamp=0)


def test_the_ladder_is_the_gravest_open_cascade_alert_of_a_symbol():
    ladders = Ladders()
    assert ladders.severities == {}
    ladders.take([alert_record("1", "warning"), alert_record("2", "critical")])
    assert ladders.severities == {"AAA": "critical"}
    ladders.take([alert_record("2", "critical", "resolved")])
    assert ladders.severities == {"AAA": "warning"}
    serial = ladders.serial
    other = [alert_record("3", "critical", detector="thin_book")]
    foreign = [SimpleNamespace(key=b"", value=b"cascade?", timestamp=0)]
    assert ladders.take([*other, *foreign]) == []
    assert ladders.serial == serial
    ladders.take([alert_record("1", "warning", "resolved")])
    assert ladders.severities == {}


def test_a_halt_of_the_venue_is_caution_until_it_is_over():
    halted = Status(ts_event=BEGIN + 100 * SECOND + 1, symbol="BBB", state="halted")
    opened = Status(ts_event=BEGIN + 110 * SECOND + 1, symbol="BBB", state="open")
    run = Run().feed([*EVENTS, halted, opened])
    assert run.moves("BBB") == ["caution"]
    assert run.task.switches.state("BBB") == "caution"
    output = Output()
    run.task.switches.rest(BEGIN + 111 * SECOND + COOLING_NS + SECOND, output)
    assert run.task.switches.state("BBB") == "armed"


def test_a_halt_without_an_end_never_ends_by_itself():
    halted = Status(ts_event=BEGIN + 100 * SECOND + 1, symbol="BBB", state="halted")
    run = Run().feed([*EVENTS, halted])
    output = Output()
    run.task.switches.rest(2**64, output)
    assert run.moves("BBB") == ["caution"]
    assert [r for r in output.switches if r.symbol == "BBB"] == []
    assert run.task.switches.state("BBB") == "caution"


def test_findings_of_the_feed_are_caution_and_keep_the_flow_from_tripping_anything():
    # From then on trades of AAA are missing: the feed is frozen.
    cut = [
        e for e in EVENTS if not (e.ts_event > BEGIN + 250 * SECOND and type(e).__name__ == "Trade")
    ]
    run = Run().feed([*cut, *margins(0.005, 0.01)])
    monitors = run.task.monitors
    distrusted = [s for s in monitors if monitors[s].feed.incidents.distrusted_until_ns]
    assert "AAA" in distrusted
    for symbol in distrusted:
        assert run.moves(symbol)[0] == "caution"
        assert "tripped" not in run.moves(symbol)


@pytest.mark.parametrize("step", [SECOND, 7 * SECOND, 60 * SECOND])
def test_the_records_do_not_depend_on_how_much_is_read_at_once(step, undisturbed):
    again = Run().feed(EVENTS, step)
    assert sorted(map(encode, again.records)) == sorted(map(encode, undisturbed.records))


@pytest.mark.parametrize("with_topic", [True, False])
@pytest.mark.parametrize("with_snapshots", [True, False])
def test_after_a_restart_the_records_go_on_as_if_nothing_had_happened(
    with_topic, with_snapshots, undisturbed
):
    at = BEGIN + 320 * SECOND
    before = Run().feed([e for e in EVENTS if e.ts_event < at])
    names = before.task.changed() if with_snapshots else []
    kept = [
        msgspec.msgpack.decode(msgspec.msgpack.encode(before.task.snapshot(s)), type=Snapshot)
        for s in names
    ]
    for symbol in names:
        before.task.saved(symbol)
    resume = before.task.resume_position() if with_snapshots else None
    after = Run()
    start = resume.streams if resume else {}
    after.task.resume(start, kept, PublishedUntil(alerts_until_ns=at - 5 * SECOND))
    if with_topic:
        adopted, refused = after.task.switches.adopt(before.topic(), 1)
        assert refused == 0
        assert (adopted == []) == with_snapshots
    unread = EVENTS
    if resume:
        after.fed = {stream: resume.streams[stream].start for stream in STREAMS}
        counted = dict.fromkeys(STREAMS, 0)
        unread = []
        for event in EVENTS:
            stream = NAMES[type(event).__name__]
            if counted[stream] >= after.fed[stream]:
                unread.append(event)
            counted[stream] += 1
    after.feed(unread)
    if with_topic or with_snapshots:
        assert before.records + after.records == undisturbed.records
    else:
        # Nothing of the past is told again. The states are.
        assert {r.cause for r in after.records} <= {"started", "transition", "renewal"}
        assert {r.symbol: r.state for r in after.records} == {
            r.symbol: r.state for r in undisturbed.records
        }
        assert min(r.ts_event for r in after.records) > at - 5 * SECOND


def test_foreign_records_of_the_topic_are_counted_and_nothing_else_stops(undisturbed):
    topic = undisturbed.topic()
    bad = [
        SimpleNamespace(key=b"AAA", value=b"{}", timestamp=0),
        SimpleNamespace(key=b"\xff", value=topic[0].value, timestamp=0),
        SimpleNamespace(key=b"CCC", value=topic[0].value, timestamp=0),
        SimpleNamespace(key=b"DDD", value=None, timestamp=0),
    ]
    switches = Switches()
    adopted, refused = switches.adopt([*bad, *topic], 1)
    assert refused == 3
    assert len(adopted) == len(topic)
    assert switches.state("AAA") == "reduce_only"


def test_a_switch_of_a_symbol_that_is_no_longer_watched_goes_when_it_is_armed(undisturbed):
    switches = Switches()
    switches.adopt(undisturbed.topic(), 1)
    output = Output(forgotten=["AAA", "BBB", "unknown"])
    switches.forget(output)
    assert output.lifted == ["BBB"]
    later = Output()
    switches.rest(EVENTS[-1].ts_event + 2 * COOLING_NS, later)
    assert [r.state for r in later.switches] == ["armed"]
    assert later.lifted == ["AAA"]
    assert switches.states == {}


# Operators.


def test_an_operators_command_is_answered_and_applied_once(undisturbed):
    switches = Switches()
    switches.adopt(undisturbed.topic(), 1)
    now_ns = EVENTS[-1].ts_event
    answer = switches.command(COMMAND, now_ns)
    assert [(r.state, r.by, r.command_id) for r in answer] == [("tripped", "ann", "c1")]
    assert switches.command(COMMAND, now_ns + 1) == []
    assert switches.command(msgspec.structs.replace(COMMAND, symbol="ZZZ"), now_ns) is None
    successor = Switches()
    successor.adopt([SimpleNamespace(key=b"AAA", value=encode(answer[-1]), timestamp=0)], 1)
    assert successor.command(COMMAND, now_ns + 1) == [], "its record says that it was applied"
    drill = msgspec.structs.replace(COMMAND, action="test", command_id="c2")
    (record,) = successor.command(drill, now_ns + 2)
    assert (record.drill, record.state) == (True, "tripped")


def test_the_venue_has_a_switch_that_only_operators_move():
    run = Run()
    run.task.switches.watch_venue()
    run.feed(EVENTS)
    assert [r.state for r in run.records if r.symbol == MARKET] == ["armed"]
    trip = msgspec.structs.replace(COMMAND, symbol=MARKET)
    answer = run.task.switches.command(trip, EVENTS[-1].ts_event)
    assert answer[-1].state == "tripped"
    assert answer[-1].previous == run_digest(run, MARKET)


def run_digest(run, symbol):
    from detectors.kill_switch.switch import digest

    return digest([encode(r) for r in run.records if r.symbol == symbol][-1])


def test_a_partition_without_events_takes_commands_and_gives_heartbeats_by_the_clock():
    switches = Switches()
    switches.watch_venue()
    assert switches.now_ns(0, 0, BEGIN) == BEGIN
    # Where all topics are idle and nothing was ever read, the watermark is 1.
    assert switches.now_ns(1, SECOND, BEGIN) == BEGIN
    started, beat = switches.beat(BEGIN)
    assert (started.symbol, started.cause, beat.cause) == (MARKET, "started", "heartbeat")
    assert key_of(beat, 3) == f"{HEARTBEAT_KEY}3".encode()
    assert switches.beat(BEGIN + 1) == []


def test_heartbeats_of_a_silent_market_bridge_the_time_without_an_owner():
    before, after = Switches(), Switches()
    (beat,) = before.beat(BEGIN + 100 * SECOND)
    record = SimpleNamespace(
        key=key_of(beat, 1), value=encode(beat), timestamp=(BEGIN + 101 * SECOND) // 1_000_000
    )
    assert after.adopt([record], 1) == ([], 0)
    clock_ns = BEGIN + 161 * SECOND
    assert after.now_ns(BEGIN + 90 * SECOND, SECOND, clock_ns) == BEGIN + 160 * SECOND
    # While something is left to read, only what was read counts.
    assert after.now_ns(BEGIN + 90 * SECOND, 0, clock_ns) == BEGIN + 90 * SECOND


def test_a_state_is_renewed_in_silence_and_told_again_when_another_owner_wrote(undisturbed):
    switches = Switches()
    switches.adopt(undisturbed.topic(), 1)
    end_ns = EVENTS[-1].ts_event
    (beat,) = switches.beat(end_ns)
    renewed, beat = switches.beat(end_ns + 100 * SECOND)
    assert (renewed.cause, renewed.state, beat.cause) == ("renewal", "reduce_only", "heartbeat")
    switches.tell_again()
    *told, beat = switches.beat(end_ns + 110 * SECOND)
    assert {(r.symbol, r.cause, r.state) for r in told} == {
        ("AAA", "reaffirmed", "reduce_only"),
        ("BBB", "reaffirmed", "armed"),
    }
    (beat,) = switches.beat(end_ns + 120 * SECOND)


def test_the_log_of_a_symbol_is_one_chain(undisturbed):
    values = [encode(r) for r in undisturbed.records if r.symbol == "AAA"]
    assert len(values) > 2
    assert first_break(values) is None
    assert decode(values[0]).previous == ""


# Commands on their topic.


def command_record(command, key=None, at_ms=BEGIN // 1_000_000, value=None):
    return SimpleNamespace(
        key=command.symbol.encode() if key is None else key,
        value=encode_command(command) if value is None else value,
        timestamp=at_ms,
    )


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"action": "explode"}, "unknown_action", 'it must be one of "hold", "rearm"'),
        ({"reason": ""}, "wrong_length", "reason"),
        ({"by": ""}, "wrong_length", "by"),
        ({"symbol": None}, "missing_field", "symbol"),
    ],
)
def test_what_is_no_command_is_refused_with_the_field_and_what_would_be_right(change, reason, said):
    value = msgspec.json.encode(msgspec.to_builtins(COMMAND) | change)
    refused = decode_command(0, command_record(COMMAND, value=value))
    assert isinstance(refused, Rejection)
    assert refused.reason == reason
    assert said in refused.detail


def test_a_command_has_the_key_of_its_symbol():
    refused = decode_command(0, command_record(COMMAND, key=b"BBB"))
    assert isinstance(refused, Rejection)
    assert refused.reason == "wrong_key"
    assert "it must be the symbol" in refused.detail


def test_commands_are_given_once_in_order_and_only_while_they_are_valid():
    commands = Commands()
    now_ms = BEGIN / 1e6
    named = [msgspec.structs.replace(COMMAND, command_id=f"c{i}") for i in range(4)]
    at_ms = [now_ms - VALID_SECONDS * 1e3 - 1, now_ms, now_ms, now_ms + 61_000]
    records = [command_record(its, at_ms=at) for its, at in zip(named, at_ms, strict=True)]
    assert commands.take([*records, records[1]]) == []
    assert [its.command_id for its in commands.since(0, now_ms)] == ["c1", "c2"]
    assert [its.command_id for its in commands.since(2, now_ms)] == ["c2"]
    assert commands.since(commands.serial, now_ms) == []


# The venue's limits.


@pytest.mark.parametrize(
    ("before", "now", "tighter"),
    [
        ({"maintenance_margin_rate": 0.005}, {"maintenance_margin_rate": 0.0055}, True),
        ({"maintenance_margin_rate": 0.005}, {"maintenance_margin_rate": 0.0054}, False),
        ({"initial_margin_rate": 0.01}, {"initial_margin_rate": 0.02}, True),
        ({"initial_margin_rate": 0.02}, {"initial_margin_rate": 0.01}, False),
        ({"max_leverage": 100.0}, {"max_leverage": 50.0}, True),
        ({"max_leverage": 50.0}, {"max_leverage": 100.0}, False),
        ({}, {"maintenance_margin_rate": 0.005}, False),
        ({"max_leverage": 50.0}, {"initial_margin_rate": 0.01}, False),
    ],
)
def test_limits_are_tightened_by_a_tenth_or_more(before, now, tighter):
    state = LimitsState()
    take(state, Margin(ts_event=BEGIN, symbol="S", **before))
    take(state, Margin(ts_event=BEGIN + SECOND, symbol="S", **now))
    assert state.tightened_until_ns == (BEGIN + SECOND + TIGHTENED_NS if tighter else 0)


def test_limits_that_take_effect_later_count_until_after_that():
    state = LimitsState()
    take(state, Margin(ts_event=BEGIN, symbol="S", max_leverage=100.0))
    later = BEGIN + 3_600 * SECOND
    take(state, Margin(ts_event=BEGIN + 1, symbol="S", max_leverage=10.0, effective_at=later))
    assert state.tightened_until_ns == later + TIGHTENED_NS


def test_a_symbol_about_which_nothing_is_known_is_calm(undisturbed):
    assert conditions_of(undisturbed.task.monitors["BBB"], EVENTS[-1].ts_event) == Conditions()
