"""How a partition comes back: from snapshots where there are any, else by a warm-up.

What was published since is read back from the alerts topic itself, so that replaying the records
since the snapshots publishes nothing twice.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from msgspec.structs import replace

from detectors.incidents.alerts import Alert
from service.kafka.commit_metadata import CommitMetadata, decode_metadata
from service.kafka.partition import Partition, start_positions
from service.kafka.read_back import Progress, read_back
from service.pipeline import snapshots
from service.pipeline.align import StreamPosition
from service.pipeline.output import PublishedUntil, alert_key
from service.pipeline.task import Snapshot
from service.settings.types import Settings, settings_hash

MAX_NAMED = 20
"""How many symbols a line of the log names."""

log = structlog.get_logger("foreshock.restore")

_decode_alert = msgspec.json.Decoder(Alert).decode


async def restore(
    partition: Partition,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    reader: AIOKafkaConsumer,
    settings: Settings,
    progress: Progress,
) -> dict[TopicPartition, int]:
    """Bring a partition's task to where the group left off; the offsets to read on from.

    Parameters
    ----------
    partition
        One that has just been assigned; nothing has been fed to its task.
    committed
        The group's offsets.
    reader
        A started consumer without a group.
    settings
        The service's.
    progress
        Kept up to date meanwhile.
    """
    began = time.monotonic()
    progress.partition, progress.passed, progress.to_pass = partition.number, 0, 0
    inputs = partition.inputs
    notes = {
        tp: note
        for tp in inputs
        if tp in committed and (note := decode_metadata(committed[tp].metadata))
    }
    uncommitted = sum(tp not in committed for tp in inputs)
    if notes and len(notes) + uncommitted == len(inputs):
        offsets = await _resume(partition, committed, notes, reader, settings, progress)
    else:
        offsets = await _first_offsets(reader, inputs, committed, settings)
        partition.task.resume(start_positions(inputs, offsets), [], PublishedUntil())
        partition.next_alert_offset = await next_alert_offset(partition.number, reader, settings)
        log.info("starting afresh", partition=partition.number, start=settings.kafka.start)
    partition.restored_in_seconds = time.monotonic() - began
    progress.partition = None
    return offsets


async def next_alert_offset(number: int, reader: AIOKafkaConsumer, settings: Settings) -> int:
    """Where the next alert of a partition number will stand."""
    alerts = TopicPartition(settings.outputs.alerts, number)
    ends: dict[TopicPartition, int] = await reader.end_offsets([alerts])
    return ends[alerts]


async def _resume(
    partition: Partition,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    notes: Mapping[TopicPartition, CommitMetadata],
    reader: AIOKafkaConsumer,
    settings: Settings,
    progress: Progress,
) -> dict[TopicPartition, int]:
    began = time.monotonic()
    inputs = partition.inputs
    note = next(iter(notes.values()))
    saved = TopicPartition(settings.outputs.snapshots, partition.number)
    alerts = TopicPartition(settings.outputs.alerts, partition.number)
    firsts = {saved: note.snapshots_offset, alerts: note.alerts_offset}
    records = await read_back(reader, firsts, progress=progress)
    restored = snapshots.restore(records[saved], settings_hash(settings))
    whole = not restored.damaged and len(restored.snapshots) >= max(1, note.saved_symbols)
    if note.snapshots_offset and not whole:
        # What stands before may be older, and whole.
        records |= await read_back(reader, {saved: 0}, progress=progress)
        restored = snapshots.restore(records[saved], settings_hash(settings))
    published = _published(partition, records[alerts], note.alerts_offset)
    partition.signals_until_ns = note.signals_until_ns
    partition.slots = restored.slots
    partition.most_parts = restored.most_parts
    partition.left_out = restored.problems
    partition.saved_at = saved_at = {
        symbol: records[saved][place].offset for symbol, place in restored.began.items()
    }
    begun = {tp: stream for tp, stream in inputs.items() if tp not in committed}
    saved_until = (await reader.end_offsets([saved]))[saved]
    partition.begun_at = {
        tp: saved_until if its.begun_at < 0 else its.begun_at
        for tp, its in notes.items()
        if its.begun_at
    }
    partition.begun_at |= dict.fromkeys(begun, saved_until)
    partition.last_commit = {tp: committed[tp] for tp in inputs if tp not in begun}
    if begun:
        offsets = await _begin(begun, restored.snapshots, reader, settings)
        committed = {**committed, **{tp: OffsetAndMetadata(at, "") for tp, at in offsets.items()}}
        notes = {**notes, **dict.fromkeys(begun, CommitMetadata())}
    restored.snapshots = [
        _without(
            snapshot,
            {inputs[tp] for tp, at in partition.begun_at.items() if saved_at[snapshot.symbol] < at},
        )
        for snapshot in restored.snapshots
    ]
    partition.committed = {tp: committed[tp].offset for tp in inputs}
    start = start_positions(inputs, partition.committed, notes)
    # Commits stand still until there are snapshots to go on from: at the group's very beginning
    # none are needed.
    is_beginning = not any(note.newest_ns for note in notes.values())
    missing = max(0, note.saved_symbols - len(restored.snapshots))
    if not is_beginning and (restored.damaged or missing or not restored.snapshots):
        start = await _start_again(partition, restored, committed, start, reader, settings, missing)
    # What bars up to the last commit gave rise to was acknowledged before it. What came after
    # stands on the alerts topic.
    muted = PublishedUntil(note.signals_until_ns, alerts_until_ns=note.signals_until_ns)
    keys = [alert_key(alert) for alert in published]
    partition.task.resume(start, restored.snapshots, muted, keys)
    if restored.snapshots or is_beginning:
        log.info(
            "restored from snapshots",
            partition=partition.number,
            symbols=len(restored.snapshots),
            left_out=snapshots.why_left_out(restored),
            records_read=sum(map(len, records.values())),
            seconds=round(time.monotonic() - began, 3),
        )
    return {tp: start[stream].start for tp, stream in inputs.items()}


async def _begin(
    begun: Mapping[TopicPartition, str],
    restored: Sequence[Snapshot],
    reader: AIOKafkaConsumer,
    settings: Settings,
) -> dict[TopicPartition, int]:
    """Where to begin topics that the group has no offset of, while it goes on with the others.

    One that came later begins as the settings say. One of which a snapshot knows was deleted and
    made again: all of it is new.
    """
    known = {
        stream
        for snapshot in restored
        for stream, its in snapshot.position.streams.items()
        if its.read > 0
    }
    again = [tp for tp, stream in begun.items() if stream in known]
    if again:
        log.warning(
            "a topic was deleted and made again: reading it from its beginning",
            topics=sorted({tp.topic for tp in again}),
            partition=again[0].partition,
        )
    later = {tp: stream for tp, stream in begun.items() if stream not in known}
    offsets = await _first_offsets(reader, later, {}, settings) if later else {}
    return offsets | await reader.beginning_offsets(again) if again else offsets


def _without(snapshot: Snapshot, begun: Collection[str]) -> Snapshot:
    """The snapshot, with nothing read of some streams: its offsets are not theirs."""
    if not begun:
        return snapshot
    streams = {name: its for name, its in snapshot.position.streams.items() if name not in begun}
    return replace(snapshot, position=replace(snapshot.position, streams=streams))


async def _start_again(
    partition: Partition,
    restored: snapshots.Restored,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    start: Mapping[str, StreamPosition],
    reader: AIOKafkaConsumer,
    settings: Settings,
    missing: int,
) -> dict[str, StreamPosition]:
    """From where to read instead, because snapshots that the commit counts on cannot be used.

    A symbol with an older snapshot is read anew from there. One without, and one of ``missing``
    that left no trace (somebody deleted the topic), from a warm-up window before the commit: its
    state may differ in detail, and nothing that it says of the past is news. The other symbols pass
    over what they have.
    """
    positions = {snapshot.symbol: snapshot.position for snapshot in restored.snapshots}
    older = [positions[symbol] for symbol in restored.damaged if symbol in positions]
    begins = [position.streams for position in older]
    if missing or not positions or len(older) < len(restored.damaged):
        offsets = await _window_before(reader, committed, partition.inputs, settings)
        begins.append(start_positions(partition.inputs, offsets))
    earliest = dict(start)
    for begin in begins:
        for stream, its in begin.items():
            if stream in earliest and its.start < earliest[stream].start:
                earliest[stream] = its
    records = {
        tp.topic: committed[tp].offset - earliest[stream].start
        for tp, stream in partition.inputs.items()
    }
    why = snapshots.why_left_out(restored)
    if not positions:
        log.warning(
            "no usable snapshot: replaying a warm-up window, muted",
            partition=partition.number,
            window_seconds=settings.state.warmup_window_seconds,
            records=records,
            left_out=why,
        )
    else:
        log.warning(
            "some snapshots are not usable: reading anew what they held, muted",
            partition=partition.number,
            symbols=restored.damaged[:MAX_NAMED],
            of=len(restored.damaged),
            missing=missing,
            records=records,
            left_out=why,
        )
    return earliest


def _published(partition: Partition, records: Iterable[Any], first: int) -> list[Alert]:
    """The alerts among records of the alerts topic; the partition notes where they stand."""
    alerts = []
    partition.next_alert_offset = first
    for record in records:
        partition.next_alert_offset = record.offset + 1
        try:
            alert = _decode_alert(record.value or b"")
        except msgspec.MsgspecError:
            continue  # not ours: it mutes nothing
        partition.note_alert(alert.ts_event, record.offset)
        alerts.append(alert)
    return alerts


async def _first_offsets(
    reader: AIOKafkaConsumer,
    inputs: Mapping[TopicPartition, str],
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    settings: Settings,
) -> dict[TopicPartition, int]:
    """Where to begin without a note; a foreign commit is respected."""
    tps = list(inputs)
    if all(tp in committed for tp in tps):
        return {tp: committed[tp].offset for tp in tps}
    if settings.kafka.start == "earliest":
        earliest: dict[TopicPartition, int] = await reader.beginning_offsets(tps)
        return earliest
    latest: dict[TopicPartition, int] = await reader.end_offsets(tps)
    if settings.kafka.start == "latest":
        return latest
    since_ms = round((time.time() - settings.state.warmup_window_seconds) * 1e3)
    found = await reader.offsets_for_times(dict.fromkeys(tps, since_ms))
    return {tp: found[tp].offset if found.get(tp) is not None else latest[tp] for tp in tps}


async def _window_before(
    reader: AIOKafkaConsumer,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    inputs: Mapping[TopicPartition, str],
    settings: Settings,
) -> dict[TopicPartition, int]:
    """The offsets one warm-up window before the committed ones, by the records' own time."""
    offsets = {tp: committed[tp].offset for tp in inputs}
    last = await read_back(reader, {tp: offset - 1 for tp, offset in offsets.items()}, offsets)
    window_ms = round(settings.state.warmup_window_seconds * 1e3)
    since = {tp: max(0, found[0].timestamp - window_ms) for tp, found in last.items() if found}
    for tp, found in (await reader.offsets_for_times(since)).items():
        if found is not None:
            offsets[tp] = min(offsets[tp], found.offset)
    return offsets
