"""Restores a partition from snapshots, or from a warm-up window if there are none.

The alerts published since the snapshots are read back from the alerts topic. So the replay of the
records since the snapshots publishes no alert twice.
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
from service.pipeline.snapshot import Snapshot
from service.settings.types import Settings, settings_hash

_LOOK_BACK = (1, 16, 256, 4_096)
"""How many offsets to look back for a record. Transaction markers, aborted transactions, compaction
and retention leave offsets without one."""

LAST_RECORDS = 100
"""The number of records of the snapshots topic that a start without snapshots reads."""

MAX_NAMED = 20
"""The largest number of symbols that a log line names."""

log = structlog.get_logger("foreshock.restore")

_decode_alert = msgspec.json.Decoder(Alert).decode


async def restore(
    partition: Partition,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    reader: AIOKafkaConsumer,
    settings: Settings,
    progress: Progress,
) -> dict[TopicPartition, int]:
    """Restore a partition's task to the group's last commit; return the offsets to read from.

    Parameters
    ----------
    partition
        A partition that was just assigned; its task has received no records yet.
    committed
        The offsets of the group.
    reader
        A started consumer without a group.
    settings
        The settings of the service.
    progress
        Updated during the restoration.
    """
    started_at = time.monotonic()
    progress.partition, progress.offsets_done, progress.offsets_total = partition.number, 0, 0
    inputs = partition.inputs
    commit_metadata = {
        tp: decoded
        for tp in inputs
        if tp in committed and (decoded := decode_metadata(committed[tp].metadata))
    }
    uncommitted = sum(tp not in committed for tp in inputs)
    if commit_metadata and len(commit_metadata) + uncommitted == len(inputs):
        offsets = await _resume(partition, committed, commit_metadata, reader, settings, progress)
    else:
        offsets = await _first_offsets(reader, inputs, committed, settings)
        partition.task.resume(start_positions(inputs, offsets), [], PublishedUntil())
        partition.next_alert_offset = await next_alert_offset(partition.number, reader, settings)
        await _look_for_others(partition, reader, settings)
        log.info(
            "starting without snapshots", partition=partition.number, start=settings.kafka.start
        )
    partition.restored_in_seconds = time.monotonic() - started_at
    progress.partition = None
    return offsets


async def _look_for_others(
    partition: Partition, reader: AIOKafkaConsumer, settings: Settings
) -> None:
    """Log a warning if another group wrote some of the last records of the snapshots topic."""
    saved = TopicPartition(settings.outputs.snapshots, partition.number)
    end = (await reader.end_offsets([saved]))[saved]
    records = await read_back(reader, {saved: max(0, end - LAST_RECORDS)})
    others = snapshots.other_groups(records[saved], settings.kafka.group_id)
    _warn_of_others(others, partition, settings)


def _warn_of_others(groups: Sequence[str], partition: Partition, settings: Settings) -> None:
    if groups:
        log.warning(
            "another consumer group saves its state on the same topic: its snapshots are left "
            "out, and compaction may remove those of this group. Give each group its own "
            "outputs.snapshots",
            topic=settings.outputs.snapshots,
            partition=partition.number,
            group=settings.kafka.group_id,
            other_groups=groups,
        )


async def next_alert_offset(number: int, reader: AIOKafkaConsumer, settings: Settings) -> int:
    """Return the offset that the next alert of a partition number will get."""
    alerts = TopicPartition(settings.outputs.alerts, number)
    ends: dict[TopicPartition, int] = await reader.end_offsets([alerts])
    return ends[alerts]


async def _resume(
    partition: Partition,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    commit_metadata: Mapping[TopicPartition, CommitMetadata],
    reader: AIOKafkaConsumer,
    settings: Settings,
    progress: Progress,
) -> dict[TopicPartition, int]:
    started_at = time.monotonic()
    inputs = partition.inputs
    common = next(iter(commit_metadata.values()))
    saved = TopicPartition(settings.outputs.snapshots, partition.number)
    alerts = TopicPartition(settings.outputs.alerts, partition.number)
    firsts = {saved: common.snapshots_offset, alerts: common.alerts_offset}
    records = await read_back(reader, firsts, progress=progress)
    fingerprint, group = settings_hash(settings), settings.kafka.group_id
    revive = partition.task.revive
    restored = snapshots.restore(records[saved], fingerprint, group, revive)
    is_complete = not restored.damaged and len(restored.snapshots) >= max(1, common.saved_symbols)
    if common.snapshots_offset and not is_complete:
        # Earlier records of the topic may hold a snapshot that is older but complete.
        records |= await read_back(reader, {saved: 0}, progress=progress)
        restored = snapshots.restore(records[saved], fingerprint, group, revive)
    _warn_of_others(restored.groups, partition, settings)
    published = _published(partition, records[alerts], common.alerts_offset)
    partition.signals_until_ns = common.signals_until_ns
    partition.slots = restored.slots
    partition.most_parts = restored.most_parts
    partition.left_out = restored.problems
    partition.saved_at = saved_at = {
        symbol: records[saved][index].offset for symbol, index in restored.first_index.items()
    }
    new_topics = {tp: stream for tp, stream in inputs.items() if tp not in committed}
    saved_until = (await reader.end_offsets([saved]))[saved]
    partition.begun_at = {
        tp: saved_until if entry.begun_at < 0 else entry.begun_at
        for tp, entry in commit_metadata.items()
        if entry.begun_at
    }
    partition.begun_at |= dict.fromkeys(new_topics, saved_until)
    partition.last_commit = {tp: committed[tp] for tp in inputs if tp not in new_topics}
    if new_topics:
        offsets = await _start_of_new_topics(new_topics, restored.snapshots, reader, settings)
        committed = {**committed, **{tp: OffsetAndMetadata(at, "") for tp, at in offsets.items()}}
        commit_metadata = {**commit_metadata, **dict.fromkeys(new_topics, CommitMetadata())}
    restored.snapshots = [
        _without_streams(
            snapshot,
            {inputs[tp] for tp, at in partition.begun_at.items() if saved_at[snapshot.symbol] < at},
        )
        for snapshot in restored.snapshots
    ]
    partition.committed = {tp: committed[tp].offset for tp in inputs}
    for tp, first in partition.committed.items():
        partition.refused[tp].extend(first + its for its in commit_metadata[tp].refused)
    start = start_positions(inputs, partition.committed, commit_metadata)
    # Commits do not advance until there are snapshots to continue from. At the very beginning of
    # the group, no snapshots are needed.
    is_beginning = not any(entry.newest_ns for entry in commit_metadata.values())
    missing = max(0, common.saved_symbols - len(restored.snapshots))
    if not is_beginning and (restored.damaged or missing or not restored.snapshots):
        start = await _earlier_start(
            partition, restored, committed, start, reader, settings, missing
        )
    # The output of bars up to the last commit was acknowledged before that commit. Alerts after it
    # are on the alerts topic.
    published_until = PublishedUntil(
        common.signals_until_ns, alerts_until_ns=common.signals_until_ns
    )
    keys = [alert_key(alert) for alert in published]
    partition.task.resume(start, restored.snapshots, published_until, keys, restored.monitors)
    if restored.snapshots or is_beginning:
        log.info(
            "restored from snapshots",
            partition=partition.number,
            symbols=len(restored.snapshots),
            left_out=snapshots.describe_problems(restored),
            records_read=sum(map(len, records.values())),
            seconds=round(time.monotonic() - started_at, 3),
        )
    return {tp: start[stream].start for tp, stream in inputs.items()}


async def _start_of_new_topics(
    new_topics: Mapping[TopicPartition, str],
    restored: Sequence[Snapshot],
    reader: AIOKafkaConsumer,
    settings: Settings,
) -> dict[TopicPartition, int]:
    """Return the start offsets of topics without a committed offset, if other topics have one.

    A topic that was added later starts where ``kafka.start`` says. A topic that a snapshot has
    already read was deleted and created again: all of its records are new.
    """
    streams_read = {
        stream
        for snapshot in restored
        for stream, position in snapshot.position.streams.items()
        if position.read > 0
    }
    recreated = [tp for tp, stream in new_topics.items() if stream in streams_read]
    if recreated:
        log.warning(
            "a topic was deleted and created again: reading it from its beginning",
            topics=sorted({tp.topic for tp in recreated}),
            partition=recreated[0].partition,
        )
    added = {tp: stream for tp, stream in new_topics.items() if stream not in streams_read}
    offsets = await _first_offsets(reader, added, {}, settings) if added else {}
    return offsets | await reader.beginning_offsets(recreated) if recreated else offsets


def _without_streams(snapshot: Snapshot, new_streams: Collection[str]) -> Snapshot:
    """Return the snapshot without its offsets of some streams: they belong to older topics."""
    if not new_streams:
        return snapshot
    streams = {
        name: position
        for name, position in snapshot.position.streams.items()
        if name not in new_streams
    }
    return replace(snapshot, position=replace(snapshot.position, streams=streams))


async def _earlier_start(
    partition: Partition,
    restored: snapshots.Restored,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    start: Mapping[str, StreamPosition],
    reader: AIOKafkaConsumer,
    settings: Settings,
    missing: int,
) -> dict[str, StreamPosition]:
    """Return earlier start positions, because snapshots that the commit relies on are not usable.

    A symbol with an older snapshot is replayed from that snapshot. A symbol without one is replayed
    from a warm-up window before the commit. So are the ``missing`` symbols, of which no record is
    left (the topic was deleted). The state of these symbols may differ in detail, and their output
    about the past is not published. The other symbols skip the records that their state contains
    already.
    """
    positions = {snapshot.symbol: snapshot.position for snapshot in restored.snapshots}
    older = [positions[symbol] for symbol in restored.damaged if symbol in positions]
    begins = [position.streams for position in older]
    if missing or not positions or len(older) < len(restored.damaged):
        offsets = await _window_before(reader, committed, partition.inputs, settings)
        begins.append(start_positions(partition.inputs, offsets))
    earliest = dict(start)
    for begin in begins:
        for stream, position in begin.items():
            if stream in earliest and position.start < earliest[stream].start:
                earliest[stream] = position
    records = {
        tp.topic: committed[tp].offset - earliest[stream].start
        for tp, stream in partition.inputs.items()
    }
    reasons = snapshots.describe_problems(restored)
    if not positions:
        log.warning(
            "no usable snapshot: replaying a warm-up window without publishing",
            partition=partition.number,
            window_seconds=settings.state.warmup_window_seconds,
            records=records,
            left_out=reasons,
        )
    else:
        log.warning(
            "some snapshots are not usable: replaying their records without publishing",
            partition=partition.number,
            symbols=restored.damaged[:MAX_NAMED],
            of=len(restored.damaged),
            missing=missing,
            records=records,
            left_out=reasons,
        )
    return earliest


def _published(partition: Partition, records: Iterable[Any], first: int) -> list[Alert]:
    """Return the alerts among records of the alerts topic; the partition records their offsets."""
    alerts = []
    partition.next_alert_offset = first
    for record in records:
        partition.next_alert_offset = record.offset + 1
        try:
            alert = _decode_alert(record.value or b"")
        except msgspec.MsgspecError:
            continue  # not an alert of Foreshock: it suppresses nothing
        partition.note_alert(alert.ts_event, record.offset)
        alerts.append(alert)
    return alerts


async def _first_offsets(
    reader: AIOKafkaConsumer,
    inputs: Mapping[TopicPartition, str],
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    settings: Settings,
) -> dict[TopicPartition, int]:
    """Return the start offsets without commit metadata; commits of other programs are respected."""
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
    """Return the offsets one warm-up window before the committed ones, by record timestamps.

    For a topic without a record shortly before its offset, the newest record of the other topics
    decides.
    """
    offsets = {tp: committed[tp].offset for tp in inputs}
    newest_ms: dict[TopicPartition, int] = {}
    for back in _LOOK_BACK:
        unknown = {tp: max(0, at - back) for tp, at in offsets.items() if tp not in newest_ms}
        if not unknown:
            break
        found = await read_back(reader, unknown, offsets)
        newest_ms |= {tp: records[-1].timestamp for tp, records in found.items() if records}
    if not newest_ms:
        return offsets
    latest_ms = max(newest_ms.values())
    window_ms = round(settings.state.warmup_window_seconds * 1e3)
    start_ms = {tp: max(0, newest_ms.get(tp, latest_ms) - window_ms) for tp in inputs}
    for tp, first in (await reader.offsets_for_times(start_ms)).items():
        if first is not None:
            offsets[tp] = min(offsets[tp], first.offset)
    return offsets
