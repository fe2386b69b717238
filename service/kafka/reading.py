"""Reads the input topics: how far they can be read, how far they were read, and what was deleted.

The position decides what has been read, not the offset of the last record. Every log has offsets
without a record: transaction markers, aborted transactions, and records that compaction removed.
"""

import time
from bisect import bisect_left
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from detectors.market_data.events import Event
from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.idleness import BrokerAnswer, OffsetsWentBackError
from service.kafka.partition import Partition
from service.kafka.refusals import Refusals
from service.kafka.schema_gate import SchemaGate
from service.kafka.watching.progress import LogEnd
from service.mapping.records import AnyDecoder, decode_records
from service.pipeline.log_time import BY_BROKER, usable_ms

POLL_SECONDS = 0.1
"""The longest wait of a poll for records, in seconds."""

log = structlog.get_logger("foreshock.consumer")


def readable_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
    """Return the offset up to which a topic partition can be read; None before the first answer.

    With ``read_committed``, this is the last stable offset: later records belong to a transaction
    that is still open. Otherwise it is the high watermark.
    """
    stable: int | None = consumer.last_stable_offset(tp)
    if stable is not None and stable >= 0:  # -1: not reported, with read_uncommitted
        return stable
    high_watermark: int | None = consumer.highwater(tp)
    return high_watermark


class InputReader:
    """Reads the input topics of the partitions that a session owns.

    Parameters
    ----------
    clients
        The clients of the session. The consumer must not reset offsets itself
        (``auto_offset_reset`` is ``none``): otherwise it would silently skip records that were
        deleted before they were read.
    counters
        The counters of lost records.
    partitions
        The owned partitions, which the session keeps up to date.
    decoders
        The decoder of each stream.
    refusals
        Sends dead letters.
    """

    def __init__(
        self,
        clients: Clients,
        counters: ConsumerCounters,
        partitions: Mapping[int, Partition],
        decoders: Mapping[str, AnyDecoder[Event]],
        refusals: Refusals,
    ) -> None:
        self._decoders = decoders
        self._refusals = refusals
        self._clients = clients
        self._counters = counters
        self._partitions = partitions
        self._out_of_range: dict[TopicPartition, int] = {}
        self._gate = SchemaGate(clients.consumer, clients.registry)

    def hold(self, assigned: Collection[TopicPartition]) -> None:
        """Read nothing of assigned partitions until the session sets their start offsets."""
        consumer = self._clients.consumer
        self._gate.forget()
        for tp in assigned:  # without a position, the client would choose one itself
            consumer.seek(tp, 0)
        consumer.pause(*assigned)

    async def poll(self, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Return the next records; empty if the broker no longer has the next offset of a topic."""
        try:
            records: dict[TopicPartition, list[Any]] = await self._clients.consumer.getmany(
                timeout_ms=round(POLL_SECONDS * 1e3), max_records=max_records
            )
        except OffsetOutOfRangeError as error:
            self._out_of_range.update(error.args[0])
            return {}
        except NoOffsetForPartitionError:
            return {}  # just assigned: the session has not set the start offset yet
        return records

    async def skip_deleted(self) -> None:
        """Continue at the beginning of each log whose next offset the broker no longer has.

        Records that retention deleted before they were read are lost: they are logged and counted.
        A topic that was deleted and created again is also read from its beginning; its offsets
        reveal it.
        """
        out_of_range, self._out_of_range = self._out_of_range, {}
        owned = {tp: at for tp, at in out_of_range.items() if tp.partition in self._partitions}
        if not owned:
            return
        consumer = self._clients.consumer
        beginnings = await self._clients.reader.beginning_offsets(list(owned))
        for tp, offset in owned.items():
            if await consumer.position(tp) != offset:
                continue  # it was assigned again in the meantime
            consumer.seek(tp, beginnings[tp])
            # Nothing below the committed offset is lost: those records were only to be read again.
            first = max(offset, self._partitions[tp.partition].committed.get(tp, 0))
            if first < beginnings[tp]:
                self._lost(tp, first, beginnings[tp])

    def _lost(self, tp: TopicPartition, first: int, end: int) -> None:
        self._counters.records_lost[tp.topic] += end - first
        log.error(
            "records are lost: Kafka deleted them before they were read",
            topic=tp.topic,
            partition=tp.partition,
            from_offset=first,
            to_offset=end,
            what_to_do="raise the topic's retention above the longest time that Foreshock is down",
        )

    async def feed(self, partition: Partition, tp: TopicPartition, records: list[Any]) -> None:
        """Decode records of a topic and give them to the partition's task; send dead letters.

        Raises
        ------
        OffsetsWentBackError
            The records precede what was read: the topic was deleted and created again.
        """
        if records[0].offset < partition.task.aligner.read(partition.inputs[tp]):
            raise OffsetsWentBackError(tp.topic)
        records = self._gate.admit(tp, records, self._decoders[partition.inputs[tp]])
        # The partition resumes at the beginning of a batch with a waiting event. After a restart,
        # an event after the committed offset must not hold that beginning before the offset:
        # nothing could be saved or committed while the event waits.
        committed = partition.committed.get(tp, 0)
        cut = bisect_left(records, committed, key=lambda record: record.offset)
        for part in (records[:cut], records[cut:]):
            if part:
                await self._feed(partition, tp, part)

    async def _feed(self, partition: Partition, tp: TopicPartition, records: list[Any]) -> None:
        stream = partition.inputs[tp]
        now_ns = time.time_ns()
        arrived_ms = [usable_ms(record.timestamp, now_ns) for record in records]
        decoded = decode_records(self._decoders[stream], records, arrived_ms)
        decoded = partition.task.aside.filter(decoded, len(records))
        offsets = None
        kept = records
        if decoded.rejections or decoded.places is not None:
            places = decoded.records(len(records))
            kept = [records[place] for place in places]
            arrived_ms = [arrived_ms[place] for place in places]
        consecutive = decoded.places is None and records[-1].offset - records[0].offset + 1 == len(
            kept
        )
        if partition.task.resuming or not consecutive:
            offsets = [record.offset for record in kept]
        partition.task.feed(
            stream,
            decoded.events,
            first_offset=records[0].offset,
            next_offset=records[-1].offset + 1,
            offsets=offsets,
            arrived_ms=arrived_ms,
            by_broker=all(record.timestamp_type == BY_BROKER for record in kept),
        )
        # Count in the same step as the feed, before any await: so the counters add up at every
        # moment.
        self._counters.records[tp.topic] += len(records)
        self._counters.note_mapped(tp.topic, len(records), decoded)
        refused = [
            its for its in decoded.rejections if partition.refuse(tp, records[its.index].offset)
        ]
        partition.task.tally.skipped += len(decoded.rejections) - len(refused)
        for rejection in refused:
            self._counters.dead_letters[tp.topic, rejection.reason] += 1
        await self._refusals.refuse(tp, records, refused)

    def release(self) -> None:
        """Read on where the schemas that records waited for are there."""
        owned = self._partitions
        self._gate.release(
            lambda tp: tp.partition in owned and tp not in owned[tp.partition].paused
        )

    async def follow(self, partition: Partition) -> None:
        """Count offsets without a record as read, up to the position of the consumer."""
        consumer = self._clients.consumer
        task = partition.task
        for tp, stream in partition.inputs.items():
            read, position = task.aligner.read(stream), await consumer.position(tp)
            if position > read:
                task.feed(stream, (), first_offset=read, next_offset=position)

    def end(self, tp: TopicPartition) -> LogEnd:
        """Return the end of a topic partition from the broker's last answer."""
        consumer = self._clients.consumer
        return LogEnd(readable_end(consumer, tp), consumer.highwater(tp))

    def answers(self, partition: Partition) -> dict[TopicPartition, BrokerAnswer]:
        """Return the last answer of the broker about each topic of a partition."""
        consumer = self._clients.consumer
        answers = {}
        for tp, read in partition.read().items():
            end = readable_end(consumer, tp)
            # Records read earlier with read_uncommitted may be after the last stable offset.
            if end is not None and end < read <= consumer.highwater(tp):
                end = read
            answers[tp] = BrokerAnswer(end, consumer.last_poll_timestamp(tp))
        return answers
