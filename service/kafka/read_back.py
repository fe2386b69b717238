"""Reading back what stands on topics, to restore from, and how far that is."""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

LOG_SECONDS = 5.0
"""How often the log tells how far a restoration is."""

log = structlog.get_logger("foreshock.restore")


class Progress(Struct):
    """How far the restoration of ``partition`` is, None where there is none under way.

    ``passed`` and ``to_pass`` are offsets; compaction may have left fewer records. ``records`` and
    ``value_bytes`` are what was read of all partitions so far, for the metrics.
    """

    partition: int | None = None
    passed: int = 0
    to_pass: int = 0
    records: int = 0
    value_bytes: int = 0


async def read_back(
    reader: AIOKafkaConsumer,
    firsts: Mapping[TopicPartition, int],
    stops: Mapping[TopicPartition, int] | None = None,
    progress: Progress | None = None,
) -> dict[TopicPartition, list[Any]]:
    """The records of each topic partition from an offset to another, or to the end as it is now."""
    tps = list(firsts)
    beginnings = await reader.beginning_offsets(tps)
    ends = await reader.end_offsets(tps)
    reader.assign(tps)
    progress = progress or Progress()
    log_at = time.monotonic() + LOG_SECONDS
    passed: dict[TopicPartition, int] = {}
    unread = {}
    for tp, first in firsts.items():
        start = max(first, beginnings[tp])
        stop = ends[tp] if stops is None else min(stops[tp], ends[tp])
        reader.seek(tp, start)
        passed[tp] = start
        if start < stop:
            unread[tp] = stop
    progress.to_pass += sum(stop - passed[tp] for tp, stop in unread.items())
    records: dict[TopicPartition, list[Any]] = {tp: [] for tp in tps}
    while unread:
        for tp, batch in (await reader.getmany(*unread, timeout_ms=200)).items():
            its = [record for record in batch if record.offset < unread[tp]]
            records[tp] += its
            progress.records += len(its)
            progress.value_bytes += sum(len(record.value or b"") for record in its)
        # Not the last record's offset decides: compaction may have removed it.
        at = {tp: min(await reader.position(tp), stop) for tp, stop in unread.items()}
        progress.passed += sum(at[tp] - passed[tp] for tp in at)
        passed |= at
        unread = {tp: stop for tp, stop in unread.items() if at[tp] < stop}
        if time.monotonic() >= log_at:
            log_at = time.monotonic() + LOG_SECONDS
            log.info(
                "restoring",
                partition=progress.partition,
                passed=progress.passed,
                of=progress.to_pass,
            )
    # An idle reader must not go on polling the broker, which would also delay its next request.
    reader.pause(*tps)
    return records
