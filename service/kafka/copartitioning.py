"""Handles topics that get more partitions while the service runs.

A partition number is read only if every topic has it, because the events of a symbol must be in the
same partition number of every topic. While an operator adds partitions to one topic after the
other, Foreshock continues with the numbers that all topics have.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from msgspec import Struct
from msgspec.structs import replace

from service.kafka.clients import Clients
from service.kafka.cluster.topics import Topic, examine
from service.kafka.partition import by_number
from service.settings.types import Settings

COMPARE_SECONDS = 1.0
"""The interval at which partition counts are compared, in seconds. The clients learn of new
partitions every five seconds."""

log = structlog.get_logger("foreshock.consumer")


class _Common(Struct, frozen=True):
    """The metadata of a cluster, reduced to the partitions that all of some topics have."""

    partitions: Mapping[str, set[int] | None]

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions[topic]


class CopartitionedAssignor(RangePartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Kafka's Range assignor, over the partition numbers that every subscribed topic has.

    Range divides each topic separately. With unequal counts, one member would get the orders of a
    symbol and another member its cancels. This assignor has the name of Range, and the same result
    if the counts are equal. So members of both kinds can share a group.
    """

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> Any:
        """Assign partitions to members; ``cluster`` and ``members`` are those of aiokafka."""
        topics = {topic for its in members.values() for topic in its.subscription}
        known = {topic: cluster.partitions_for_topic(topic) for topic in topics}
        common = set.intersection(*([set(its) for its in known.values() if its] or [set()]))
        partitions = {topic: its and its & common for topic, its in known.items()}
        return super().assign(_Common(partitions), members)


class PartitionCounts:
    """The partition counts of the topics, compared while a session runs.

    Parameters
    ----------
    settings
        The settings of the service.
    topics
        The topic of each stream that is read.
    clients
        The clients of the session.
    first_partitions
        The partition count of the input topics when the process started; None if unknown.

    Attributes
    ----------
    unread
        The number of partitions of each input topic that are not read, because other topics lack
        them.
    problems
        The problems of the topics, as sentences that say how to fix them.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, str],
        clients: Clients,
        first_partitions: int | None = None,
    ) -> None:
        self._first_partitions = first_partitions
        self._settings = settings
        self._inputs = list(topics.values())
        self._clients = clients
        self._outputs: dict[str, int] = {}
        self._compare_at = 0.0
        self.unread: dict[str, int] = {}
        self.problems: tuple[str, ...] = ()

    async def refresh(self) -> None:
        """Compare the counts once a second, and log changes. Raises KafkaError."""
        now = time.monotonic()
        if now < self._compare_at:
            return
        self._compare_at = now + COMPARE_SECONDS
        consumer = self._clients.consumer
        inputs = {name: len(consumer.partitions_for_topic(name) or ()) for name in self._inputs}
        # The request waits for an output topic that does not exist, so ask only if the result
        # matters.
        if not self._outputs or min(inputs.values()) > min(self._outputs.values()):
            self._outputs = await self._clients.publisher.partitions()
        if min(inputs.values()) > 0:  # 0: not known now
            self._compare(inputs)

    def _compare(self, inputs: Mapping[str, int]) -> None:
        counts = {**inputs, **self._outputs}
        common = min(counts.values())
        self.unread = {name: count - common for name, count in inputs.items()}
        problems: tuple[str, ...] = ()
        if any(self.unread.values()):
            topics = {name: Topic(name, count, {}) for name, count in counts.items()}
            problems = examine(self._settings, topics).problems
        if problems and problems != self.problems:
            log.warning(
                "some partitions are not read: the topics no longer have the same number of them",
                read=common,
                not_read={name: count for name, count in self.unread.items() if count},
                problems=list(problems),
            )
        elif self.problems and not problems:
            log.info("the topics have the same number of partitions again", partitions=common)
        self.problems = problems

    def settings_of(self, number: int, settings: Settings) -> Settings:
        """Return the settings to start a partition number with.

        A partition number added after the start of the process is read from its beginning.
        """
        if self._first_partitions is None or number < self._first_partitions:
            return settings
        return replace(settings, kafka=replace(settings.kafka, start="earliest"))

    def readable(self, assigned: Iterable[TopicPartition]) -> set[TopicPartition]:
        """Return the assigned partitions of the numbers that every input and output topic has."""
        return {
            tp
            for number, tps in by_number(assigned).items()
            if len(tps) == len(self._inputs)
            and all(number < count for count in self._outputs.values())
            for tp in tps
        }
