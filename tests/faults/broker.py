"""A broker in memory: logs, idempotent producers, compaction, and group state.

It answers at once and never fails. The network adds delays and failures (``network.py``). The
behaviour follows Apache Kafka's classic group protocol and its checks of producer state.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError, OutOfOrderSequenceNumber
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
    timestamp_type: int = 0  # its producer gave it


class Fetched(NamedTuple):
    """The answer to a fetch of a topic partition; ``next`` is where the next fetch begins."""

    high_watermark: int
    stable: int
    records: list[Record]
    next: int
    error: OffsetOutOfRangeError | None = None


@dataclass(slots=True)
class _Log:
    records: list[Record] = field(default_factory=list)
    begin: int = 0
    end: int = 0
    stable: int | None = None  # where the oldest open transaction begins
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

    def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions; the group's leader hears of it a little later."""
        for number in range(self.partitions(topic), partitions):
            self._logs[TopicPartition(topic, number)] = _Log()
        self.group.metadata_changed()

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
        self._wake(log)
        return record.offset

    def _wake(self, log: _Log) -> None:
        waiting, log.waiting = log.waiting, []
        for wake in waiting:
            wake()

    def skip(self, tp: TopicPartition, offsets: int) -> None:
        """Use up offsets without a record: a transaction's marker, or what it aborted."""
        log = self._logs[tp]
        log.end += offsets
        self._wake(log)

    def hold(self, tp: TopicPartition) -> None:
        """Begin a transaction: what is written from now on cannot be read yet."""
        log = self._logs[tp]
        if log.stable is None:
            log.stable = log.end

    def commit_transaction(self, tp: TopicPartition) -> None:
        """Let what was written since ``hold`` be read."""
        log = self._logs[tp]
        log.stable = None
        self._wake(log)

    def delete_before(self, tp: TopicPartition, offset: int) -> int:
        """Delete the records before an offset, as retention does; how many there were."""
        log = self._logs[tp]
        log.begin = max(log.begin, min(offset, log.end))
        before = len(log.records)
        log.records = [record for record in log.records if record.offset >= log.begin]
        return before - len(log.records)

    def beginning(self, tp: TopicPartition) -> int:
        """The first offset that retention has left."""
        return self._logs[tp].begin

    def stable_end(self, tp: TopicPartition) -> int:
        """The last stable offset."""
        log = self._logs[tp]
        return log.end if log.stable is None else log.stable

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
    ) -> "asyncio.Future[dict[TopicPartition, Fetched]]":
        """Records from each position; if there are none, wait for records or for ``max_wait``."""
        answer = self._loop.create_future()

        def available() -> dict[TopicPartition, Fetched]:
            return {tp: self._fetched(tp, position, limit) for tp, position in positions.items()}

        def complete() -> None:
            if not answer.done():
                answer.set_result(available())

        if any(its.error or its.next > positions[tp] for tp, its in available().items()):
            complete()
        else:
            for tp in positions:
                self._logs[tp].waiting.append(complete)
            self._loop.call_later(max_wait, complete, context=self._context)
        return answer

    def _fetched(self, tp: TopicPartition, position: int, most: int) -> Fetched:
        log, stable = self._logs[tp], self.stable_end(tp)
        if not log.begin <= position <= log.end:
            return Fetched(log.end, stable, [], position, OffsetOutOfRangeError({tp: position}))
        start = bisect_left(log.records, position, key=lambda record: record.offset)
        stop = bisect_left(log.records, stable, key=lambda record: record.offset)
        records = log.records[start : min(stop, start + most)]
        if start + most < stop:
            return Fetched(log.end, stable, records, records[-1].offset + 1)
        return Fetched(log.end, stable, records, max(position, stable))

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
