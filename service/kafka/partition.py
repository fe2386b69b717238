"""What the Kafka loop knows of one partition number that it owns, beside its task."""

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from service.kafka.commit_metadata import CommitMetadata, metadata
from service.kafka.idleness import Idleness
from service.pipeline import snapshots
from service.pipeline.align import Position, StreamPosition
from service.pipeline.snapshots import Problem
from service.pipeline.task import PartitionTask


class Partition:
    """One partition number: its task, and how far the world has been told.

    Parameters
    ----------
    number
        The partition number, of every topic.
    task
        What watches its symbols.
    topics
        The topic of each stream.
    snapshot_seconds
        How often a symbol that changes is saved.
    """

    def __init__(
        self, number: int, task: PartitionTask, topics: Mapping[str, str], snapshot_seconds: float
    ) -> None:
        self.number = number
        self.task = task
        self.inputs = {TopicPartition(topic, number): stream for stream, topic in topics.items()}
        self.snapshot_seconds = snapshot_seconds
        self.slots: dict[str, int] = {}
        # The most parts that a snapshot of each symbol was seen to have, in either slot.
        self.most_parts: dict[str, int] = {}
        self.left_out: Mapping[Problem, int] = {}
        # The offset of the first part of each symbol's newest snapshot.
        self.saved_at: dict[str, int] = {}
        self.begun_at: dict[TopicPartition, int] = {}
        self._last_saved_at = 0
        # (event time, offset) of published alerts that a restart might raise again.
        self.alerts: deque[tuple[int, int]] = deque()
        self.next_alert_offset = 0
        self.signals_until_ns = 0
        self.committed: dict[TopicPartition, int] = {}
        self.last_commit: dict[TopicPartition, OffsetAndMetadata] = {}
        self.idleness = Idleness(self.inputs, task.aligner)
        self.paused: set[TopicPartition] = set()
        self.restored_in_seconds = 0.0
        self._due: dict[str, float] = {}
        self._sent_alerts: list[tuple[int, asyncio.Future[RecordMetadata]]] = []
        self._sent_snapshots: list[tuple[str, Sequence[asyncio.Future[RecordMetadata]]]] = []

    def read(self) -> dict[TopicPartition, int]:
        """The offset of the next record to read, of each topic."""
        return {tp: self.task.aligner.read(stream) for tp, stream in self.inputs.items()}

    @property
    def is_behind(self) -> bool:
        """Whether what is read now precedes the group's offsets, which must not go back.

        A snapshot taken here would lack what is between, and nobody would read that again.
        """
        return self._precedes(self.task.aligner.position())

    def _precedes(self, position: Position) -> bool:
        return any(
            position.streams[stream].start < self.committed.get(tp, 0)
            for tp, stream in self.inputs.items()
        )

    def unsaved(self) -> list[str]:
        """The symbols of which a snapshot can be taken that is newer than the last one."""
        return [] if self.is_behind else self.task.changed()

    def due(self, now: float) -> list[str]:
        """The symbols whose snapshot is due at ``now`` (monotonic seconds).

        A symbol that keeps changing is saved once an interval, at a time of its own within it, so
        that the saving is spread and never comes all at once.
        """
        known = self._due
        waiting = {
            symbol: known[symbol] if symbol in known else now + self._until_turn(symbol, now)
            for symbol in self.unsaved()
        }
        due = [symbol for symbol, at in waiting.items() if at <= now]
        for symbol in due:
            del waiting[symbol]
        self._due = waiting
        return due

    def _until_turn(self, symbol: str, now: float) -> float:
        interval = self.snapshot_seconds
        turn = zlib.crc32(symbol.encode()) / 2**32 * interval
        return (turn - now) % interval

    def expect_alert(self, ts_event: int, future: asyncio.Future[RecordMetadata]) -> None:
        """An alert was sent; ``settle`` notes its offset once it is acknowledged."""
        self._sent_alerts.append((ts_event, future))

    def expect_snapshot(
        self, symbol: str, futures: Sequence[asyncio.Future[RecordMetadata]]
    ) -> None:
        """A snapshot was sent; ``settle`` counts it as saved once every part is acknowledged."""
        self._sent_snapshots.append((symbol, futures))

    def drop_snapshot(self, symbol: str) -> None:
        """A snapshot was taken and will not be sent: the one before it must not be overwritten."""
        if symbol in self.slots:
            self.slots[symbol] = 1 - self.slots[symbol]
        self.task.not_saved(symbol)

    def forget(self, symbol: str) -> list[bytes]:
        """Forget a symbol that was evicted; the keys under which snapshots of it may stand."""
        self.saved_at.pop(symbol, None)
        most_parts = self.most_parts.pop(symbol, 1)
        if self.slots.pop(symbol, None) is None:
            return []  # it was never saved
        return snapshots.keys(symbol, most_parts)

    def settle(self) -> None:
        """Take note of what was acknowledged. To be called when nothing is under way."""
        for ts_event, future in self._sent_alerts:
            self.note_alert(ts_event, future.result().offset)
        self._sent_alerts.clear()
        for symbol, futures in self._sent_snapshots:
            began = min(future.result().offset for future in futures)
            self.task.saved(symbol)
            if began < self._last_saved_at:  # what was saved went with the topic that it stood on
                self.saved_at = dict.fromkeys(self.saved_at, 0)
                self.task.save_all()
            self._last_saved_at = began
            if symbol in self.slots:  # and not forgotten meanwhile
                self.saved_at[symbol] = began
        self._sent_snapshots.clear()

    def note_alert(self, ts_event: int, offset: int) -> None:
        """An alert stands at an offset of the alerts topic."""
        self.alerts.append((ts_event, offset))
        self.next_alert_offset = max(self.next_alert_offset, offset + 1)

    def commits(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What to commit once everything that was sent has been acknowledged.

        Nothing while it would take the group's offsets back.
        """
        position = self.task.resume_position()
        if self._precedes(position):
            return {}
        self.signals_until_ns = max(self.signals_until_ns, self.task.aligner.watermark_ns)
        # An alert of a bar that ended before the position cannot be raised again.
        while self.alerts and self.alerts[0][0] < position.watermark_ns:
            self.alerts.popleft()
        alerts_offset = self._alerts_offset()
        snapshots_offset = self._snapshots_offset()
        self.begun_at = {tp: at for tp, at in self.begun_at.items() if at > snapshots_offset}
        return {
            tp: OffsetAndMetadata(
                position.streams[stream].start,
                metadata(
                    CommitMetadata(
                        position.streams[stream].newest_ns,
                        self.signals_until_ns,
                        alerts_offset,
                        snapshots_offset,
                        self.begun_at.get(tp, 0),
                        len(self.saved_at),
                    )
                ),
            )
            for tp, stream in self.inputs.items()
        }

    def went_on_elsewhere(
        self, committed: Mapping[TopicPartition, OffsetAndMetadata], next_alert_offset: int
    ) -> bool:
        """Whether somebody else has worked on it since it was handed back with its last commit.

        An owner in between may have told alerts and ended before it committed anything.
        """
        return next_alert_offset != self.next_alert_offset or not self.stands_at(committed)

    def stands_at(self, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> bool:
        """Whether its last commit is what the group has."""
        return all(
            tp in committed and committed[tp].offset == offset
            for tp, offset in self.committed.items()
        )

    def note_of_beginning(self) -> CommitMetadata:
        """What to note with the beginning of a topic that was deleted and made again."""
        return CommitMetadata(
            0,
            self.signals_until_ns,
            self._alerts_offset(),
            self._snapshots_offset(),
            begun_at=-1,
            saved_symbols=len(self.saved_at),
        )

    def _alerts_offset(self) -> int:
        return min((offset for _, offset in self.alerts), default=self.next_alert_offset)

    def _snapshots_offset(self) -> int:
        return min(self.saved_at.values(), default=0)

    def limit_buffers(self, most: int) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Which topics to pause because too much of them waits, and which to resume.

        The topic that the others wait for is never paused: nothing would ever be released.
        """
        pause, resume = set(), set()
        for tp, stream in self.inputs.items():
            waiting = self.task.aligner.pending(stream)
            held = self.task.aligner.holds_back(stream)
            if tp not in self.paused and waiting > most and not held:
                pause.add(tp)
            elif tp in self.paused and (waiting < most // 2 or held):
                resume.add(tp)
        self.paused = self.paused - resume | pause
        return pause, resume


def start_positions(
    inputs: Mapping[TopicPartition, str],
    offsets: Mapping[TopicPartition, int],
    notes: Mapping[TopicPartition, CommitMetadata] | None = None,
) -> dict[str, StreamPosition]:
    """Where each stream begins, from its topic's offset and what was noted with it."""
    return {
        stream: StreamPosition(
            start=offsets[tp],
            newest_ns=notes[tp].newest_ns if notes is not None else 0,
            read=offsets[tp],
        )
        for tp, stream in inputs.items()
    }


def begun_again(
    topic: str, partitions: Iterable[Partition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """What to commit of a topic that was deleted and made again: its beginning."""
    return {
        tp: OffsetAndMetadata(0, metadata(partition.note_of_beginning()))
        for partition in partitions
        for tp in partition.inputs
        if tp.topic == topic
    }


def by_number(partitions: Iterable[TopicPartition]) -> dict[int, set[TopicPartition]]:
    """Topic partitions by partition number."""
    numbers: dict[int, set[TopicPartition]] = {}
    for tp in partitions:
        numbers.setdefault(tp.partition, set()).add(tp)
    return numbers
