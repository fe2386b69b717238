"""The connections to Kafka that a session works with."""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct

from detectors.incidents.alerts import Alert
from service.outputs.publisher import Publisher


class Clients(Struct):
    """The connections of a session; all of them are started."""

    consumer: AIOKafkaConsumer
    reader: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    publisher: Publisher
    on_alert: Callable[[int, Alert], None] = lambda _partition, _alert: None
    """Called with each alert that is published; it must not block."""
