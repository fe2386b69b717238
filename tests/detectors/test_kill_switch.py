"""The state machine of a kill switch, by hypothesis, against its table and its bounds."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.kill_switch.conditions import CALM, Conditions, level_to_enter, level_to_hold
from detectors.kill_switch.machine import (
    COOLING_NS,
    DAY_NS,
    DWELL_NS,
    FLAP_NS,
    HOUR_NS,
    LASTING_NS,
    MAX_FLAPS_A_DAY,
    MAX_MOVES_AN_HOUR,
    Memory,
    manual_only,
)
from detectors.kill_switch.switch import (
    HEARTBEAT_NS,
    VALID_NS,
    Heartbeat,
    KillSwitch,
    Switch,
    SwitchState,
    decode,
    digest,
    encode,
    first_break,
)
from detectors.kill_switch.table import LEVELS, TABLE

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
EVER = BEGIN * 2
FLOW = Conditions(flow_until_ns=EVER)
LADDER = Conditions(ladder_warning=True)
STEEP = Conditions(ladder_critical=True)
VENUE = Conditions(tightened_until_ns=EVER)
DISTRUSTED = Conditions(distrusted_until_ns=EVER)
BOTH = Conditions(flow_until_ns=EVER, ladder_warning=True)


class Player:
    """A switch, the moment, and its records."""

    def __init__(self, state: SwitchState | None = None, at: int = BEGIN) -> None:
        self.switch = Switch("S", state)
        self.at = at
        self.records: list[KillSwitch] = []
        self.numbers = 0

    def see(self, conditions: Conditions, seconds: int = 1, step: int = 1) -> str:
        """Show it the same evidence at every ``step`` of some seconds; return the state."""
        for _ in range(0, seconds, step):
            self.at += step * SECOND
            self.records += self.switch.observe(conditions, self.at, "S: why", "id")
        return self.state

    def say(self, action: str, seconds: int = 1) -> str:
        """Give a command."""
        self.at += seconds * SECOND
        self.numbers += 1
        name = f"c{self.numbers}"
        if action == "test":
            self.records += self.switch.drill(self.at, "ann", "exercise", name)
        else:
            self.records += self.switch.command(action, self.at, "ann", "because", name)
        return self.state

    @property
    def state(self) -> str:
        return self.switch.memory.state

    def moves(self) -> list[tuple[str, int]]:
        """The states that its records tell, with the seconds since the beginning."""
        told = [r for r in self.records if r.cause in ("transition", "command")]
        return [(r.state, (r.ts_event - BEGIN) // SECOND) for r in told]


# What the evidence calls for.


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        (CALM, "armed"),
        (LADDER, "caution"),
        (VENUE, "caution"),
        (DISTRUSTED, "caution"),
        (FLOW, "reduce_only"),
        (STEEP, "reduce_only"),
        (BOTH, "tripped"),
        (Conditions(flow_until_ns=EVER, ladder_critical=True), "tripped"),
        (Conditions(flow_until_ns=EVER, tightened_until_ns=EVER), "tripped"),
        (Conditions(ladder_critical=True, tightened_until_ns=EVER), "tripped"),
        (Conditions(ladder_warning=True, tightened_until_ns=EVER), "caution"),
    ],
)
def test_each_evidence_calls_for_its_state_at_once(conditions: Conditions, state: str):
    assert Player().see(conditions) == state


evidence = st.builds(
    Conditions,
    flow_until_ns=st.sampled_from([0, EVER]),
    ladder_warning=st.booleans(),
    ladder_critical=st.booleans(),
    tightened_until_ns=st.sampled_from([0, EVER]),
    distrusted_until_ns=st.sampled_from([0, EVER]),
)


@given(evidence)
def test_one_family_alone_never_trips_and_nothing_does_on_data_that_is_not_trusted(its: Conditions):
    families = (its.flow_until_ns > 0) + (its.ladder_warning or its.ladder_critical)
    families += its.tightened_until_ns > 0
    if families < 2:
        assert level_to_hold(its) < LEVELS["tripped"]
    if its.distrusted_until_ns:
        assert level_to_enter(its) == LEVELS["caution"]
    assert level_to_enter(its) <= level_to_hold(its)


def test_what_is_not_trusted_keeps_a_state_but_does_not_begin_it():
    player = Player()
    assert player.see(BOTH) == "tripped"
    unsure = msgspec.structs.replace(BOTH, distrusted_until_ns=EVER)
    assert player.see(unsure, 2 * 3_600, step=60) == "tripped"
    assert Player().see(unsure, 3_600, step=60) == "caution"


# Less strict is slow.


def test_a_trip_ends_in_reduce_only_after_cooling_and_that_after_its_dwell():
    player = Player()
    player.see(BOTH, 10)
    player.see(CALM, 500)
    # The evidence was last seen at 10 s: it ends with the bar of 11 s.
    cooled = 11 + COOLING_NS // SECOND
    assert player.moves() == [
        ("tripped", 1),
        ("reduce_only", cooled),
        ("armed", cooled + DWELL_NS // SECOND),
    ]


def test_a_state_is_left_at_its_time_however_seldom_anybody_looks():
    often, seldom = Player(), Player()
    often.see(BOTH, 10)
    often.see(CALM, 1_000)
    seldom.see(BOTH, 10)
    seldom.see(CALM)
    seldom.at += 998 * SECOND
    seldom.see(CALM)
    assert seldom.moves() == often.moves()


def test_evidence_that_ends_by_itself_ends_at_its_time_and_not_when_somebody_looks():
    player = Player()
    player.see(Conditions(flow_until_ns=BEGIN + 70 * SECOND))
    player.records += player.switch.rest(BEGIN + 10_000 * SECOND)
    assert player.moves() == [("reduce_only", 1), ("armed", 370)]


def test_caution_follows_reduce_only_while_something_calls_for_it():
    player = Player()
    player.see(STEEP, 10)
    assert player.see(LADDER, 1_000) == "caution"
    assert [state for state, _ in player.moves()] == ["reduce_only", "caution"]


@pytest.mark.parametrize("period", [1, 7, 61, 301, 367, 650])
def test_flapping_evidence_moves_the_switch_a_few_times_an_hour(period: int):
    player = Player()
    was_manual = False
    for number in range(86_400 // period):
        player.see(BOTH if number % 2 == 0 else CALM, period, step=min(period, 61))
        was_manual |= manual_only(player.switch.memory, player.at)
    bounded(player.records)
    # Shorter than the cooling, the trip never ends. Longer, the third flap ends the flapping.
    assert len(player.moves()) <= (1 if period < COOLING_NS // SECOND else 24)
    assert was_manual == (period > COOLING_NS // SECOND)


def bounded(records: list[KillSwitch]) -> None:
    """No state becomes less strict after three automatic transitions in the hour before."""
    level, automatic = 0, []
    for record in records:
        if record.cause == "command":
            level = LEVELS[record.state]
            automatic = [] if record.state == "armed" else automatic
        if record.cause != "transition":
            continue
        now, after = record.ts_event, LEVELS[record.state]
        recent = [at for at in automatic if now - at < HOUR_NS]
        if after < level:
            assert len(recent) < MAX_MOVES_AN_HOUR
            assert record.ts_event - record.memory.below_ns[level - 1] >= COOLING_NS
        # What is stricter is never refused: three steps at most, until something is less strict.
        assert len(recent) < MAX_MOVES_AN_HOUR + 3
        level = after
        automatic.append(now)


def test_after_three_flaps_within_a_day_only_an_operator_or_the_next_day_ends_a_state():
    player = Player()
    while not manual_only(player.switch.memory, player.at):
        player.see(FLOW)
        player.see(CALM, 3_000, step=100)
    player.see(FLOW)
    third = player.switch.memory.flaps_ns[-MAX_FLAPS_A_DAY]
    assert third < player.at - FLAP_NS
    assert player.see(CALM, 7_200, step=100) == "reduce_only"
    assert player.say("rearm") == "armed"
    assert not manual_only(player.switch.memory, player.at)


def test_flaps_of_a_day_ago_no_longer_count():
    player = Player()
    while not manual_only(player.switch.memory, player.at):
        player.see(FLOW)
        player.see(CALM, 3_000, step=100)
    player.see(FLOW)
    player.records += player.switch.observe(CALM, player.at + SECOND)
    player.records += player.switch.rest(player.at + DAY_NS)
    assert player.state == "armed"


# Operators.


def test_what_an_operator_trips_stays_reduce_only_until_somebody_re_arms_it():
    player = Player()
    player.see(CALM)
    assert player.say("trip") == "tripped"
    assert player.see(CALM, 400) == "reduce_only"
    assert player.see(CALM, 2 * 86_400, step=600) == "reduce_only"
    assert player.say("rearm") == "armed"
    last = player.records[-1]
    assert (last.by, last.reason) == ("ann", "re-armed by ann: because")
    assert last.command_id == "c2"


def test_what_an_operator_holds_no_evidence_moves():
    player = Player()
    assert player.say("hold") == "held"
    assert player.see(BOTH, 1_000) == "held"
    assert player.see(CALM, 86_400, step=600) == "held"
    assert player.say("rearm") == "armed"


def test_a_re_armed_switch_ignores_the_evidence_that_was_accepted_and_heeds_what_is_worse():
    player = Player()
    player.see(FLOW, 10)
    assert player.say("rearm") == "armed"
    assert player.see(FLOW, 600) == "armed"
    assert player.see(BOTH) == "tripped"

    again = Player()
    again.see(FLOW, 10)
    again.say("rearm")
    again.see(CALM, 10)
    assert again.see(FLOW) == "reduce_only"


def test_a_drill_changes_nothing_and_never_says_tripped():
    player = Player()
    player.see(FLOW)
    before = player.switch.memory
    player.say("test")
    drill = player.records[-1]
    assert (drill.drill, drill.cause, drill.state) == (True, "drill", "reduce_only")
    assert "drill by ann: exercise" in drill.reason
    after = msgspec.structs.replace(
        player.switch.memory, now_ns=before.now_ns, commands=before.commands
    )
    assert after == before


def test_a_command_is_applied_once():
    player = Player()
    player.say("trip")
    player.say("rearm")
    again = player.switch.command("trip", player.at + SECOND, "ann", "because", "c1")
    assert again == []
    assert player.state == "armed"


# Whatever happens.

happenings = st.lists(
    st.one_of(
        st.tuples(st.just("see"), evidence, st.sampled_from([1, 5, 59, 60, 61, 299, 301, 3_700])),
        st.tuples(st.just("say"), st.sampled_from(["trip", "hold", "rearm", "test"]), st.just(1)),
        st.tuples(st.just("rest"), st.none(), st.sampled_from([1, 60, 400, 4_000])),
    ),
    max_size=40,
)


def play(player: Player, what: list) -> None:
    for kind, which, seconds in what:
        if kind == "see":
            player.see(which, seconds, step=max(1, seconds // 5))
        elif kind == "say":
            player.say(which)
        else:
            player.at += seconds * SECOND
            player.records += player.switch.rest(player.at)
            player.records += player.switch.renew(player.at)


@settings(max_examples=300, deadline=None)
@given(happenings)
def test_every_transition_is_in_the_table_bounded_and_told_in_one_chain(what: list):
    player = Player()
    play(player, what)
    state = "armed"
    for record in player.records:
        if record.state != state:
            assert record.cause in ("transition", "command")
            assert record.state in {to for (came, _), to in TABLE.items() if came == state}
        assert record.valid_until == record.ts_event + VALID_NS
        assert record.ts_event <= player.at
        assert (record.until is None) == (record.state == "armed")
        if record.until is not None:
            assert record.ts_event < record.until <= record.ts_event + LASTING_NS
        state = record.state
    assert state == player.state
    assert [r.sequence for r in player.records] == list(range(1, len(player.records) + 1))
    assert [r.ts_event for r in player.records] == sorted(r.ts_event for r in player.records)
    assert first_break([encode(record) for record in player.records]) is None
    bounded(player.records)


@settings(max_examples=300, deadline=None)
@given(happenings)
def test_no_state_lasts_for_ever_once_nothing_calls_for_it(what: list):
    player = Player()
    play(player, what)
    player.see(CALM)
    limit = player.at + DAY_NS + HOUR_NS + COOLING_NS
    player.records += player.switch.rest(limit)
    assert player.state != "tripped"
    if player.state == "held":
        assert player.switch.memory.by == "ann"
    elif player.state != "armed":
        assert player.switch.memory.floor == LEVELS[player.state]
    player.at = limit
    assert player.say("rearm") == "armed"
    assert player.see(CALM, 1_000, step=10) == "armed"


@settings(max_examples=200, deadline=None)
@given(happenings, st.integers(0, 40), st.booleans())
def test_a_restart_anywhere_gives_the_same_records(what: list, at: int, by_topic: bool):
    whole, first = Player(), Player()
    play(whole, what)
    play(first, what[:at])
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(first.switch.snapshot), type=SwitchState)
    second = Player(state, first.at)
    second.numbers = first.numbers
    if by_topic and first.records:
        # The topic's last record is the same or earlier: the snapshot continues.
        assert not second.switch.adopt(encode(first.records[-1]))
    play(second, what[at:])
    assert first.records + second.records == whole.records


@settings(max_examples=200, deadline=None)
@given(happenings)
def test_the_last_record_alone_is_enough_to_go_on(what: list):
    player = Player()
    play(player, what)
    if not player.records:
        return
    fresh = Switch("S")
    assert fresh.adopt(encode(player.records[-1]))
    last = player.records[-1]
    assert fresh.memory.state == player.state
    assert fresh.snapshot.chain.sequence == last.sequence
    # What it remembers of evidence may be old. The next bar says what is true.
    fresh.observe(CALM, player.at + SECOND)
    fresh.rest(player.at + DAY_NS + HOUR_NS + COOLING_NS)
    assert fresh.memory.state != "tripped"


def test_time_that_is_processed_already_changes_nothing():
    player = Player()
    player.see(BOTH)
    assert player.switch.observe(CALM, player.at) == []
    assert player.switch.observe(CALM, player.at - SECOND) == []
    assert player.switch.memory.conditions == BOTH


def test_a_state_is_renewed_before_it_ends_and_armed_has_no_end():
    player = Player()
    player.see(FLOW, 600)
    renewals = [r for r in player.records if r.cause == "renewal"]
    assert [r.state for r in renewals] == ["reduce_only"] * len(renewals)
    covered = player.records[0].until
    for record in renewals:
        assert record.ts_event < covered
        covered = record.until
    assert covered > player.at


# The chain, and the heartbeats.


def test_a_changed_or_missing_record_breaks_the_chain():
    player = Player()
    player.see(BOTH, 10)
    player.see(CALM, 1_000)
    values = [encode(record) for record in player.records]
    assert first_break(values) is None
    assert first_break([*values[:2], values[1], *values[2:]]) is None, "a repeat"
    assert first_break([*values[:1], *values[2:]]) == 1
    forged = encode(msgspec.structs.replace(player.records[1], reason="nothing"))
    assert first_break([values[0], forged, *values[2:]]) == 2
    assert decode(values[1]).previous == digest(values[0])


def test_heartbeats_come_every_five_seconds_and_last_fifteen():
    heartbeat = Heartbeat()
    beats = [
        beat
        for second in range(60)
        if (beat := heartbeat.beat(BEGIN + second * SECOND)) is not None
    ]
    assert [beat.ts_event - BEGIN for beat in beats] == list(range(0, 60 * SECOND, HEARTBEAT_NS))
    assert {beat.valid_until - beat.ts_event for beat in beats} == {VALID_NS}
    assert first_break([encode(beat) for beat in beats]) is None
    successor = Heartbeat()
    assert successor.adopt(encode(beats[-1])) == beats[-1].ts_event
    follows = successor.beat(BEGIN + 60 * SECOND)
    assert follows is not None
    assert first_break([encode(beats[-1]), encode(follows)]) is None


def test_a_record_of_another_symbol_or_a_heartbeat_is_not_adopted():
    player = Player()
    player.see(BOTH)
    with pytest.raises(ValueError, match="of another one"):
        Switch("T").adopt(encode(player.records[0]))
    beat = Heartbeat().beat(BEGIN)
    assert beat is not None
    with pytest.raises(ValueError, match="of no symbol"):
        Switch("").adopt(encode(beat))
    with pytest.raises(msgspec.MsgspecError):
        Switch("S").adopt(b"{}")


def test_what_is_remembered_is_bounded():
    player = Player()
    for number in range(500):
        player.see(BOTH if number % 2 else CALM, 400, step=100)
        if number % 50 == 49:
            player.say("rearm")
    memory: Memory = player.switch.memory
    assert len(memory.moves_ns) <= MAX_MOVES_AN_HOUR + 3
    assert len(memory.flaps_ns) <= 24 * (MAX_MOVES_AN_HOUR + 3)
    assert len(encode(player.records[-1])) < 8_192
