"""Checks that every partition advances while it has work, whatever the cause of a stop may be.

The watchdog knows no causes. It compares the event time that each partition has reached with the
unread records at the broker and with the events that wait to be put in order.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from aiokafka import TopicPartition
from msgspec import Struct

from service.kafka.partition import Partition

STUCK_SECONDS = 60.0
"""The time without an advance after which a partition with work is stuck, in seconds."""


class LogEnd(NamedTuple):
    """The end of a topic partition; None if unknown.

    ``readable`` is the offset up to which it can be read. ``written`` is the offset of the next
    record to be written. The records between them belong to an open transaction.
    """

    readable: int | None
    written: int | None


EndOffset = Callable[[TopicPartition], LogEnd]


class _Advance(Struct):
    """The progress of a partition, and when it last advanced (monotonic seconds)."""

    watermark_ns: int
    read: int
    since: float


class ProgressWatchdog:
    """Tracks when each partition last advanced.

    A partition advances when its watermark rises. While it reads records again from before a
    restart, its watermark does not rise. In that phase, reading counts as an advance.
    """

    def __init__(self) -> None:
        self._advances: dict[int, _Advance] = {}
        self._work: dict[int, str] = {}

    def note(self, partitions: Iterable[Partition], end_offset: EndOffset, now: float) -> None:
        """Record the progress of the owned partitions at ``now`` (monotonic seconds)."""
        advances, works = {}, {}
        for partition in partitions:
            task, number = partition.task, partition.number
            work = _work(partition, end_offset)
            watermark_ns, read = task.aligner.watermark_ns, sum(partition.read().values())
            known = self._advances.get(number)
            stands = (
                known is not None
                and bool(work)
                and known.watermark_ns >= watermark_ns
                and not (task.resuming and read > known.read)
            )
            since = known.since if known is not None and stands else now
            advances[number] = _Advance(watermark_ns, read, since)
            works[number] = work
        self._advances, self._work = advances, works

    def stuck(self, now: float) -> dict[int, str]:
        """Return the stuck partitions, each with a description of its waiting work."""
        return {
            number: f"has not advanced for {now - advance.since:.0f} s: {self._work[number]}"
            for number, advance in self._advances.items()
            if now - advance.since >= STUCK_SECONDS
        }


def _work(partition: Partition, end_offset: EndOffset) -> str:
    """Describe the remaining work of a partition by topic; empty if there is none."""
    aligner = partition.task.aligner
    parts = []
    for tp, stream in partition.inputs.items():
        end, read = end_offset(tp), aligner.read(stream)
        unread = max(0, (end.readable or 0) - read)
        unfinished = max(0, (end.written or 0) - max(read, end.readable or 0))
        # If all topics are idle, the waiting events are late, and the next event releases them.
        waiting = 0 if aligner.all_idle else aligner.pending(stream)
        if unread:
            parts.append(f"{tp.topic} has {unread:,} unread records")
        if unfinished:
            parts.append(f"{tp.topic} has {unfinished:,} records of an open transaction")
        if waiting:
            parts.append(f"{waiting:,} events of {tp.topic} wait for other topics")
    return ", ".join(parts)
