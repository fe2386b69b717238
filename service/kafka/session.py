"""The Kafka loop: restore assigned partitions, poll, feed, publish, save, commit, and hand back.

aiokafka runs the rebalance listener concurrently with this loop, swallows its exceptions, and does
not call it when the consumer stops. So the listener waits for the loop's lock or leaves its work to
the loop. The loop raises the listener's errors, and hands the partitions back itself on a stop.
Rebalances are eager: all partitions are revoked first. A partition that comes straight back keeps
its state.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.kafka.clients import Clients
from service.kafka.copartitioning import PartitionCounts
from service.kafka.counters import ConsumerCounters
from service.kafka.idleness import OffsetsWentBackError
from service.kafka.membership import Membership
from service.kafka.offsets import GroupOffsets
from service.kafka.partition import Partition, by_number, reset_offsets
from service.kafka.reading import InputReader
from service.kafka.refusals import Refusals
from service.kafka.restore import next_alert_offset, restore
from service.kafka.snapshot_writer import SnapshotWriter
from service.kafka.switch_records import SwitchRecords
from service.kafka.watching.watches import Watches
from service.pipeline.output import Output, Watcher, opens_or_escalates
from service.pipeline.rejection import Rejection
from service.pipeline.switch_inputs import Written
from service.settings.assembly import decoders, partition_task, reconfigure_task, stream_topics
from service.settings.types import Settings, settings_hash

ANSWER_SECONDS = 1.0
"""The time that the broker may take to answer, in seconds, besides its wait for records."""

log = structlog.get_logger("foreshock.consumer")


class Session(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One membership in the consumer group, from joining to leaving.

    Parameters
    ----------
    settings
        The settings of the service.
    topics
        The topic of each stream that is read.
    clients
        Started connections; the consumer has no subscription yet.
    counters
        The counters of what is read.
    watcher
        Is called with the owned partitions, and with the output of each of their steps.
    first_partitions
        The partition count of the input topics when the process started. Partition numbers added
        later are read from their beginning, whatever ``kafka.start`` says.
    written
        What operators judge, and what moves kill switches; for the partitions that it owns.

    Attributes
    ----------
    progressed
        Whether the session has committed an offset beyond an earlier commit.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, str],
        clients: Clients,
        counters: ConsumerCounters,
        watcher: Watcher | None = None,
        first_partitions: int | None = None,
        written: Written | None = None,
    ) -> None:
        self._settings = settings
        self._written = written or Written()
        self._clients = clients
        self._counters = counters
        self._watcher = watcher
        self._topics = topics
        self._lock = asyncio.Lock()
        self._failure: BaseException | None = None
        self._to_restore: set[TopicPartition] = set()
        self._handed_back: dict[int, Partition] = {}
        self._stopping = asyncio.Event()
        self._revoking = False
        self._restoring: asyncio.Task[dict[TopicPartition, int]] | None = None
        self._membership = Membership(settings.kafka.session_timeout_seconds)
        self._offsets = GroupOffsets(clients, settings.kafka.group_id, self._membership)
        self._saving = SnapshotWriter(
            clients.publisher, self._membership, settings_hash(settings), settings.kafka.group_id
        )
        self.watches = Watches(settings.limits, counters.tally)
        self._refusals = Refusals(clients.publisher, counters, stream_topics(settings, topics))
        self._switches = SwitchRecords(settings.outputs, clients.publisher, self._written, counters)
        self.joined = False
        self.progressed = False
        self.partitions: dict[int, Partition] = {}
        self._reading = InputReader(
            clients, counters, self.partitions,
            decoders(settings, topics, clients.schemas), self._refusals,
        )  # fmt: skip
        self.partition_counts = PartitionCounts(settings, topics, clients, first_partitions)

    @property
    def restoring(self) -> int:
        """The number of assigned topic partitions that are not processed yet."""
        return len(self._to_restore)

    # Called concurrently with the loop, by aiokafka and when settings change.

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Save, commit and hand back; keep the state in case a partition comes back."""
        self._revoking = True
        self._cancel_restoring()
        try:
            async with self._lock:
                self._to_restore.clear()
                numbers = [n for n in by_number(revoked) if n in self.partitions]
                if numbers:  # none on joining
                    self._counters.rebalances += 1
                    await self._hand_back(numbers)
        except Exception as error:  # noqa: BLE001 - aiokafka would swallow it: the loop raises it
            self._failure = error
        # Wait also after a failure: the next owner reads the alerts topic to see what was
        # published.
        await self._clients.publisher.drain()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause the new partitions until the loop has restored them."""
        try:
            self._to_restore = set(assigned)
            self._reading.hold(self._to_restore)
            self._revoking = False
            # Drop the state of partitions that another member owns now: that member may have
            # processed records without having committed them.
            numbers = by_number(self._to_restore)
            self._handed_back = {n: p for n, p in self._handed_back.items() if n in numbers}
            if self._watcher is not None:
                self._watcher.owns(numbers)
            self._membership.renew(time.monotonic())
            self.joined = True
        except Exception as error:  # noqa: BLE001 - as above
            self._failure = error

    async def reconfigure(self, settings: Settings) -> None:
        """Apply new settings between two steps of the loop.

        Everything before them is saved and committed. So a restart replays only records after the
        change.
        """
        try:
            async with self._lock:
                self._settings = settings
                owned = list(self.partitions.values())
                for partition in (*owned, *self._handed_back.values()):
                    reconfigure_task(partition.task, settings)
                await self._save_and_commit(owned)
        except Exception as error:  # noqa: BLE001 - the loop raises it, as above
            self._failure = error

    # The loop.

    def stop(self) -> None:
        """Ask ``run`` to end."""
        self._stopping.set()
        self._cancel_restoring()

    def _cancel_restoring(self) -> None:
        """Cancel a running restoration: its result is unused, and the caller waits for the loop."""
        if self._restoring is not None:
            self._restoring.cancel()

    async def run(self) -> None:
        """Process records until asked to stop; then save, commit and leave. Raises any failure."""
        try:
            await self._process_until_stopped()
        except BaseException:
            # Some output may not have been published. Nobody may save or commit a state beyond it,
            # not even a listener that waits for the lock.
            self.partitions.clear()
            raise

    async def _process_until_stopped(self) -> None:
        consumer = self._clients.consumer
        consumer.subscribe(topics=list(self._topics.values()), listener=self)
        self._counters.last_poll_at = time.monotonic()
        next_commit = self._counters.last_poll_at + self._settings.state.commit_seconds
        while not self._stopping.is_set():
            async with self._lock:
                self._raise_failure()
                await self._restore_assigned()
            records = await self._reading.poll(self._settings.kafka.max_poll_records)
            async with self._lock:
                self._raise_failure()
                for partition in self.partitions.values():
                    partition.judge(self._written.judgements)
                self._reading.release()
                await self._reading.skip_deleted()
                try:
                    await self._process(records)
                except OffsetsWentBackError as error:
                    # A commit of an old offset may have been stored for the new topic. Without this
                    # commit of offset 0, records of the new topic would be skipped.
                    await consumer.commit(reset_offsets(error.topic, self.partitions.values()))
                    raise
                now = time.monotonic()
                if now >= next_commit or not self._membership.holds():
                    await self._commit(list(self.partitions.values()))
                    next_commit = now + self._settings.state.commit_seconds
                if self._membership.holds():
                    await self._save({p.number: p.due(now) for p in self.partitions.values()})
            self._counters.last_poll_at = now = time.monotonic()
            self.watches.note(self.partitions.values(), self._reading.end, now)
        async with self._lock:
            self._raise_failure()
            await self._hand_back(self.partitions)

    def _raise_failure(self) -> None:
        """Raise a failure of the listener: this member may no longer own its partitions."""
        if self._failure is not None:
            raise self._failure

    async def _restore_assigned(self) -> None:
        """Restore the assigned partitions, or continue those that came straight back."""
        await self.partition_counts.refresh()
        assigned = self.partition_counts.readable(self._to_restore)
        if not assigned:
            return
        consumer = self._clients.consumer
        committed = await self._offsets.committed(assigned)
        for number in sorted(by_number(assigned)):
            if self._stopping.is_set() or self._revoking:
                return
            kept = self._handed_back.pop(number, None)
            if kept is not None and not await self._was_processed_elsewhere(kept, committed):
                partition, offsets = kept, kept.read()
            else:
                task = partition_task(
                    self._settings, self._topics, self._counters.tally, sets_aside=True
                )
                snapshot_seconds = self._settings.state.snapshot_seconds
                partition = Partition(number, task, self._topics, snapshot_seconds)
                restored = await self._restore(partition, committed)
                if restored is None:
                    return
                offsets = restored
            await self._switches.restore(partition, self._clients.reader)
            for tp, offset in offsets.items():
                consumer.seek(tp, offset)
            # The start position is decided once: after a crash, processing continues from here.
            decided = partition.committed and partition.is_committed(committed)
            if not (decided and self._membership.holds()) and not await self._commit([partition]):
                return  # another member owns it since: aiokafka will be told, and revoke it
            partition.paused.clear()
            consumer.resume(*offsets)
            self.partitions[number] = partition
            self._to_restore = self._to_restore - set(offsets)
        waiting = by_number(self._to_restore)
        self._handed_back = {n: p for n, p in self._handed_back.items() if n in waiting}
        log.info("assigned", partitions=sorted(self.partitions))

    async def _was_processed_elsewhere(
        self, kept: Partition, committed: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> bool:
        next_offset = await next_alert_offset(kept.number, self._clients.reader, self._settings)
        return kept.was_processed_elsewhere(committed, next_offset)

    async def _restore(
        self, partition: Partition, committed: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> dict[TopicPartition, int] | None:
        """Return the offsets to read from; None if the restoration was cancelled.

        It is cancelled when the partition must be handed back.
        """
        reader, progress = self._clients.reader, self._counters.restore
        settings = self.partition_counts.settings_of(partition.number, self._settings)
        restoring = asyncio.create_task(restore(partition, committed, reader, settings, progress))
        self._restoring = restoring
        try:
            await asyncio.wait({restoring})
        finally:
            restoring.cancel()
            self._restoring = None
        if restoring.cancelled():
            progress.partition = None
            log.info("restoration cancelled", partition=partition.number)
            return None
        self._counters.snapshots_left_out.update(partition.left_out)
        return restoring.result()

    async def refuse_written(
        self, tp: TopicPartition, records: Sequence[Any], rejections: Sequence[Rejection]
    ) -> None:
        """Refuse records of operators as dead letters, if their partition number is owned."""
        if tp.partition in self.partitions:
            self._counters.written_refused.update((tp.topic, its.reason) for its in rejections)
            await self._refusals.refuse(tp, records, rejections)

    async def _process(self, batches: dict[TopicPartition, list[Any]]) -> None:
        """Feed the polled records and publish the output."""
        touched = set()
        for tp, records in batches.items():
            partition = self.partitions.get(tp.partition)
            if partition is not None and records:
                await self._reading.feed(partition, tp, records)
                touched.add(tp.partition)
        consumer = self._clients.consumer
        idle_after = self._settings.time.idle_after_ms / 1e3
        # The consumer asks the broker again after each fetch wait.
        answer_within = 2 * self._settings.kafka.fetch_wait_seconds + ANSWER_SECONDS
        for number, partition in self.partitions.items():
            await self._reading.follow(partition)
            answers = self._reading.answers(partition)
            if partition.idleness.update(answers, idle_after, answer_within) or number in touched:
                await self._publish(partition, partition.task.advance())
            if idle_ns := partition.idle_ns(time.monotonic()):
                resolved = partition.task.rest(idle_ns)
                if resolved != Output():
                    await self._publish(partition, resolved)
            await self._switches.attend(partition, leads=self._membership.holds())
            pause, resume = partition.limit_buffers(self._settings.limits.buffered_events)
            consumer.pause(*pause)
            consumer.resume(*resume)

    async def _publish(self, partition: Partition, output: Output) -> None:
        """Publish the output of a step of a partition."""
        number = partition.number
        await self._refusals.set_aside(number, output, partition.task.aside)
        for alert, future in await self._clients.publisher.publish(number, output):
            self._clients.on_alert(number, alert)
            if opens_or_escalates(alert):
                self._counters.incidents[alert.detector, alert.severity] += 1
            partition.expect_alert(alert.ts_event, future)
        await self._switches.publish(partition, output)
        for symbol in output.forgotten:
            # A held snapshot would be written after this deletion.
            self._saving.drop(partition, symbol)
            await self._clients.publisher.forget(number, partition.forget(symbol))
        if self._watcher is not None:
            self._watcher.take(number, output)

    # Saving and committing.

    async def _save(self, symbols: Mapping[int, Sequence[str]]) -> None:
        self._saving.take((self.partitions[number], names) for number, names in symbols.items())
        await self._saving.send()

    async def _commit(self, partitions: list[Partition]) -> bool:
        """Wait for alerts, then for snapshots, then commit offsets; return whether it succeeded."""
        await self._clients.publisher.flush()
        if self._saving:
            await self._saving.send()
            await self._clients.publisher.flush()
        offsets = {}
        for partition in partitions:
            partition.settle()
            # If there is nothing new, commit the last offsets again: without an answer of the
            # group, the membership would expire, and with it all saving.
            offsets.update(partition.commits() or partition.last_commit)
        if not offsets:
            return self._membership.holds()
        if not await self._offsets.commit(partitions, offsets):
            return False
        self._counters.commits += 1
        for partition in partitions:
            before = partition.last_commit
            self.progressed |= any(offsets[tp].offset > its.offset for tp, its in before.items())
            partition.last_commit = {tp: offsets[tp] for tp in partition.inputs if tp in offsets}
            partition.committed |= {tp: meta.offset for tp, meta in partition.last_commit.items()}
        return True

    async def _save_and_commit(self, partitions: list[Partition]) -> bool:
        """Save and commit everything of some partitions; return False if the group has moved on."""
        if not self._membership.holds() and not await self._commit(partitions):
            return False
        await self._save({p.number: p.unsaved() for p in partitions})
        return await self._commit(partitions)

    async def _hand_back(self, numbers: Iterable[int]) -> None:
        """Save and commit everything of some partitions, and give them up."""
        handed_back = {number: self.partitions[number] for number in list(numbers)}
        saved = await self._save_and_commit(list(handed_back.values()))
        for partition in handed_back.values():
            # The partition may come back with its state. Then these snapshots must still be taken.
            self._saving.drop(partition)
        for number, partition in handed_back.items():
            del self.partitions[number]
            if saved:
                self._handed_back[number] = partition
        log.info("handed back", partitions=sorted(handed_back), saved=saved)
