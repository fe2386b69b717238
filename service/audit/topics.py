"""Copies a span of the topics of a cluster to files, which are then audited like a recording."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from service.describe import moment
from service.errors import OperatorError
from service.kafka.operator import consumer, find_topics
from service.pipeline.log_time import usable_ms
from service.pipeline.wire import ALL_STREAMS
from service.settings.assembly import audit_decoders
from service.settings.types import Settings

KEPT = ("margins", "statuses", "fees")
"""The streams whose last records before the span hold within it."""

BEFORE_SECONDS = 86_400.0
"""How far before the span these records are searched."""

POLL_MILLISECONDS = 500

STALLED_SECONDS = 60.0
"""How long no broker may send anything before the audit gives up, in seconds."""

UNORDERED = "unordered_tiers"
"""Why a margin record is left out that a check needs to know of."""

MOST_UNORDERED = 100
"""Such records of a source that are described."""


class Span(Struct, frozen=True):
    """A span of event time in nanoseconds since 1970: ``until_ns`` is not part of it.

    None in ``since_ns``: from the oldest record on. None in ``until_ns``: up to the newest one.
    """

    since_ns: int | None = None
    until_ns: int | None = None

    def words(self) -> str:
        """Return the span in words."""
        since = "the beginning" if self.since_ns is None else _utc(self.since_ns)
        until = "now" if self.until_ns is None else _utc(self.until_ns)
        return f"{since} to {until}"


class Copied(Struct):
    """What was read of one partition of a topic.

    Attributes
    ----------
    stream, name
        The stream; the topic with its partition and its offsets.
    path
        The file with the records of the span.
    before
        The file with the last records before it; it may be empty.
    records, refused
        Number of records in the span, and of records that are no events.
    unordered
        What was said of those among them whose tiers are not in order.
    """

    stream: str
    name: str
    path: Path
    before: Path
    records: int = 0
    refused: int = 0
    unordered: list[str] = []


class _Partition:
    """The copy of one partition while it is read."""

    def __init__(
        self, stream: str, place: str, folder: Path, stack: ExitStack, first: int, stop: int
    ) -> None:
        self.stop = stop
        self.copied = Copied(
            stream, f"{place}, offsets {first} to {stop}", folder / f"{place}.ndjson",
            folder / f"{place}.before.ndjson",
        )  # fmt: skip
        self._file: IO[bytes] = stack.enter_context(self.copied.path.open("wb"))
        self._before: dict[tuple[str, str], bytes] = {}

    def take(self, event: Any, value: bytes, span: Span) -> None:
        """Write a record that is within the span, or remember it as the last before it."""
        # Newlines of JSON are between its parts only: those within a text are escaped.
        line = value.replace(b"\n", b" ").replace(b"\r", b" ")
        if span.since_ns is not None and event.ts_event < span.since_ns:
            if self.copied.stream in KEPT:
                self._before[event.symbol, getattr(event, "tier", None) or ""] = line
        elif span.until_ns is None or event.ts_event < span.until_ns:
            self._file.write(line + b"\n")
            self.copied.records += 1

    def close(self) -> None:
        self._file.flush()
        self.copied.before.write_bytes(b"".join(line + b"\n" for line in self._before.values()))


async def copy_topics(settings: Settings, span: Span, folder: Path) -> list[Copied]:
    """Copy the records of a span from every input topic that exists; no group is used.

    What is produced after the start is not read. A partition is also left at the first record that
    is later than the span by more than the clocks and the order of events allow.

    Raises
    ------
    OperatorError
        No broker answers, it refuses, no topic exists, or none has a record of the span.
    """
    found = await find_topics(settings)
    names = {stream: getattr(settings.topics, stream) for stream in ALL_STREAMS}
    names = {stream: name for stream, name in names.items() if name}
    existing = {stream: name for stream, name in names.items() if name in found}
    if not existing:
        raise OperatorError(
            f"none of the topics {', '.join(names.values())} exists at "
            f"{settings.kafka.bootstrap_servers}; name the topics of the venue in [topics], and "
            "see `foreshock topics`"
        )
    streams = {
        TopicPartition(name, number): stream
        for stream, name in existing.items()
        for number in range(found[name].partitions)
    }
    with ExitStack() as stack:
        async with consumer(settings) as reader:
            firsts = await _firsts(reader, streams, span, settings)
            ends = await reader.end_offsets([*streams])
            partitions = {
                tp: _Partition(
                    stream, f"{tp.topic} {tp.partition}", folder, stack, firsts[tp], ends[tp]
                )
                for tp, stream in streams.items()
            }
            await _read(reader, partitions, firsts, span, settings)
    copied = [its.copied for its in partitions.values()]
    if not any(its.records for its in copied):
        refused = sum(its.refused for its in copied)
        raise OperatorError(
            f"the topics {', '.join(existing.values())} have no event from {span.words()}"
            + (f"; {refused:,} records are no events" if refused else "")
            + "; choose --from and --to within their retention"
        )
    return copied


async def _firsts(
    reader: AIOKafkaConsumer, streams: dict[TopicPartition, str], span: Span, settings: Settings
) -> dict[TopicPartition, int]:
    """Return the first offsets that may hold a record of the span, or one that holds within it."""
    beginnings: dict[TopicPartition, int] = await reader.beginning_offsets([*streams])
    if span.since_ns is None:
        return beginnings
    # An event is never stored before its time, but for the difference of the clocks.
    since_ms = span.since_ns // 1_000_000 - settings.wire.max_ahead_seconds * 1_000
    wanted = {
        tp: max(0, since_ms - round(BEFORE_SECONDS * 1e3) * (stream in KEPT))
        for tp, stream in streams.items()
    }
    ends = await reader.end_offsets([*streams])
    found = await reader.offsets_for_times(wanted)
    return {tp: at.offset if (at := found.get(tp)) else ends[tp] for tp in streams}


async def _read(
    reader: AIOKafkaConsumer,
    partitions: dict[TopicPartition, _Partition],
    firsts: dict[TopicPartition, int],
    span: Span,
    settings: Settings,
) -> None:
    decoders = audit_decoders(settings)
    slack_ns = settings.time.max_disorder_ms * 1_000_000
    slack_ns += settings.wire.max_ahead_seconds * 1_000_000_000
    last_ns = None if span.until_ns is None else span.until_ns + slack_ns
    reader.assign([*partitions])
    for tp, first in firsts.items():
        reader.seek(tp, first)
    unread = {tp for tp, its in partitions.items() if firsts[tp] < its.stop}
    moved_at, positions = time.monotonic(), dict(firsts)
    while unread:
        for tp, batch in (await reader.getmany(*unread, timeout_ms=POLL_MILLISECONDS)).items():
            its = partitions[tp]
            records = [record for record in batch if record.offset < its.stop]
            newest_ns = _take(records, its, decoders[its.copied.stream], span)
            if last_ns is not None and newest_ns >= last_ns:
                unread.discard(tp)
        # The position decides, not the last record: compaction may have removed it.
        for tp in [*unread]:
            position = await reader.position(tp)
            if position > positions[tp]:
                moved_at, positions[tp] = time.monotonic(), position
            if position >= partitions[tp].stop:
                unread.discard(tp)
        if unread and time.monotonic() - moved_at > STALLED_SECONDS:
            waiting = ", ".join(sorted(f"{tp.topic} {tp.partition}" for tp in unread))
            raise OperatorError(
                f"no broker of {settings.kafka.bootstrap_servers} has sent anything for "
                f"{STALLED_SECONDS:g} s; {waiting} are not read to the end"
            )
        done = [tp for tp in partitions if tp not in unread]
        reader.pause(*done)
    for its in partitions.values():
        its.close()


def _take(records: Sequence[Any], partition: _Partition, decoder: Any, span: Span) -> int:
    """Take records; return the newest time among their events, 0 without any."""
    if not records:
        return 0
    now_ns = time.time_ns()
    values = [record.value for record in records]
    arrived_ms = [usable_ms(record.timestamp, now_ns) for record in records]
    decoded = decoder.decode(values, arrived_ms)
    partition.copied.refused += len(decoded.rejections)
    unordered = [its.detail for its in decoded.rejections if its.reason == UNORDERED]
    room = MOST_UNORDERED - len(partition.copied.unordered)
    partition.copied.unordered += unordered[:room]
    refused = {its.index for its in decoded.rejections}
    good = [value for number, value in enumerate(values) if number not in refused]
    newest_ns = 0
    for event, value in zip(decoded.events, good, strict=True):
        partition.take(event, value, span)
        newest_ns = max(newest_ns, event.ts_event)
    return newest_ns


def _utc(at_ns: int) -> str:
    return f"{moment(at_ns, day=True)} UTC"
