"""What the Kafka loop knows of a partition: which topics are silent, and what may be committed."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from detectors.catalogue import CATALOGUE
from detectors.parameters import Parameters
from service.kafka.commit_metadata import decode_metadata
from service.kafka.idleness import BrokerAnswer, OffsetsWentBackError
from service.kafka.partition import Partition, reset_offsets
from service.pipeline.align import StreamPosition
from service.pipeline.output import PublishedUntil, Tally
from service.pipeline.task import PartitionTask
from tests.pipeline.events import by_stream, market

TOPICS = {"orders": "o", "cancels": "c", "trades": "t"}
LOGS = by_stream(market(seed=3, seconds=30, symbols=("AAA",)))
IDLE_SECONDS, ANSWER_WITHIN_SECONDS = 2.0, 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def partition():
    task = PartitionTask(
        tuple(TOPICS), Parameters(), CATALOGUE, max_disorder_ns=0, max_symbols=9, tally=Tally()
    )
    return Partition(0, task, TOPICS, 30.0)


def feed(its, share):
    for stream, events in LOGS.items():
        stop = int(len(events) * share)
        first = its.task.aligner.read(stream)
        its.task.feed(stream, events[first:stop], first_offset=first, next_offset=stop)
    its.task.advance()


def answer(its, at):
    """The broker says, in its answer number ``at``, that there is no more."""
    return {tp: BrokerAnswer(read, at) for tp, read in its.read().items()}


def update(its, heard):
    return its.idleness.update(heard, IDLE_SECONDS, ANSWER_WITHIN_SECONDS)


def test_a_topic_is_idle_once_the_broker_has_confirmed_its_silence_for_long_enough(clock):
    its = partition()
    became_idle = []
    for number in range(6):
        became_idle.append(update(its, answer(its, number)))
        clock.now += 1.0
    assert became_idle == [False, False, False, True, False, False]


def test_a_topic_that_is_read_as_fast_as_it_comes_is_not_idle(clock):
    its = partition()
    for number in range(20):
        feed(its, number / 20)
        assert not update(its, answer(its, number))
        clock.now += 1.0


def test_silence_counts_only_while_the_broker_answers(clock):
    its = partition()
    heard = answer(its, 0)
    for _ in range(20):
        assert not update(its, heard)
        clock.now += 1.0


def test_an_answer_that_waited_while_the_process_was_frozen_confirms_nothing(clock):
    its = partition()
    update(its, answer(its, 0))
    clock.now += 0.5
    update(its, answer(its, 1))
    clock.now += 60.0
    assert not update(its, answer(its, 2))


def test_an_idle_topic_that_can_no_longer_be_reached_holds_the_others_back_again(clock):
    its = partition()
    feed(its, 0.5)
    for number in range(6):
        heard = answer(its, number)
        update(its, heard)
        clock.now += 1.0
    assert not its.task.aligner.holds_back("orders")
    clock.now += 2 * ANSWER_WITHIN_SECONDS
    update(its, heard)
    assert any(its.task.aligner.holds_back(stream) for stream in TOPICS)


@pytest.mark.parametrize("outage_seconds", [3.0, 15.0, 60.0])
def test_silence_begins_again_when_the_broker_was_away(clock, outage_seconds):
    its = partition()
    for number in range(2):
        update(its, answer(its, number))
        clock.now += 1.0
    clock.now += outage_seconds
    became_idle = []
    for number in range(2, 7):
        became_idle.append(update(its, answer(its, number)))
        clock.now += 1.0
    # As after the first answer of all: silence, confirmed for long enough.
    assert became_idle == [False, False, False, True, False]


def test_a_topic_that_was_idle_holds_the_others_back_after_an_outage_until_its_own_silence(clock):
    its = partition()
    for number in range(6):
        update(its, answer(its, number))
        clock.now += 1.0
    assert not its.task.aligner.holds_back("orders")
    clock.now += 3.0
    update(its, answer(its, 7))
    assert its.task.aligner.holds_back("orders")


def test_what_was_committed_is_never_taken_back_and_no_snapshot_taken_before_it():
    its = partition()
    its.committed = {TopicPartition(topic, 0): 20 for topic in ("o",)}
    its.task.resume({stream: StreamPosition() for stream in TOPICS}, [], PublishedUntil())
    its.task.feed("orders", LOGS["orders"][:5], first_offset=0, next_offset=5)
    for stream in TOPICS:
        its.task.aligner.set_idle(stream)
    its.task.advance()
    assert its.task.changed() == ["AAA"]
    assert its.unsaved() == []
    assert its.commits() == {}
    its.task.feed("orders", LOGS["orders"][5:30], first_offset=5, next_offset=30)
    for stream in TOPICS:
        its.task.aligner.set_idle(stream)
    its.task.advance()
    assert its.unsaved() == ["AAA"]
    its.task.snapshot("AAA")
    its.task.saved("AAA")
    assert its.commits()[TopicPartition("o", 0)].offset == 30


def test_a_snapshot_that_came_to_nothing_is_taken_again():
    its = partition()
    feed(its, 1.0)
    its.slots["AAA"] = 1
    before = its.task.resume_position()
    its.task.snapshot("AAA")
    assert its.unsaved() == []
    its.drop_snapshot("AAA")
    assert its.unsaved() == ["AAA"]
    assert its.slots["AAA"] == 0
    assert its.task.resume_position() == before


def test_a_topic_with_unread_records_holds_the_others_back_even_if_it_was_idle(clock):
    its = partition()
    feed(its, 0.5)
    for number in range(6):
        update(its, answer(its, number))
        clock.now += 1.0
    feed(its, 0.5)
    before = its.task.aligner.watermark_ns
    trades = TopicPartition("t", 0)
    heard = answer(its, 7)
    update(its, heard | {trades: BrokerAnswer(heard[trades].end + 1, 7)})
    first = its.task.aligner.read("orders")
    later = LOGS["orders"][first:]
    its.task.feed("orders", later, first_offset=first, next_offset=first + len(later))
    its.task.advance()
    assert its.task.aligner.watermark_ns == before


def test_a_topic_that_was_made_again_is_committed_from_its_beginning():
    its = partition()
    feed(its, 0.5)
    again = reset_offsets("t", [its])
    trades = TopicPartition("t", 0)
    assert list(again) == [trades]
    assert again[trades].offset == 0
    note = decode_metadata(again[trades].metadata)
    assert note is not None
    assert note.begun_at == -1


def test_a_commit_tells_which_records_after_it_have_a_dead_letter():
    its, orders = partition(), TopicPartition("o", 0)
    feed(its, 0.5)
    its.task.snapshot("AAA")
    its.task.saved("AAA")
    start = its.commits()[orders].offset
    assert [its.refuse(orders, at) for at in (start - 1, start + 4, start + 9)] == [True] * 3
    note = decode_metadata(its.commits()[orders].metadata)
    assert note is not None
    assert note.refused == (4, 9)
    assert [its.refuse(orders, at) for at in (start + 4, start + 5, start + 9)] == [
        False,
        True,
        False,
    ]


def test_the_metadata_of_a_commit_fits_however_many_records_have_a_dead_letter():
    its, orders = partition(), TopicPartition("o", 0)
    for at in range(10_000_000, 10_001_000):
        assert its.refuse(orders, at)
    metadata = its.commits()[orders].metadata
    assert len(metadata) < 4_096  # offset.metadata.max.bytes
    assert decode_metadata(metadata).refused[-1] == 10_000_999


async def test_a_restart_reads_snapshots_from_the_oldest_that_it_needs():
    its = partition()
    feed(its, 0.5)
    for offset in (7, 30):
        its.slots["AAA"] = 0
        its.task.snapshot("AAA")
        parts = [asyncio.Future(), asyncio.Future()]
        for number, part in enumerate(parts):
            part.set_result(SimpleNamespace(offset=offset + number))
        its.expect_snapshot("AAA", parts)
        its.settle()
        notes = [decode_metadata(commit.metadata) for commit in its.commits().values()]
        assert {note.snapshots_offset for note in notes} == {offset}
        feed(its, 1.0)


async def test_a_snapshot_of_a_symbol_that_was_forgotten_meanwhile_is_not_counted_on():
    its = partition()
    feed(its, 0.5)
    its.task.snapshot("AAA")
    part = asyncio.Future()
    part.set_result(SimpleNamespace(offset=7))
    its.expect_snapshot("AAA", [part])
    its.slots.pop("AAA", None)
    its.settle()
    assert its.saved_at == {}


async def test_snapshots_whose_topic_was_made_again_are_all_taken_anew():
    its = partition()
    feed(its, 0.5)
    for offset in (7, 0):  # the second is the first of a new topic
        its.slots["AAA"] = 0
        its.task.snapshot("AAA")
        part = asyncio.Future()
        part.set_result(SimpleNamespace(offset=offset))
        its.expect_snapshot("AAA", [part])
        its.settle()
        assert its.task.changed() == (["AAA"] if offset == 0 else [])
        feed(its, 1.0)
    notes = [decode_metadata(commit.metadata) for commit in its.commits().values()]
    assert {note.saved_symbols for note in notes} == {1}


def test_a_topic_that_goes_on_ending_before_what_was_read_was_made_again(clock):
    its = partition()
    feed(its, 0.5)
    trades = TopicPartition("t", 0)
    # Not at the first answer, which may be older than what was read.
    assert not update(its, answer(its, 0) | {trades: BrokerAnswer(0, 0)})
    clock.now += IDLE_SECONDS
    assert not update(its, answer(its, 1) | {trades: BrokerAnswer(0, 1)})
    clock.now += IDLE_SECONDS
    with pytest.raises(OffsetsWentBackError) as raised:
        update(its, answer(its, 2) | {trades: BrokerAnswer(0, 2)})
    assert raised.value.topic == "t"
