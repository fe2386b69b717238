"""Checks that all events of a symbol are in the same partition number of every topic.

The brokers do not check this. Producers with different partitioners, or records without a key, can
put the orders of a symbol and its cancels in different partitions. Its book is then wrong. A sample
of the newest records shows this.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct, field

from service.kafka.cluster.connection import client_options
from service.kafka.cluster.inspection import verify_topics
from service.kafka.cluster.topics import Report, Topic
from service.kafka.schemas_of import loaded
from service.mapping.records import decode_records
from service.registry.registry import Registry
from service.settings.assembly import decoders, input_topics
from service.settings.types import Settings

SAMPLE_RECORDS = 20
"""The number of newest records of each topic partition that are sampled."""

SAMPLE_SECONDS = 5.0
"""The time limit of the sample, in seconds; records that are not read by then are left out."""

SCHEMA_SECONDS = 2.0
"""The time limit of the schemas of the sample, in seconds."""

MAX_NAMED = 3
"""The largest number of symbols that are named in sentences."""


log = structlog.get_logger("foreshock.placement")


class Placement(Struct):
    """The partition numbers of each symbol by topic, and the records without a key by topic."""

    numbers: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    without_key: dict[str, int] = field(default_factory=dict)

    def note(self, topic: str, number: int, symbols: Iterable[str]) -> None:
        """Record that symbols have events in a partition number of a topic."""
        for symbol in symbols:
            self.numbers.setdefault(symbol, {}).setdefault(topic, set()).add(number)


def misplaced(placement: Placement) -> tuple[str, ...]:
    """Return the problems of the placement of symbols, as sentences that say how to fix them.

    >>> seen = Placement()
    >>> seen.note("orders", 3, ["BTC-PERP"])
    >>> seen.note("cancels", 7, ["BTC-PERP"])
    >>> misplaced(seen)[0].partition(":")[0]
    'BTC-PERP is in partition 3 of orders and in partition 7 of cancels'
    """
    sentences = []
    split = {
        symbol: topics
        for symbol, topics in placement.numbers.items()
        if len(set().union(*topics.values())) > 1
    }
    for symbol in sorted(split)[:MAX_NAMED]:
        where = " and ".join(
            f"in partition {', '.join(map(str, sorted(numbers)))} of {topic}"
            for topic, numbers in split[symbol].items()
        )
        sentences.append(
            f"{symbol} is {where}: all events of a symbol must be in one partition number. Key the "
            "records by symbol, with the same partitioner in every producer"
        )
    if len(split) > MAX_NAMED:
        sentences.append(f"{len(split) - MAX_NAMED} more symbols are in several partition numbers")
    sentences += [
        f"{count} of the sampled records of {topic} have no key, so that they are spread over all "
        "partitions: key them by symbol"
        for topic, count in placement.without_key.items()
    ]
    return tuple(sentences)


async def sample(settings: Settings, topics: Mapping[str, Topic]) -> Placement:
    """Read the newest records of the existing input topics, and return the placement of symbols.

    Records whose schema the registry does not give in time are left out.

    Parameters
    ----------
    topics
        The topics that exist, by name.

    Raises
    ------
    KafkaError
        The cluster does not answer.
    """
    placement = Placement()
    streams = input_topics(settings, topics)
    tps = [
        TopicPartition(name, number)
        for name in streams.values()
        for number in range(topics[name].partitions)
    ]
    if not tps:
        return placement
    registry = Registry(settings.registry)
    decoder = decoders(settings, streams, registry.schemas)
    stream_of = {name: stream for stream, name in streams.items()}
    consumer = AIOKafkaConsumer(**client_options(settings.kafka), enable_auto_commit=False)
    await consumer.start()
    try:
        records = await _newest(consumer, tps)
    finally:
        await consumer.stop()
    until = time.monotonic() + SCHEMA_SECONDS
    for tp, read in records.items():
        its = decoder[stream_of[tp.topic]]
        async with registry.running():
            batch = await loaded(registry, its, read, max(0.0, until - time.monotonic()))
        decoded = decode_records(its, batch, [record.timestamp for record in batch])
        placement.note(tp.topic, tp.partition, {event.symbol for event in decoded.events})
        if without := sum(record.key is None for record in batch):
            placement.without_key[tp.topic] = placement.without_key.get(tp.topic, 0) + without
    return placement


async def verify(settings: Settings) -> Report:
    """Verify the topics, log symbols in several partition numbers, and return the topics.

    Raises as ``verify_topics``.
    """
    report = await verify_topics(settings)
    await _report_misplaced(settings, report.topics)
    return report


async def _report_misplaced(settings: Settings, topics: Mapping[str, Topic]) -> None:
    try:
        placement = await sample(settings, topics)
    except (KafkaError, OSError) as error:
        log.warning("the placement of symbols was not checked", reason=repr(error))
        return
    for sentence in misplaced(placement):
        log.error("the topics are not co-partitioned", reason=sentence)


async def _newest(
    consumer: AIOKafkaConsumer, tps: Sequence[TopicPartition]
) -> dict[TopicPartition, list[Any]]:
    """Return the newest records of topic partitions, as far as they arrive in time."""
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    consumer.assign(tps)
    unread = set()
    for tp in tps:
        start = max(begins[tp], ends[tp] - SAMPLE_RECORDS)
        consumer.seek(tp, start)
        if start < ends[tp]:
            unread.add(tp)
    found: dict[TopicPartition, list[Any]] = {}
    deadline = asyncio.get_running_loop().time() + SAMPLE_SECONDS
    while unread and asyncio.get_running_loop().time() < deadline:
        for tp, batch in (await consumer.getmany(*unread, timeout_ms=200)).items():
            found.setdefault(tp, []).extend(batch)
        unread = {tp for tp in unread if await consumer.position(tp) < ends[tp]}
    return found
