"""Reads records back from topics to restore a partition, and reports the progress."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

LOG_SECONDS = 5.0
"""The interval of the log messages about a restoration, in seconds."""

log = structlog.get_logger("foreshock.restore")


class Progress(Struct):
    """The progress of the restoration of ``partition``; None if no restoration is running.

    ``offsets_done`` and ``offsets_total`` count offsets; compaction may have left fewer records.
    ``records`` and ``value_bytes`` count what was read for all partitions so far, for the metrics.
    ``alive_at`` is when the restoration last asked for records (monotonic seconds).
    """

    partition: int | None = None
    offsets_done: int = 0
    offsets_total: int = 0
    records: int = 0
    value_bytes: int = 0
    alive_at: float = 0.0


async def read_back(
    reader: AIOKafkaConsumer,
    firsts: Mapping[TopicPartition, int],
    stops: Mapping[TopicPartition, int] | None = None,
    progress: Progress | None = None,
    each: Callable[[Any], None] | None = None,
) -> dict[TopicPartition, list[Any]]:
    """Return the records of topic partitions between two offsets.

    Parameters
    ----------
    reader
        A started consumer without a group.
    firsts
        The first offset of each topic partition.
    stops
        The offsets to stop before. None: the current ends.
    progress
        The progress to update.
    each
        Takes each record, which then is not kept: nothing is returned.
    """
    tps = list(firsts)
    beginnings = await reader.beginning_offsets(tps)
    ends = await reader.end_offsets(tps)
    reader.assign(tps)
    progress = progress or Progress()
    log_at = time.monotonic() + LOG_SECONDS
    reached: dict[TopicPartition, int] = {}
    unread = {}
    for tp, first in firsts.items():
        start = max(first, beginnings[tp])
        stop = ends[tp] if stops is None else min(stops[tp], ends[tp])
        reader.seek(tp, start)
        reached[tp] = start
        if start < stop:
            unread[tp] = stop
    progress.offsets_total += sum(stop - reached[tp] for tp, stop in unread.items())
    records: dict[TopicPartition, list[Any]] = {tp: [] for tp in tps}
    while unread:
        for tp, batch in (await reader.getmany(*unread, timeout_ms=200)).items():
            wanted = [record for record in batch if record.offset < unread[tp]]
            if each is None:
                records[tp] += wanted
            else:
                for record in wanted:
                    each(record)
            progress.records += len(wanted)
            progress.value_bytes += sum(len(record.value or b"") for record in wanted)
        progress.alive_at = time.monotonic()
        # The position decides, not the offset of the last record: compaction may have removed it.
        positions = {tp: min(await reader.position(tp), stop) for tp, stop in unread.items()}
        progress.offsets_done += sum(positions[tp] - reached[tp] for tp in positions)
        reached |= positions
        unread = {tp: stop for tp, stop in unread.items() if positions[tp] < stop}
        if time.monotonic() >= log_at:
            log_at = time.monotonic() + LOG_SECONDS
            log.info(
                "restoring",
                partition=progress.partition,
                offsets_done=progress.offsets_done,
                offsets_total=progress.offsets_total,
            )
    # Pause the reader: otherwise it keeps polling the broker, which also delays its next request.
    reader.pause(*tps)
    return records
