"""The topics that the risk of liquidations is computed from: how far back, and how they are read.

The risk needs the positions of all partitions, and of the books only their summaries. So it reads
positions, margins, references, accounts, liquidations, insurance funds and signals of all
partitions without a group, aligned in event time.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.conduct.monitor import Published
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.records import RiskRecord
from service.kafka.read_back import read_back
from service.mapping.records import AnyDecoder, decode_records
from service.outputs.publisher import is_memory
from service.pipeline.log_time import usable_ms
from service.pipeline.rejection import Rejection
from service.pipeline.risk_task import PublishedStatement, RiskTask, SignalBook
from service.pipeline.wire import RiskInput
from service.settings.assembly import streams_of, venue_monitor
from service.settings.types import Settings

POSITIONS_SECONDS = 86_400.0
RECENT_SECONDS = 1_800.0
"""How much of the positions and margins is read at the start, and of all else, in seconds."""

PUBLISHED_SECONDS = 3_600.0
"""How much of the topic of risk is read, to see what was published: it ends with what is newest."""

MOST_RECORDS = 5_000
"""The largest number of records of a poll."""

LONG = ("positions", "margins", "accounts", "insurance")
"""The streams of which `POSITIONS_SECONDS` are read."""

_signals = msgspec.json.Decoder(SignalBook)
_records = msgspec.json.Decoder(RiskRecord)
_published_statements = msgspec.json.Decoder(PublishedStatement)
_memories = msgspec.json.Decoder(Memory)


def name_of(stream: str, tp: TopicPartition) -> str:
    """Return the name of a topic partition in a `RiskTask`."""
    return f"{stream}/{tp.partition}"


def new_task(settings: Settings, streams: Mapping[TopicPartition, str], **options: Any) -> RiskTask:
    """Return a task that has read nothing; ``options`` are those of `venue_monitor`."""
    return RiskTask(
        [name_of(stream, tp) for tp, stream in streams.items()],
        venue_monitor(settings, **options),
        settings.time.max_disorder_ms * 1_000_000,
        settings.limits.buffered_events,
    )


async def seek(
    reader: AIOKafkaConsumer,
    settings: Settings,
    streams: Mapping[TopicPartition, str],
    task: RiskTask,
    before_seconds: float,
) -> dict[TopicPartition, int]:
    """Position the reader at what is needed before a time since 1970; return the present ends.

    ``streams`` has the input of each topic partition: a stream, or a topic of the mappings.
    """
    reader.assign([*streams])
    firsts: dict[TopicPartition, int] = {}
    lasting = {its for its in streams.values() if not {*LONG}.isdisjoint(streams_of(settings, its))}
    for is_long, seconds in ((True, POSITIONS_SECONDS), (False, RECENT_SECONDS)):
        tps = [tp for tp, name in streams.items() if (name in lasting) == is_long]
        if tps:
            firsts |= await offsets_since(reader, tps, before_seconds - seconds)
    for tp, first in firsts.items():
        reader.seek(tp, first)
        task.aligner.feed(name_of(streams[tp], tp), (), first_offset=first, next_offset=first)
    reader.resume(*streams)
    return dict(await reader.end_offsets([*streams]))


async def offsets_since(
    reader: AIOKafkaConsumer, tps: Sequence[TopicPartition], since_seconds: float
) -> dict[TopicPartition, int]:
    """Return the first offset of each topic partition whose record is not older than this."""
    ends = await reader.end_offsets(tps)
    found = await reader.offsets_for_times(dict.fromkeys(tps, round(since_seconds * 1e3)))
    return {tp: first.offset if (first := found.get(tp)) else ends[tp] for tp in tps}


async def records_since(
    reader: AIOKafkaConsumer, tps: Sequence[TopicPartition], since_seconds: float
) -> list[Any]:
    """Return the records of topic partitions that are not older than a time since 1970."""
    read = await read_back(reader, await offsets_since(reader, tps, since_seconds))
    return [record for batch in read.values() for record in batch]


async def published(
    reader: AIOKafkaConsumer, tps: Sequence[TopicPartition]
) -> tuple[list[RiskRecord], list[Memory]]:
    """Return the last hour that was published of risk, however long ago: records, and memories."""
    ends = await reader.end_offsets(tps)
    last = await read_back(reader, {tp: max(0, end - 1) for tp, end in ends.items()})
    newest_ms = max((its.timestamp for batch in last.values() for its in batch), default=None)
    if newest_ms is None:
        return [], []
    read = await records_since(reader, tps, newest_ms / 1e3 - PUBLISHED_SECONDS)
    memories = [*decoded((its for its in read if is_memory(its.key)), _memories)]
    return [*decoded((its for its in read if not is_memory(its.key)), _records)], memories


async def published_statements(
    reader: AIOKafkaConsumer, topics: Mapping[str, Sequence[TopicPartition]]
) -> Published:
    """Return the newest that each symbol has on the topics of statements; ``topics`` by stream.

    It reads a day: what is older than what the positions are read from is not stated again.
    """
    newest: dict[tuple[str, str], tuple[int, frozenset[str]]] = {}

    def note(stream: str, record: Any) -> None:
        for its in decoded([record], _published_statements):
            at, keys = newest.get((stream, its.symbol), (0, frozenset()))
            if its.ts_event >= at:
                same = keys if its.ts_event == at else frozenset()
                keys = same | {(record.key or b"").decode(errors="replace")}
                newest[stream, its.symbol] = its.ts_event, keys

    for stream, tps in topics.items():
        firsts = await offsets_since(reader, tps, time.time() - POSITIONS_SECONDS)
        await read_back(reader, firsts, each=partial(note, stream))
    return newest


def decoded(records: Iterable[Any], decoder: Any) -> Iterator[Any]:
    """Decode records of Foreshock; leave out what is none."""
    for record in records:
        try:
            yield decoder.decode(record.value or b"")
        except msgspec.MsgspecError:
            continue


def decode_inputs(
    stream: str, records: Sequence[Any], decoders: Mapping[str, AnyDecoder[RiskInput]]
) -> tuple[list[RiskInput | SignalBook], list[Rejection]]:
    """Return the events of the records of a stream, and what is no event."""
    if stream == "signals":
        return [*decoded(records, _signals)], []
    now_ns = time.time_ns()
    arrived_ms = [usable_ms(record.timestamp, now_ns) for record in records]
    found = decode_records(decoders[stream], records, arrived_ms)
    return [*found.events], found.rejections


def feed(
    task: RiskTask,
    tp: TopicPartition,
    stream: str,
    records: Sequence[Any],
    events: Sequence[RiskInput | SignalBook],
) -> None:
    """Give the events of records to the task."""
    task.feed(
        name_of(stream, tp),
        tp.partition,
        events,
        first_offset=records[0].offset,
        next_offset=records[-1].offset + 1,
    )


def skip_to(task: RiskTask, name: str, position: int) -> None:
    """Tell the task of offsets without a record up to the reader's position."""
    read = task.aligner.read(name)
    if position > read:
        task.aligner.feed(name, (), first_offset=read, next_offset=position)
