"""Watches that every partition advances while it has work, whatever could hold it back.

The watchdog knows no causes. It compares how far each partition has come in event time with what
the broker still has for it, and with what waits to be put in order.
"""

from collections.abc import Callable, Iterable

from aiokafka import TopicPartition
from msgspec import Struct

from service.kafka.partition import Partition

STUCK_SECONDS = 60.0
"""A partition that has work and does not advance for so long is stuck."""

EndOffset = Callable[[TopicPartition], int | None]
"""The offset behind the last record that the broker has for a topic partition, if known."""


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
        end = end_offset(tp)
        unread = max(0, end - aligner.read(stream)) if end is not None else 0
        # Once all topics are idle, what still waits is late and goes with the next event.
        waiting = 0 if aligner.all_idle else aligner.pending(stream)
        if unread:
            parts.append(f"{tp.topic} has {unread:,} unread records")
        if waiting:
            parts.append(f"{waiting:,} events of {tp.topic} wait for other topics")
    return ", ".join(parts)
