"""A program of the user's own, in small: it subscribes to the topics and keeps what it sees."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.incidents.alerts import Alert
from detectors.market_data.events import Trade
from detectors.symbol import Signal
from service.demo.broker import PARTITIONS
from service.demo.observations import Observations
from service.kafka.cluster.connection import client_options
from service.settings.types import Settings

_T = TypeVar("_T")


async def subscribe(settings: Settings, observations: Observations) -> None:
    """Follow alerts, signals and trades from their beginning, until cancelled.

    Raises
    ------
    KafkaError
        The broker does not answer.
    """
    take: dict[str, Callable[[bytes], None]] = {
        settings.outputs.alerts: _taker(Alert, observations.alert),
        settings.outputs.signals: _taker(Signal, observations.signal),
        settings.topics.trades: _taker(Trade, observations.trade),
    }
    consumer = AIOKafkaConsumer(
        **client_options(settings.kafka) | {"client_id": "foreshock-demo"},
        auto_offset_reset="earliest",
        fetch_max_wait_ms=round(settings.kafka.fetch_wait_seconds * 1e3),
    )
    try:
        await consumer.start()
        consumer.assign(
            [TopicPartition(topic, number) for topic in take for number in range(PARTITIONS)]
        )
        while True:
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                for record in records:
                    take[tp.topic](record.value)
    finally:
        await consumer.stop()


def _taker(kind: type[_T], take: Callable[[_T], None]) -> Callable[[bytes], None]:
    decode = msgspec.json.Decoder(kind).decode
    return lambda value: take(decode(value))
