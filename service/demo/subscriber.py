"""A minimal subscriber: it reads the topics and records the messages."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.closing import Signal
from detectors.incidents.alerts import Alert
from detectors.market_data.events import Trade
from detectors.risk_watch.records import RiskRecord
from service.demo.broker import PARTITIONS
from service.demo.observations import Observations
from service.kafka.cluster.connection import client_options
from service.outputs.publisher import is_memory
from service.settings.types import Settings

_Message = TypeVar("_Message")


async def subscribe(settings: Settings, observations: Observations) -> None:
    """Read alerts, signals, records of risk and trades from the beginning, until cancelled.

    Raises
    ------
    KafkaError
        If the broker does not answer.
    """
    handlers: dict[str, Callable[[bytes], None]] = {
        settings.outputs.alerts: _handler(Alert, observations.alert),
        settings.outputs.signals: _handler(Signal, observations.signal),
        settings.topics.trades: _handler(Trade, observations.trade),
        settings.outputs.risk: _handler(RiskRecord, observations.risk),
    }
    consumer = AIOKafkaConsumer(
        **client_options(settings.kafka) | {"client_id": "foreshock-demo"},
        auto_offset_reset="earliest",
        fetch_max_wait_ms=round(settings.kafka.fetch_wait_seconds * 1e3),
    )
    try:
        await consumer.start()
        consumer.assign(
            [TopicPartition(topic, number) for topic in handlers for number in range(PARTITIONS)]
        )
        while True:
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                for record in records:
                    if tp.topic == settings.outputs.risk and is_memory(record.key):
                        continue  # what the watch keeps for its successor
                    handlers[tp.topic](record.value)
    finally:
        await consumer.stop()


def _handler(kind: type[_Message], handle: Callable[[_Message], None]) -> Callable[[bytes], None]:
    decode = msgspec.json.Decoder(kind).decode
    return lambda value: handle(decode(value))
