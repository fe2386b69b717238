"""Holds back records whose schema is not loaded, and only their topic partition.

Nothing waits for the registry: a topic partition is set back to the first such record and paused,
until its schema is there or the registry has said that it does not have it.
"""

from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.mapping.records import AnyDecoder
from service.pipeline.framing import PREFIX_BYTES, schema_id
from service.registry.registry import Registry

MOST_AT_ONCE = 8
"""How many schemas are asked for at once for one topic partition."""

log = structlog.get_logger("foreshock.registry")


class SchemaGate:
    """Lets through the records that can be decoded.

    Parameters
    ----------
    consumer
        The consumer that reads the records.
    registry
        Loads schemas; None if no format needs any.
    """

    def __init__(self, consumer: AIOKafkaConsumer, registry: Registry | None) -> None:
        self._consumer = consumer
        self._registry = registry
        self._waiting: dict[TopicPartition, list[int]] = {}
        self.forget()

    def admit(self, tp: TopicPartition, records: list[Any], decoder: AnyDecoder[Any]) -> list[Any]:
        """Return the records before the first whose schema is not loaded; hold the others back."""
        registry = self._registry
        if registry is None or not decoder.needs_schemas:
            return records
        prefixes = dict.fromkeys(its.value[:PREFIX_BYTES] for its in records if its.value)
        numbers = {its: schema_id(its) for its in prefixes}
        unknown = [
            number
            for number in numbers.values()
            if number is not None and not registry.schemas.knows(number)
        ]
        if not unknown:
            return records
        wanted = unknown[:MOST_AT_ONCE]
        registry.want(wanted)
        first = next(
            index
            for index, its in enumerate(records)
            if its.value and numbers[its.value[:PREFIX_BYTES]] in unknown
        )
        self._consumer.seek(tp, records[first].offset)
        self._consumer.pause(tp)
        self._waiting[tp] = wanted
        log.info("records wait for a schema", topic=tp.topic, partition=tp.partition,
                 offset=records[first].offset, schema=unknown[0])  # fmt: skip
        return records[:first]

    def release(self, may_resume: Callable[[TopicPartition], bool]) -> None:
        """Read on where the schema is there, but where another reason to pause remains."""
        registry = self._registry
        if registry is None:
            return
        for tp, numbers in [*self._waiting.items()]:
            if not registry.schemas.knows(numbers[0]):
                registry.want(numbers)  # another gate may have given all up
                continue
            del self._waiting[tp]
            if may_resume(tp):
                self._consumer.resume(tp)

    def forget(self) -> None:
        """Forget what waits: other topic partitions are assigned."""
        self._waiting.clear()
        if self._registry is not None:
            self._registry.give_up()
