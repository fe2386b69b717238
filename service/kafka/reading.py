"""Reading the input topics: how far they can be read, how far they were, and what was deleted.

The position decides what has been read, not the offset of the last record. Offsets without a record
are part of every log: transaction markers, aborted transactions, and records that compaction
removed.
"""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.idleness import BrokerAnswer
from service.kafka.partition import Partition

POLL_SECONDS = 0.1
"""How long a poll waits for records."""

log = structlog.get_logger("foreshock.consumer")


def readable_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
    """The offset up to which a topic partition can be read; None before the first answer.

    With ``read_committed`` this is the last stable offset: records behind it belong to a
    transaction that is still open. Otherwise it is the high watermark.
    """
    stable: int | None = consumer.last_stable_offset(tp)
    if stable is not None and stable >= 0:  # -1: the broker does not say, with read_uncommitted
        return stable
    high_watermark: int | None = consumer.highwater(tp)
    return high_watermark


class InputReader:
    """Reads the input topics of the partitions that a session owns.

    Parameters
    ----------
    clients
        The session's. Its consumer must not reset offsets by itself (``auto_offset_reset`` is
        ``none``): records that were deleted before they were read would be passed over in silence.
    counters
        Where to count lost records.
    partitions
        The owned partitions, kept up to date by the session.
    """

    def __init__(
        self, clients: Clients, counters: ConsumerCounters, partitions: Mapping[int, Partition]
    ) -> None:
        self._clients = clients
        self._counters = counters
        self._partitions = partitions
        self._out_of_range: dict[TopicPartition, int] = {}

    def hold(self, assigned: Collection[TopicPartition]) -> None:
        """Read nothing of assigned partitions until the session decides where to begin."""
        consumer = self._clients.consumer
        for tp in assigned:  # without a position, the client would look for one by itself
            consumer.seek(tp, 0)
        consumer.pause(*assigned)

    async def poll(self, max_records: int) -> dict[TopicPartition, list[Any]]:
        """The next records; nothing where the broker no longer has a topic's next offset."""
        try:
            records: dict[TopicPartition, list[Any]] = await self._clients.consumer.getmany(
                timeout_ms=round(POLL_SECONDS * 1e3), max_records=max_records
            )
        except OffsetOutOfRangeError as error:
            self._out_of_range.update(error.args[0])
            return {}
        except NoOffsetForPartitionError:
            return {}  # just assigned: the session has yet to decide where to begin
        return records

    async def skip_deleted(self) -> None:
        """Go on at the beginning of each log whose next offset the broker no longer has.

        What retention deleted before it was read is lost: it is logged and counted. A topic that
        was deleted and created again is read from its beginning too, and is noticed by its offsets.
        """
        out_of_range, self._out_of_range = self._out_of_range, {}
        owned = {tp: at for tp, at in out_of_range.items() if tp.partition in self._partitions}
        if not owned:
            return
        consumer = self._clients.consumer
        beginnings = await self._clients.reader.beginning_offsets(list(owned))
        for tp, offset in owned.items():
            if await consumer.position(tp) != offset:
                continue  # it was assigned again in between
            consumer.seek(tp, beginnings[tp])
            # Below the committed offset nothing is lost: it was to be read a second time.
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

    async def follow(self, partition: Partition) -> None:
        """Take offsets without a record as read, up to the consumer's position."""
        consumer = self._clients.consumer
        task = partition.task
        for tp, stream in partition.inputs.items():
            read, position = task.aligner.read(stream), await consumer.position(tp)
            if position > read:
                task.feed(stream, (), first_offset=read, next_offset=position)

    def answers(self, partition: Partition) -> dict[TopicPartition, BrokerAnswer]:
        """What the broker last said of each topic of a partition."""
        consumer = self._clients.consumer
        answers = {}
        for tp, read in partition.read().items():
            end = readable_end(consumer, tp)
            # What was read before with read_uncommitted may end behind the last stable offset.
            if end is not None and end < read <= consumer.highwater(tp):
                end = read
            answers[tp] = BrokerAnswer(end, consumer.last_poll_timestamp(tp))
        return answers
