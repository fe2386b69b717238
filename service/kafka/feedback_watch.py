"""Reads the feedback topic: every instance reads all of it, before its session and while it runs.

The topic is compacted and small. It is read without a group: a session begins with all verdicts
that exist, so that a restart applies the same verdicts to the restored symbols.

A record that is no feedback becomes a dead letter while it is read live, by the instance that owns
its partition number. The next start finds the record on the topic again, and only logs it: each
restart would send it once more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.cancellation import close
from service.kafka.counters import ConsumerCounters
from service.kafka.read_back import read_back
from service.pipeline.feedback import Judgements, decode_all
from service.pipeline.rejection import Rejection

POLL_SECONDS = 0.5

MAX_LOGGED = 20
"""The largest number of unusable records that a start logs."""

Refuse = Callable[[TopicPartition, Sequence[Any], Sequence[Rejection]], Awaitable[None]]
"""Sends records of a topic partition as dead letters, if this instance is the one to do it."""

log = structlog.get_logger("foreshock.feedback")


class FeedbackWatch:
    """Reads the feedback topic into ``judgements``.

    Parameters
    ----------
    topic
        The feedback topic; "" for none.
    judgements
        The verdicts that were read, which outlive a session.
    counters
        The counters to increment.
    """

    def __init__(self, topic: str, judgements: Judgements, counters: ConsumerCounters) -> None:
        self._topic = topic
        self._judgements = judgements
        self._counters = counters
        self._positions: dict[TopicPartition, int] = {}

    async def catch_up(self, reader: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        """Read all verdicts that exist; ``reader`` is a started consumer without a group."""
        if not self._topic:
            return
        tps = await self._partitions(admin)
        ends = await reader.end_offsets(tps)
        records = await read_back(reader, dict.fromkeys(tps, 0), ends)
        refused = 0
        for tp, batch in records.items():
            present, rejections = self._add(batch)
            for rejection in rejections[: max(0, MAX_LOGGED - refused)]:
                log.warning(
                    "a record of the feedback topic is no feedback",
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=present[rejection.index].offset,
                    reason=rejection.reason,
                    detail=rejection.detail,
                )
            refused += len(rejections)
        self._positions = dict(ends)
        log.info("feedback read", verdicts=self._judgements.counts.total(), no_feedback=refused)

    async def follow(
        self,
        connect: Callable[[], AIOKafkaConsumer],
        admin: AIOKafkaAdminClient,
        refuse: Refuse,
        waits: Callable[[], Iterator[float]],
    ) -> None:
        """Read new verdicts forever. A failure is counted, and reading goes on after a wait."""
        retries = waits()
        while self._topic:
            before = dict(self._positions)
            try:
                await self._follow(connect(), admin, refuse)
            except Exception as error:  # noqa: BLE001 - detection must continue
                if self._positions != before:
                    retries = waits()
                wait = next(retries)
                self._counters.feedback_failures += 1
                log.warning(
                    "reading feedback failed, retrying",
                    reason=repr(error),
                    wait_seconds=round(wait, 2),
                )
                await asyncio.sleep(wait)

    async def _follow(
        self, reader: AIOKafkaConsumer, admin: AIOKafkaAdminClient, refuse: Refuse
    ) -> None:
        """Read until the topic has more partitions."""
        try:
            await reader.start()
            tps = await self._partitions(admin)
            reader.assign(tps)
            for tp in tps:
                reader.seek(tp, self._positions.get(tp, 0))
            while len(reader.partitions_for_topic(self._topic) or tps) <= len(tps):
                batches = await reader.getmany(timeout_ms=round(POLL_SECONDS * 1e3))
                for tp, batch in batches.items():
                    present, rejections = self._add(batch)
                    if rejections:
                        await refuse(tp, present, rejections)
                    self._positions[tp] = batch[-1].offset + 1
        finally:
            await close("the reader of feedback", reader.stop)

    async def _partitions(self, admin: AIOKafkaAdminClient) -> list[TopicPartition]:
        (described,) = await admin.describe_topics([self._topic])
        return [
            TopicPartition(self._topic, entry["partition"]) for entry in described["partitions"]
        ]

    def _add(self, records: Sequence[Any]) -> tuple[list[Any], list[Rejection]]:
        """Add the verdicts of records; return the records with a value, and why some are none.

        A record without a value deletes one for compaction. It changes no verdict.
        """
        present = [record for record in records if record.value is not None]
        feedback, rejections = decode_all(present)
        for its in feedback:
            self._judgements.add(its)
        return present, rejections
