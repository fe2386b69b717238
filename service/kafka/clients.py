"""The connections to Kafka that a session works with."""

from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct

from detectors.incidents.alerts import Alert
from service.formats.schemas import Schemas
from service.kafka.cluster.connection import client_options
from service.outputs.publisher import Publisher
from service.registry.registry import Registry
from service.settings.types import KafkaSettings

METADATA_MILLISECONDS = 5_000
"""The interval at which clients refresh the partitions of the topics; it limits the delay until an
added partition is noticed."""


class Clients(Struct):
    """The connections of a session; all of them are started."""

    consumer: AIOKafkaConsumer
    reader: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    publisher: Publisher
    on_alert: Callable[[int, Alert], None] = lambda _partition, _alert: None
    """Called with each alert that is published; it must not block."""
    registry: Registry | None = None
    """Loads the schemas of records; None if no format needs any."""

    @property
    def schemas(self) -> Schemas | None:
        """The schemas of the registry."""
        return self.registry.schemas if self.registry is not None else None


def consumer_options(
    kafka: KafkaSettings, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the options of every consumer; ``options`` is a result of ``client_options``."""
    return {
        **(options or client_options(kafka)),
        "auto_offset_reset": "earliest",
        "isolation_level": kafka.isolation_level,
        "metadata_max_age_ms": METADATA_MILLISECONDS,
    }


def producer_options(
    kafka: KafkaSettings, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the options of the producer; ``options`` as in ``consumer_options``.

    A batch of signals waits until the previous batch is sent, and the loop waits with it. So there
    is no linger time, and a batch has room for all signals of a poll.
    """
    return {
        **(options or client_options(kafka)),
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": 0,
        "max_batch_size": 524_288,
        "metadata_max_age_ms": METADATA_MILLISECONDS,
    }
