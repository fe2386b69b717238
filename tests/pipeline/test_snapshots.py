"""Snapshots on a compacted topic: whole or not at all, and never somebody else's."""

import marshal  # noqa: TID251 - to show that what it writes is not read
import pickle  # noqa: TID251 - as above
import zlib
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.parameters import Parameters
from service.pipeline import snapshots
from service.pipeline.output import Tally
from service.pipeline.snapshots import parts, restore
from service.pipeline.task import PartitionTask
from tests.pipeline.events import by_stream, market

STREAMS = ("orders", "cancels", "trades")


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: list


def taken(seconds):
    """A snapshot of a symbol after so many seconds."""
    task = PartitionTask(
        STREAMS, Parameters(), CATALOGUE, max_disorder_ns=0, max_symbols=9, tally=Tally()
    )
    for stream, events in by_stream(market(3, seconds, symbols=("AAA",))).items():
        task.feed(stream, events, first_offset=0, next_offset=len(events))
        task.aligner.set_idle(stream)
    task.advance()
    return task.snapshot("AAA")


OLD, NEW = taken(40), taken(80)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(snapshots, "PART_BYTES", 700)


def records(snapshot, slot, generation, settings="s"):
    its = parts(snapshot, slot=slot, generation=generation, settings=settings)
    return [Record(*part) for part in its]


def same(a, b):
    return msgspec.msgpack.encode(a) == msgspec.msgpack.encode(b)


def test_a_large_state_goes_in_parts_and_comes_back_whole():
    its = records(OLD, 0, "1")
    assert len(its) > 3
    restored = restore(its, "s")
    assert same(restored.snapshots, [OLD])
    assert restored.slots == {"AAA": 0}
    assert restored.problems == {}


def test_the_newest_whole_set_wins():
    restored = restore([*records(OLD, 0, "1"), *records(NEW, 1, "2")], "s")
    assert same(restored.snapshots, [NEW])
    assert restored.slots == {"AAA": 1}


@given(st.integers(0, 200))
def test_a_set_that_is_torn_is_ignored_in_favour_of_the_one_before(cut):
    torn = records(NEW, 1, "2")
    restored = restore([*records(OLD, 0, "1"), *torn[: cut % len(torn)]], "s")
    assert same(restored.snapshots, [OLD])


def test_a_set_written_over_an_older_one_of_its_slot_is_not_mixed_with_it():
    third = records(NEW, 0, "3")
    latest = {r.key: r for r in [*records(OLD, 0, "1"), *third[:2]]}
    restored = restore([*latest.values(), *records(NEW, 1, "2")], "s")
    assert same(restored.snapshots, [NEW])
    assert restored.slots == {"AAA": 1}


def test_a_corrupt_set_is_ignored_and_counted():
    its = records(OLD, 0, "1")
    its[1] = its[1]._replace(value=b"\x00" * len(its[1].value))
    restored = restore(its, "s")
    assert restored.snapshots == []
    assert restored.problems == {"corrupt": 1}


def test_other_settings_and_other_formats_are_ignored_and_counted(monkeypatch):
    other_settings = records(OLD, 0, "1", settings="t")
    monkeypatch.setattr(snapshots, "FORMAT", snapshots.FORMAT + 1)
    other_format = records(NEW, 1, "2")
    monkeypatch.undo()
    restored = restore([*other_settings, *other_format], "s")
    assert restored.snapshots == []
    assert restored.problems == {"other_settings": 1, "newer_format": 1}


@pytest.mark.parametrize("shift", [-1, 1])
def test_what_another_version_wrote_since_makes_an_earlier_snapshot_worthless(monkeypatch, shift):
    monkeypatch.setattr(snapshots, "FORMAT", snapshots.FORMAT + shift)
    of_another_version = records(NEW, 1, "2")
    monkeypatch.undo()
    assert restore([*records(OLD, 0, "1"), *of_another_version], "s").snapshots == []
    restored = restore([*of_another_version, *records(OLD, 0, "3")], "s")
    assert same(restored.snapshots, [OLD])


@pytest.mark.parametrize(
    "key",
    [b"AAA\x1f00\x1f0", b"AAA\x1f7\x1f0", b"AAA\x1f0\x1f-1", b"\xff\x1f0\x1f0", b"AAA\x1f+0\x1f0"],
)
def test_only_keys_as_they_are_written_are_ours(key):
    its = records(OLD, 0, "1")
    restored = restore([*its, its[0]._replace(key=key)], "s")
    assert same(restored.snapshots, [OLD])
    assert restored.problems == {"foreign_record": 1}


def test_a_deleted_snapshot_is_gone():
    gone = [Record(record.key, None, []) for record in records(OLD, 0, "1")]
    assert restore([*records(OLD, 0, "1"), *gone], "s").snapshots == []


@given(st.lists(st.tuples(st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=9))))
def test_foreign_records_are_passed_over(rows):
    foreign = [Record(key, value, [("x", b"y")]) for key, value in rows]
    restored = restore([*foreign, *records(OLD, 0, "1")], "s")
    assert same(restored.snapshots, [OLD])


class Bomb:
    """What a pickle of it does when it is loaded."""

    def __reduce__(self):
        return (pytest.fail, ("code from a topic was run",))


def hostile(payload, **header):
    """A record that says of itself what a snapshot's only part would."""
    its = {"format": snapshots.FORMAT, "version": "1", "settings": "s", "generation": "1"}
    its |= {"part": 0, "parts": 1, "crc": zlib.crc32(payload)} | header
    key = snapshots.key("AAA", 0, 0)
    return Record(key, payload, [("foreshock.snapshot", msgspec.json.encode(its))])


def test_a_snapshot_is_data_and_never_code():
    bombs = [pickle.dumps(Bomb(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    bombs += [marshal.dumps(compile("raise SystemExit", "x", "exec")), b"!!python/name:os.system"]
    for bomb in bombs:
        assert restore([hostile(bomb)], "s").problems == {"corrupt": 1}


def test_a_set_that_claims_to_be_huge_is_not_believed():
    last = hostile(b"x", part=10**15 - 1, parts=10**15)
    last = last._replace(key=snapshots.key("AAA", 0, 10**15 - 1))
    restored = restore([last], "s")
    assert restored.problems == {"foreign_record": 1}
    assert restored.most_parts == {}


@pytest.mark.parametrize("part", [snapshots.MAX_PARTS, 300_000_000])
def test_a_key_that_claims_many_parts_costs_nothing_when_its_symbol_is_forgotten(part):
    claim = Record(snapshots.key("AAA", 0, part), b"x", [])
    restored = restore([*records(OLD, 0, "1"), claim], "s")
    assert restored.problems == {"foreign_record": 1}
    assert restored.most_parts == {"AAA": len(records(OLD, 0, "1"))}
    assert same(restored.snapshots, [OLD])


def test_a_key_that_is_longer_than_ours_is_foreign():
    claim = Record(snapshots.key("A" * 1_000_000, 0, 0), b"x", [])
    assert restore([claim], "s").problems == {"foreign_record": 1}


def of_group(group, snapshot, slot, generation):
    its = parts(snapshot, slot=slot, generation=generation, settings="s", group=group)
    return [Record(*part) for part in its]


def test_what_another_group_saved_is_not_ours():
    ours, theirs = of_group("ours", OLD, 0, "1"), of_group("theirs", NEW, 1, "2")
    restored = restore([*ours, *theirs], "s", "ours")
    assert same(restored.snapshots, [OLD])
    assert restored.slots == {"AAA": 0}
    assert restored.damaged == []
    assert restored.problems == {"other_group": 1}
    assert restored.groups == ["theirs"]
    assert snapshots.describe_problems(restored) == ["1 of another consumer group (theirs)"]
    assert restore(theirs, "s", "ours").snapshots == []


def test_what_an_earlier_version_saved_without_its_group_is_ours():
    restored = restore(records(OLD, 0, "1"), "s", "ours")
    assert same(restored.snapshots, [OLD])
    assert restored.groups == []


def test_a_snapshot_that_cannot_be_revived_is_corrupt_and_the_one_before_is_used():
    def revive(snapshot):
        if same(snapshot, NEW):
            raise ZeroDivisionError
        return "monitor"

    restored = restore([*records(OLD, 0, "1"), *records(NEW, 1, "2")], "s", None, revive)
    assert same(restored.snapshots, [OLD])
    assert restored.monitors == {"AAA": "monitor"}
    assert restored.problems == {"corrupt": 1}
    assert restored.damaged == ["AAA"]


def test_an_older_state_that_was_written_late_does_not_replace_a_newer_one():
    restored = restore([*records(NEW, 0, "2"), *records(OLD, 1, "1")], "s")
    assert same(restored.snapshots, [NEW])
    assert restored.slots == {"AAA": 0}
    assert restored.damaged == []


def test_a_symbol_whose_newest_snapshot_is_corrupt_is_named():
    newest = records(NEW, 1, "2")
    newest[0] = newest[0]._replace(value=b"\x00" * len(newest[0].value))
    restored = restore([*records(OLD, 0, "1"), *newest], "s")
    assert same(restored.snapshots, [OLD])
    assert restored.damaged == ["AAA"]


def test_what_was_saved_under_other_settings_since_makes_an_earlier_snapshot_worthless():
    restored = restore([*records(OLD, 0, "1"), *records(NEW, 1, "2", settings="t")], "s")
    assert restored.snapshots == []
    assert restored.damaged == ["AAA"]
    assert restored.slots == {"AAA": 1}, "the next one takes the place of the worthless one"


def test_an_older_state_of_another_version_that_was_written_late_replaces_nothing():
    late = records(OLD, 1, "1", settings="t")
    restored = restore([*records(NEW, 0, "2"), *late], "s")
    assert same(restored.snapshots, [NEW])
    assert restored.damaged == []


def test_a_symbol_whose_snapshot_somebody_overwrote_is_named():
    its = records(OLD, 0, "1")
    restored = restore([*its[1:], Record(its[0].key, b"else", [])], "s")
    assert restored.snapshots == []
    assert restored.damaged == ["AAA"]


def test_a_torn_or_deleted_snapshot_is_no_damage():
    torn = [*records(OLD, 0, "1"), *records(NEW, 1, "2")[:1]]
    assert restore(torn, "s").damaged == []
    gone = [*records(OLD, 0, "1"), Record(records(OLD, 0, "1")[0].key, None, [])]
    assert restore(gone, "s").damaged == []


def task():
    return PartitionTask(
        STREAMS, Parameters(), CATALOGUE, max_disorder_ns=0, max_symbols=9, tally=Tally()
    )


def without_a_level(state):
    state["bids"].pop()


def with_an_order_elsewhere(state):
    next(iter(state["orders"].values()))["price"] *= 2


def with_too_few_counts(state):
    state["feed"]["seen"].pop()


def with_a_bar_of_the_far_future(state):
    state["open_bar"] = 2**62


@pytest.mark.parametrize(
    "forge",
    [
        without_a_level,
        with_an_order_elsewhere,
        with_too_few_counts,
        with_a_bar_of_the_far_future,
    ],
)
def test_a_snapshot_that_is_well_typed_and_contradicts_itself_is_corrupt(forge):
    forged = msgspec.msgpack.decode(msgspec.msgpack.encode(NEW))
    forge(forged["state"])
    # Its checksum is right, and its types are.
    payload = msgspec.convert(forged, type(NEW), strict=False)
    restored = restore([*records(OLD, 0, "1"), *records(payload, 1, "2")], "s", None, task().revive)
    assert same(restored.snapshots, [OLD])
    assert list(restored.monitors) == ["AAA"]
    assert restored.problems == {"corrupt": 1}
