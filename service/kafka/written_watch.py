"""Reads a topic that operators write to: every instance reads all of it, before its session and on.

The topics of feedback and of commands are small, and so are the alerts of a day. They are read
without a group: a session begins with all records that exist, so that a restart applies the same
ones to the restored symbols.

A record that is none becomes a dead letter while it is read live, by the instance that owns its
partition number. The next start finds the record on the topic again, and only logs it: each restart
would send it once more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.cancellation import close
from service.kafka.counters import ConsumerCounters
from service.kafka.read_back import read_back
from service.pipeline.commands import COMMAND
from service.pipeline.feedback import FEEDBACK
from service.pipeline.ladders import CASCADE, READ_SECONDS
from service.pipeline.rejection import Rejection
from service.pipeline.switch_inputs import Written
from service.settings.types import OutputSettings

POLL_SECONDS = 0.5

MAX_LOGGED = 20
"""The largest number of unusable records that a start logs."""

Refuse = Callable[[TopicPartition, Sequence[Any], Sequence[Rejection]], Awaitable[None]]
"""Sends records of a topic partition as dead letters, if this instance is the one to do it."""

Take = Callable[[Sequence[Any]], list[Rejection]]
"""Adds the content of records, and returns why the others have none."""

log = structlog.get_logger("foreshock.written")


class WrittenWatch:
    """Reads one topic.

    Parameters
    ----------
    name
        What a record of the topic is, such as ``feedback``.
    topic
        The topic; "" for none.
    take
        Takes the records that have a value.
    counters
        The counters to increment.
    since_seconds
        The time span that a session begins with, in seconds; None for all that exists.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        take: Take,
        counters: ConsumerCounters,
        since_seconds: float | None = None,
    ) -> None:
        self._name = name
        self._topic = topic
        self._take = take
        self._counters = counters
        self._since_seconds = since_seconds
        self._positions: dict[TopicPartition, int] = {}

    async def catch_up(self, reader: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        """Read all records that exist; ``reader`` is a started consumer without a group."""
        if not self._topic:
            return
        tps = await self._partitions(admin)
        ends = await reader.end_offsets(tps)
        firsts = dict.fromkeys(tps, 0)
        if self._since_seconds is not None:
            since_ms = round((time.time() - self._since_seconds) * 1e3)
            found = await reader.offsets_for_times(dict.fromkeys(tps, since_ms))
            firsts = {tp: first.offset if (first := found.get(tp)) else ends[tp] for tp in tps}
        records = await read_back(reader, firsts, ends)
        refused = taken = 0
        for tp, batch in records.items():
            present, rejections = self._add(batch)
            for rejection in rejections[: max(0, MAX_LOGGED - refused)]:
                log.warning(
                    "a record that is no feedback or command is on its topic",
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=present[rejection.index].offset,
                    reason=rejection.reason,
                    detail=rejection.detail,
                )
            refused += len(rejections)
            taken += len(present) - len(rejections)
        self._positions = dict(ends)
        log.info("read what operators wrote", what=self._name, records=taken, refused=refused)

    async def follow(
        self,
        connect: Callable[[], AIOKafkaConsumer],
        admin: AIOKafkaAdminClient,
        refuse: Refuse,
        waits: Callable[[], Iterator[float]],
    ) -> None:
        """Read new records forever. A failure is counted, and reading goes on after a wait."""
        retries = waits()
        while self._topic:
            before = dict(self._positions)
            try:
                await self._follow(connect(), admin, refuse)
            except Exception as error:  # noqa: BLE001 - detection must continue
                if self._positions != before:
                    retries = waits()
                wait = next(retries)
                self._counters.written_failures[self._name] += 1
                log.warning(
                    "reading what operators write failed, retrying",
                    what=self._name,
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
            await close(f"the reader of {self._name}", reader.stop)

    async def _partitions(self, admin: AIOKafkaAdminClient) -> list[TopicPartition]:
        (described,) = await admin.describe_topics([self._topic])
        return [
            TopicPartition(self._topic, entry["partition"]) for entry in described["partitions"]
        ]

    def _add(self, records: Sequence[Any]) -> tuple[list[Any], list[Rejection]]:
        """Take the records with a value; return them, and why some have no content.

        A record without a value deletes one for compaction. It changes nothing.
        """
        present = [record for record in records if record.value is not None]
        return present, self._take(present)


def watches(
    written: Written, outputs: OutputSettings, counters: ConsumerCounters
) -> list[WrittenWatch]:
    """Return the watches of all that is written for the switches and the verdicts."""
    since = READ_SECONDS
    return [
        WrittenWatch(FEEDBACK, outputs.feedback, written.judgements.take, counters),
        WrittenWatch(COMMAND, outputs.commands, written.commands.take, counters),
        WrittenWatch(CASCADE, outputs.alerts, written.ladders.take, counters, since),
    ]
