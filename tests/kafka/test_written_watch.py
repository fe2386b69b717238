"""Reading a topic that operators write to: whole before a session, live, after a failure."""

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from service.kafka.counters import ConsumerCounters
from service.kafka.written_watch import WrittenWatch
from service.pipeline.feedback import FEEDBACK, Feedback, Judgements, encode

TOPIC = "feedback"
JUDGED_AT = 1_800_000_000_000_000_000


def verdict(number: int, word: str = "true") -> bytes:
    return encode(Feedback(f"{number:032x}", "S", "thin_book", word, JUDGED_AT))


class Log:
    """The topic: the records of each partition, by offset."""

    def __init__(self, partitions: int) -> None:
        self.logs: list[list[Any]] = [[] for _ in range(partitions)]
        self.failures = 0

    def add(self, number: int, value: bytes | None, partition: int = 0) -> None:
        log = self.logs[partition]
        key = f"{number:032x}".encode()
        log.append(
            SimpleNamespace(offset=len(log), timestamp=JUDGED_AT // 1_000_000, key=key, value=value)
        )

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        assert names == [TOPIC]
        return [{"partitions": [{"partition": number} for number in range(len(self.logs))]}]


class Reader:
    """What the watch uses of a consumer without a group."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, tps: list[TopicPartition]) -> None:
        self._positions = dict.fromkeys(tps, 0)

    def pause(self, *_: TopicPartition) -> None: ...

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[Any, Any]:
        """The first record of partition 0 is old, and so is all of partition 1."""
        return {tp: SimpleNamespace(offset=1) if tp.partition == 0 else None for tp in times}

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: len(self._log.logs[tp.partition]) for tp in tps}

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(len(self._log.logs)))

    async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        if self._log.failures:
            self._log.failures -= 1
            raise KafkaConnectionError("gone")
        found = {}
        for tp, position in self._positions.items():
            if batch := self._log.logs[tp.partition][position:]:
                self._positions[tp] = len(self._log.logs[tp.partition])
                found[tp] = batch
        return found


class Watched:
    """A watch of a log, with what it refused."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.judgements = Judgements()
        self.counters = ConsumerCounters()
        self.refused: list[tuple[int, str]] = []
        self.watch = WrittenWatch(FEEDBACK, TOPIC, self.judgements.take, self.counters)

    async def catch_up(self) -> None:
        await self.watch.catch_up(Reader(self.log), self.log)

    async def follow_until(self, condition: Any) -> None:
        async def refuse(_: TopicPartition, records: Any, rejections: Any) -> None:
            self.refused += [(records[r.index].offset, r.reason) for r in rejections]

        following = asyncio.create_task(
            self.watch.follow(
                lambda: Reader(self.log), self.log, refuse, lambda: itertools.repeat(0.0)
            )
        )
        try:
            async with asyncio.timeout(30.0):
                while not condition():  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.001)
        finally:
            following.cancel()
            await asyncio.wait({following})

    def verdicts(self) -> dict[int, str]:
        return {int(its.alert_id, 16): its.verdict for its in self.judgements.since(0)}


@pytest.fixture
def its() -> Watched:
    return Watched(Log(2))


async def test_what_exists_is_read_before_a_session_and_what_is_none_is_only_logged(its: Watched):
    its.log.add(1, verdict(1))
    its.log.add(1, verdict(1, "false"))
    its.log.add(2, b"?", partition=1)
    its.log.add(3, None, partition=1)
    its.log.add(4, verdict(4), partition=1)
    await its.catch_up()
    assert its.verdicts() == {1: "false", 4: "true"}
    assert its.refused == []


async def test_of_a_long_topic_a_session_begins_with_what_is_recent_only(its: Watched):
    for number, partition in ((1, 0), (2, 0), (3, 1)):
        its.log.add(number, verdict(number), partition)
    recent = WrittenWatch(FEEDBACK, TOPIC, its.judgements.take, its.counters, 60.0)
    await recent.catch_up(Reader(its.log), its.log)
    assert its.verdicts() == {2: "true"}
    its.watch = recent
    its.log.add(4, verdict(4), partition=1)
    await its.follow_until(lambda: 4 in its.verdicts())
    assert sorted(its.verdicts()) == [2, 4]


async def test_what_comes_is_read_once_and_what_is_none_is_refused(its: Watched):
    its.log.add(1, verdict(1))
    await its.catch_up()
    its.log.add(2, verdict(2))
    its.log.add(3, b"?")
    its.log.add(4, verdict(4), partition=1)
    await its.follow_until(lambda: len(its.verdicts()) == 3 and its.refused)
    assert its.refused == [(2, "not_json")]
    assert its.judgements.serial == 3


async def test_after_a_failure_it_reads_on_from_where_it_was(its: Watched):
    its.log.add(1, verdict(1))
    await its.catch_up()
    its.log.failures = 2
    its.log.add(2, verdict(2))
    await its.follow_until(lambda: 2 in its.verdicts())
    assert its.counters.written_failures[FEEDBACK] == 2
    assert its.judgements.serial == 2


async def test_a_partition_that_is_added_is_read_from_its_beginning(its: Watched):
    await its.catch_up()

    def grown() -> bool:
        if len(its.log.logs) == 2:
            its.log.logs.append([])
            its.log.add(9, verdict(9), partition=2)
        return 9 in its.verdicts()

    await its.follow_until(grown)


async def test_without_a_topic_nothing_is_read():
    watch = WrittenWatch(FEEDBACK, "", Judgements().take, ConsumerCounters())
    await watch.catch_up(None, None)
    await watch.follow(None, None, None, lambda: iter(()))
