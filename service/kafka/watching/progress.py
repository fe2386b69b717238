"""Watches that every partition advances while it has work, whatever could hold it back.

The watchdog knows no causes. It compares how far each partition has come in event time with what
the broker still has for it, and with what waits to be put in order.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from aiokafka import TopicPartition
from msgspec import Struct

from service.kafka.partition import Partition

STUCK_SECONDS = 60.0
"""A partition that has work and does not advance for so long is stuck."""


class LogEnd(NamedTuple):
    """Where a topic partition ends; None if not known.

    ``readable`` is the offset up to which it can be read, ``written`` the offset of the next record
    that is written. Between them are the records of a transaction that is open.
    """

    readable: int | None
    written: int | None


EndOffset = Callable[[TopicPartition], LogEnd]


class _Advance(Struct):
    """How far a partition has come, and when it last advanced (monotonic seconds)."""

    watermark_ns: int
    read: int
    since: float


class ProgressWatchdog:
    """Remembers when each partition last advanced.

    A partition advances when its watermark rises. While it reads records from before a restart
    again its watermark stands still, so there reading counts.
    """

    def __init__(self) -> None:
        self._advances: dict[int, _Advance] = {}
        self._work: dict[int, str] = {}

    def note(self, partitions: Iterable[Partition], end_offset: EndOffset, now: float) -> None:
        """Take note of how far the owned partitions have come at ``now`` (monotonic seconds)."""
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
        """The partitions that are stuck, and for each what waits, for a person to read."""
        return {
            number: f"has not advanced for {now - advance.since:.0f} s: {self._work[number]}"
            for number, advance in self._advances.items()
            if now - advance.since >= STUCK_SECONDS
        }


def _work(partition: Partition, end_offset: EndOffset) -> str:
    """What a partition still has to do, by topic; nothing if it has done everything."""
    aligner = partition.task.aligner
    parts = []
    for tp, stream in partition.inputs.items():
        end, read = end_offset(tp), aligner.read(stream)
        unread = max(0, (end.readable or 0) - read)
        unfinished = max(0, (end.written or 0) - max(read, end.readable or 0))
        # Once all topics are idle, what still waits is late and goes with the next event.
        waiting = 0 if aligner.all_idle else aligner.pending(stream)
        if unread:
            parts.append(f"{tp.topic} has {unread:,} unread records")
        if unfinished:
            parts.append(f"{tp.topic} has {unfinished:,} records of an open transaction")
        if waiting:
            parts.append(f"{waiting:,} events of {tp.topic} wait for other topics")
    return ", ".join(parts)
