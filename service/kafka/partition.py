"""The state that the Kafka loop keeps for one partition number that it owns, besides its task."""

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from service.kafka.commit_metadata import CommitMetadata, encode_metadata
from service.kafka.idleness import Idleness
from service.pipeline import snapshots
from service.pipeline.align import Position, StreamPosition
from service.pipeline.feedback import Judgements
from service.pipeline.snapshots import Problem
from service.pipeline.task import PartitionTask

MOST_REFUSED = 200
"""The largest number of records with a dead letter that the metadata of a committed offset names.
Kafka allows 4,096 bytes of metadata."""


class Partition:
    """One partition number: its task, and what was published, saved and committed of it.

    Parameters
    ----------
    number
        The partition number; it is the same in every topic.
    task
        The task that watches the symbols of the partition.
    topics
        The topic of each stream.
    snapshot_seconds
        The interval at which a changing symbol is saved, in seconds.
    """

    def __init__(
        self, number: int, task: PartitionTask, topics: Mapping[str, str], snapshot_seconds: float
    ) -> None:
        self.number = number
        self.task = task
        self.inputs = {TopicPartition(topic, number): stream for stream, topic in topics.items()}
        self.snapshot_seconds = snapshot_seconds
        self.slots: dict[str, int] = {}
        # The largest number of parts of any snapshot of each symbol, in either slot.
        self.most_parts: dict[str, int] = {}
        self.left_out: Mapping[Problem, int] = {}
        # The offset of the first part of each symbol's newest snapshot.
        self.saved_at: dict[str, int] = {}
        self.begun_at: dict[TopicPartition, int] = {}
        self._last_saved_at = 0
        # (event time, offset) of the published alerts that a restart might raise again.
        self.alerts: deque[tuple[int, int]] = deque()
        self.next_alert_offset = 0
        self.signals_until_ns = 0
        # How many verdicts of operators the task was given.
        self.judged = 0
        # How many commands of operators its switches were given.
        self.commanded = 0
        # The state of the ladders that its switches were given.
        self.laddered = 0
        # The offset that the next record on the kill-switch topic gets if nobody else writes.
        self.next_switch_offset: int | None = None
        # The newest records from the next commit on that have a dead letter, by offset.
        self.refused: dict[TopicPartition, deque[int]] = {
            tp: deque(maxlen=MOST_REFUSED) for tp in self.inputs
        }
        self.committed: dict[TopicPartition, int] = {}
        self.last_commit: dict[TopicPartition, OffsetAndMetadata] = {}
        self.idleness = Idleness(self.inputs, task.aligner)
        self._idle_since: float | None = None
        self.paused: set[TopicPartition] = set()
        self.restored_in_seconds = 0.0
        self._due: dict[str, float] = {}
        self._sent_alerts: list[tuple[int, asyncio.Future[RecordMetadata]]] = []
        self._sent_snapshots: list[tuple[str, Sequence[asyncio.Future[RecordMetadata]]]] = []
        self._sent_switches: list[asyncio.Future[RecordMetadata]] = []
        if number == 0:
            task.switches.watch_venue()

    def idle_ns(self, now: float) -> int:
        """For how long all topics have been idle without a break, as seen at each call.

        ``now`` is in monotonic seconds. The result is in nanoseconds; 0 if a topic is not idle.
        """
        if not self.task.aligner.all_idle:
            self._idle_since = None
            return 0
        if self._idle_since is None:
            self._idle_since = now
        return int((now - self._idle_since) * 1e9)

    def read(self) -> dict[TopicPartition, int]:
        """Return the offset of the next record to read from each topic."""
        return {tp: self.task.aligner.read(stream) for tp, stream in self.inputs.items()}

    @property
    def is_behind(self) -> bool:
        """Whether the records read now are before the group's offsets, which must not go back.

        A snapshot taken now would lack the records up to those offsets, and nobody would read them
        again.
        """
        return self._precedes(self.task.aligner.position())

    def _precedes(self, position: Position) -> bool:
        return any(
            position.streams[stream].start < self.committed.get(tp, 0)
            for tp, stream in self.inputs.items()
        )

    def unsaved(self) -> list[str]:
        """Return the symbols of which a newer snapshot than the last one can be taken."""
        return [] if self.is_behind else self.task.changed()

    def due(self, now: float) -> list[str]:
        """Return the symbols whose snapshot is due at ``now`` (monotonic seconds).

        A symbol that keeps changing is saved once per interval. Each symbol has its own time within
        the interval, so the load of saving is spread.
        """
        due_at = self._due
        waiting = {
            symbol: due_at[symbol] if symbol in due_at else now + self._until_turn(symbol, now)
            for symbol in self.unsaved()
        }
        due = [symbol for symbol, at in waiting.items() if at <= now]
        for symbol in due:
            del waiting[symbol]
        self._due = waiting
        return due

    def _until_turn(self, symbol: str, now: float) -> float:
        interval = self.snapshot_seconds
        offset_seconds = zlib.crc32(symbol.encode()) / 2**32 * interval
        return (offset_seconds - now) % interval

    def expect_alert(self, ts_event: int, future: asyncio.Future[RecordMetadata]) -> None:
        """Add an alert that was sent; ``settle`` records its offset after the acknowledgement."""
        self._sent_alerts.append((ts_event, future))

    def expect_switch(self, future: asyncio.Future[RecordMetadata]) -> None:
        """Add a record of a kill switch that was sent."""
        self._sent_switches.append(future)

    def judge(self, judgements: Judgements) -> None:
        """Give the task the verdicts of operators that it was not given yet."""
        if self.judged != judgements.serial:
            self.task.judge(judgements.since(self.judged))
            self.judged = judgements.serial

    def expect_snapshot(
        self, symbol: str, futures: Sequence[asyncio.Future[RecordMetadata]]
    ) -> None:
        """Add a sent snapshot; ``settle`` counts it as saved once all parts are acknowledged."""
        self._sent_snapshots.append((symbol, futures))

    def drop_snapshot(self, symbol: str) -> None:
        """Undo a snapshot that was taken but will not be sent.

        The slot is switched back, because the next snapshot must not overwrite the previous one.
        """
        if symbol in self.slots:
            self.slots[symbol] = 1 - self.slots[symbol]
        self.task.not_saved(symbol)

    def forget(self, symbol: str) -> list[bytes]:
        """Forget an evicted symbol; return the keys under which snapshots of it may be stored."""
        self.saved_at.pop(symbol, None)
        most_parts = self.most_parts.pop(symbol, 1)
        if self.slots.pop(symbol, None) is None:
            return []  # it was never saved
        return snapshots.keys(symbol, most_parts)

    def settle(self) -> None:
        """Record what was acknowledged. Call this only when no send is in flight."""
        for ts_event, future in self._sent_alerts:
            self.note_alert(ts_event, future.result().offset)
        self._sent_alerts.clear()
        self._settle_switches()
        for symbol, futures in self._sent_snapshots:
            first_offset = min(future.result().offset for future in futures)
            self.task.saved(symbol)
            if first_offset < self._last_saved_at:  # the topic and its snapshots were deleted
                self.saved_at = dict.fromkeys(self.saved_at, 0)
                self.task.save_all()
            self._last_saved_at = first_offset
            if symbol in self.slots:  # it was not evicted in the meantime
                self.saved_at[symbol] = first_offset
        self._sent_snapshots.clear()

    def _settle_switches(self) -> None:
        """Have the switches told again if somebody else wrote between the records of this owner.

        That is an owner that was replaced and does not know it, for a moment.
        """
        for future in self._sent_switches:
            offset = future.result().offset
            if self.next_switch_offset not in (None, offset):
                self.task.switches.tell_again()
            self.next_switch_offset = offset + 1
        self._sent_switches.clear()

    def note_alert(self, ts_event: int, offset: int) -> None:
        """Record the offset of an alert on the alerts topic."""
        self.alerts.append((ts_event, offset))
        self.next_alert_offset = max(self.next_alert_offset, offset + 1)

    def commits(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return the offsets to commit once everything that was sent is acknowledged.

        The result is empty while a commit would set the group's offsets back.
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
        for tp, stream in self.inputs.items():
            start = position.streams[stream].start
            later = (at for at in self.refused[tp] if at >= start)
            self.refused[tp] = deque(later, MOST_REFUSED)
        return {
            tp: OffsetAndMetadata(
                position.streams[stream].start,
                encode_metadata(
                    CommitMetadata(
                        position.streams[stream].newest_ns,
                        self.signals_until_ns,
                        alerts_offset,
                        snapshots_offset,
                        self.begun_at.get(tp, 0),
                        len(self.saved_at),
                        position.streams[stream].evidence,
                        position.streams[stream].last_ns,
                        tuple(at - position.streams[stream].start for at in self.refused[tp]),
                    )
                ),
            )
            for tp, stream in self.inputs.items()
        }

    def refuse(self, tp: TopicPartition, offset: int) -> bool:
        """Note that a record gets a dead letter; return False if it has one already.

        That is so if it is read again after a restart. The commits tell the next owner.
        """
        refused = self.refused[tp]
        if offset in refused:
            return False
        if offset >= self.committed.get(tp, 0):
            refused.append(offset)
        return True

    def was_processed_elsewhere(
        self, committed: Mapping[TopicPartition, OffsetAndMetadata], next_alert_offset: int
    ) -> bool:
        """Return whether another member has processed the partition since this one handed it back.

        The committed offsets alone do not show this: a member in between may have published alerts
        and ended before its first commit.
        """
        return next_alert_offset != self.next_alert_offset or not self.is_committed(committed)

    def is_committed(self, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> bool:
        """Return whether the group's offsets are those of this partition's last commit."""
        return all(
            tp in committed and committed[tp].offset == offset
            for tp, offset in self.committed.items()
        )

    def reset_metadata(self) -> CommitMetadata:
        """Return the metadata to commit with offset 0 of a topic that was created again."""
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

    def limit_buffers(self, max_events: int) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Return the topics to pause because too many events wait, and the topics to resume.

        A topic that the others wait for is never paused: otherwise no event would ever be released.

        Parameters
        ----------
        max_events
            The largest number of events that may wait per topic.
        """
        pause, resume = set(), set()
        for tp, stream in self.inputs.items():
            waiting = self.task.aligner.pending(stream)
            is_awaited = self.task.aligner.holds_back(stream)
            if tp not in self.paused and waiting > max_events and not is_awaited:
                pause.add(tp)
            elif tp in self.paused and (waiting < max_events // 2 or is_awaited):
                resume.add(tp)
        self.paused = self.paused - resume | pause
        return pause, resume


def start_positions(
    inputs: Mapping[TopicPartition, str],
    offsets: Mapping[TopicPartition, int],
    commit_metadata: Mapping[TopicPartition, CommitMetadata] | None = None,
) -> dict[str, StreamPosition]:
    """Return the start position of each stream, from its topic's offset and commit metadata."""
    return {
        stream: StreamPosition(
            start=offsets[tp],
            newest_ns=commit_metadata[tp].newest_ns if commit_metadata is not None else 0,
            read=offsets[tp],
            evidence=commit_metadata[tp].evidence if commit_metadata is not None else (),
            last_ns=commit_metadata[tp].last_ns if commit_metadata is not None else 0,
        )
        for tp, stream in inputs.items()
    }


def reset_offsets(
    topic: str, partitions: Iterable[Partition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return the commit for a topic that was deleted and created again: offset 0."""
    return {
        tp: OffsetAndMetadata(0, encode_metadata(partition.reset_metadata()))
        for partition in partitions
        for tp in partition.inputs
        if tp.topic == topic
    }


def by_number(partitions: Iterable[TopicPartition]) -> dict[int, set[TopicPartition]]:
    """Group topic partitions by partition number."""
    numbers: dict[int, set[TopicPartition]] = {}
    for tp in partitions:
        numbers.setdefault(tp.partition, set()).add(tp)
    return numbers
