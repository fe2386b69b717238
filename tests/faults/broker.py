"""A broker in memory: logs, idempotent producers, compaction, and group state.

It answers at once and never fails. The network adds delays and failures (``network.py``). The
behaviour follows Apache Kafka's classic group protocol and its checks of producer state.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.structs import OffsetAndMetadata, OffsetAndTimestamp

from tests.faults.clock import BEGIN_NS, VirtualLoop
from tests.faults.group import Group

Headers = Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Record:
    """A record of a log, with the fields that the service reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True)
class _Log:
    records: list[Record] = field(default_factory=list)
    end: int = 0
    waiting: list[Callable[[], None]] = field(default_factory=list)


class Broker:
    """Every topic of the world, and its one consumer group."""

    def __init__(self, loop: VirtualLoop, context: Context, assigned_topics: Sequence[str]) -> None:
        self._loop = loop
        self._context = context
        self._logs: dict[TopicPartition, _Log] = {}
        self._sequences: dict[tuple[int, TopicPartition], tuple[int, int]] = {}
        self._producers = 0
        self.committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self.group = Group(loop, context, assigned_topics, self.partitions)
        self.on_commit: Callable[[TopicPartition, int, int], None] | None = None
        self.on_append: Callable[[Record], None] | None = None
        self.on_send: Callable[[], None] | None = None

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic."""
        for number in range(partitions):
            self._logs[TopicPartition(topic, number)] = _Log()

    def partitions(self, topic: str) -> int:
        """The number of partitions of a topic."""
        return sum(tp.topic == topic for tp in self._logs)

    # Logs.

    def append(
        self,
        tp: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        at: float | None = None,
    ) -> int:
        """Write a record with a timestamp of ``at``, or of now; return its offset."""
        log = self._logs[tp]
        timestamp = BEGIN_NS // 1_000_000 + round((self._loop.now if at is None else at) * 1e3)
        record = Record(tp.topic, tp.partition, log.end, timestamp, key, value, headers)
        log.records.append(record)
        log.end += 1
        if self.on_append is not None:
            self.on_append(record)
        waiting, log.waiting = log.waiting, []
        for wake in waiting:
            wake()
        return record.offset

    def end(self, tp: TopicPartition) -> int:
        """The offset of the next record."""
        return self._logs[tp].end

    def records(self, topic: str) -> list[Record]:
        """All records of a topic, partition by partition."""
        return [r for tp, log in self._logs.items() if tp.topic == topic for r in log.records]

    def compact(self, tp: TopicPartition, keep_last: int) -> int:
        """Drop records that later ones replace, except the last; return the number dropped."""
        log = self._logs[tp]
        cut = max(0, len(log.records) - keep_last)
        latest = {record.key: record.offset for record in log.records}
        retained = [
            r for r in log.records[:cut] if latest[r.key] == r.offset and r.value is not None
        ]
        dropped = cut - len(retained)
        log.records[:cut] = retained
        return dropped

    def offsets_for_times(
        self, times_ms: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record of each partition at or after a time."""
        results: dict[TopicPartition, OffsetAndTimestamp | None] = {}
        for tp, time_ms in times_ms.items():
            first = next((r for r in self._logs[tp].records if r.timestamp >= time_ms), None)
            results[tp] = OffsetAndTimestamp(first.offset, first.timestamp) if first else None
        return results

    def fetch(
        self, positions: Mapping[TopicPartition, int], max_wait: float, limit: int
    ) -> "asyncio.Future[dict[TopicPartition, tuple[int, list[Record]]]]":
        """Records from each position; if there are none, wait for records or for ``max_wait``."""
        answer = self._loop.create_future()

        def available() -> dict[TopicPartition, tuple[int, list[Record]]]:
            result = {}
            for tp, position in positions.items():
                log = self._logs[tp]
                start = bisect_left(log.records, position, key=lambda record: record.offset)
                result[tp] = (log.end, log.records[start : start + limit])
            return result

        def complete() -> None:
            if not answer.done():
                answer.set_result(available())

        if any(records for _, records in available().values()):
            complete()
        else:
            for tp in positions:
                self._logs[tp].waiting.append(complete)
            self._loop.call_later(max_wait, complete, context=self._context)
        return answer

    # Producers.

    def new_producer(self) -> int:
        """A producer id."""
        self._producers += 1
        return self._producers

    def produce(
        self,
        producer: int,
        sequence: int,
        tp: TopicPartition,
        batch: Sequence[tuple[bytes | None, bytes | None, Headers]],
    ) -> int:
        """Write a batch once, however often it is sent; return the first record's offset."""
        last, offset = self._sequences.get((producer, tp), (-1, -1))
        if sequence == last:
            return offset
        if sequence != last + 1:
            raise OutOfOrderSequenceNumber
        offset = self.end(tp)
        for key, value, headers in batch:
            self.append(tp, key, value, headers)
        self._sequences[producer, tp] = (sequence, offset)
        return offset

    # The group.

    def commit(
        self, member: str, generation: int, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        """Store offsets. Raises the group's errors."""
        self.group.check_commit(member, generation)
        for tp, meta in offsets.items():
            before = self.committed.get(tp)
            if self.on_commit is not None:
                self.on_commit(tp, before.offset if before is not None else 0, meta.offset)
            self.committed[tp] = meta

    def group_offsets(
        self, tps: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's offsets; -1 if there is none."""
        return {tp: self.committed.get(tp, OffsetAndMetadata(-1, "")) for tp in tps}
