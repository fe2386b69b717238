"""What the commands of an operator read from the topics of the service, and write to them.

These are short-lived clients without a consumer group, beside a service that runs.
"""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from detectors.incidents.alerts import Alert
from service.cancellation import close
from service.errors import OperatorError
from service.kafka.clients import consumer_options, producer_options
from service.kafka.cluster.inspection import inspect_topics
from service.kafka.cluster.topics import Topic
from service.kafka.read_back import read_back
from service.logs import muted
from service.outputs.publisher import Published, Publisher
from service.pipeline.feedback import Feedback
from service.settings.types import Settings

RECENT_SECONDS = 7 * 86_400
"""Alerts of this time are searched first: most alerts are judged within days."""

_decode = msgspec.json.Decoder(Alert).decode


async def read_records(
    settings: Settings, outputs: Sequence[str], since_ms: Mapping[str, int]
) -> dict[str, list[Any]]:
    """Return the records of output topics that exist, in the order of partition and offset.

    Parameters
    ----------
    outputs
        The names of the topics in ``settings.outputs``.
    since_ms
        The first timestamp to read, in milliseconds, by name; the beginning for the others.

    Raises
    ------
    OperatorError
        No broker answers, or the broker refuses.
    """
    found = await find_topics(settings)
    names = {output: getattr(settings.outputs, output) for output in outputs}
    records: dict[str, list[Any]] = {}
    async with consumer(settings) as reader:
        for output, name in names.items():
            if name in found:
                since = since_ms.get(output)
                records[output] = await _read(reader, name, found[name].partitions, since)
    return records


async def find_alert(settings: Settings, alert_id: str) -> Alert:
    """Return the last firing alert with an id from the alerts topic.

    Raises
    ------
    OperatorError
        The topic has none, no broker answers, or the broker refuses.
    """
    name = settings.outputs.alerts
    found = await find_topics(settings)
    require(found, name, "outputs.alerts")
    recent_ms = round((time.time() - RECENT_SECONDS) * 1e3)
    async with consumer(settings) as reader:
        for since_ms in (recent_ms, None):
            records = await _read(reader, name, found[name].partitions, since_ms)
            if alerts := list(_with_id(records, alert_id)):
                return max(alerts, key=lambda alert: (alert.status == "firing", alert.ts_event))
    raise OperatorError(
        f"ALERT_ID {alert_id}: none of the {len(records)} records on the topic {name} "
        "(outputs.alerts) has it; copy the alert_id of an alert, of its notification or of its "
        "incident on the console"
    )


def _with_id(records: Iterable[Any], alert_id: str) -> Iterator[Alert]:
    raw = alert_id.encode()
    for record in records:
        if raw not in (record.value or b""):
            continue
        try:
            alert = _decode(record.value)
        except msgspec.MsgspecError:
            continue  # not an alert of Foreshock
        if alert.alert_id == alert_id:
            yield alert


async def send_feedback(settings: Settings, feedback: Feedback) -> None:
    """Write what an operator judged to the feedback topic.

    Raises
    ------
    OperatorError
        No broker answers, or the broker refuses.
    """
    require(await find_topics(settings), settings.outputs.feedback, "outputs.feedback")
    producer = AIOKafkaProducer(**producer_options(settings.kafka))
    with muted("aiokafka"):
        try:
            await producer.start()
            await Publisher(producer, settings.outputs, Published()).feedback(feedback)
        except (KafkaError, OSError) as error:
            raise refused(settings.outputs.feedback, error) from None
        finally:
            await close("the producer", producer.stop)


async def find_topics(settings: Settings) -> Mapping[str, Topic]:
    """Return the topics of the cluster, by name. Raises OperatorError if no broker answers."""
    return (await inspect_topics(settings)).topics


def require(found: Mapping[str, Topic], name: str, key: str) -> None:
    """Raise OperatorError unless a topic exists; ``key`` is its setting."""
    if not name:
        raise OperatorError(f'{key} = "": set it to the name of the topic')
    if name not in found:
        raise OperatorError(
            f"the topic {name} ({key}) does not exist; `foreshock topics --create` creates it"
        )


@asynccontextmanager
async def consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Provide a consumer without a group. Raises OperatorError if Kafka refuses it."""
    reader = AIOKafkaConsumer(**consumer_options(settings.kafka), enable_auto_commit=False)
    with muted("aiokafka"):
        try:
            await reader.start()
            yield reader
        except (KafkaError, OSError) as error:
            raise refused("the topics", error) from None
        finally:
            await close("the consumer", reader.stop)


def refused(what: str, error: BaseException) -> OperatorError:
    """Return the error that says that Kafka refuses access to something."""
    reason = str(error) or type(error).__name__
    return OperatorError(
        f"Kafka refuses access to {what}: {reason}; `foreshock topics` shows missing topics and "
        "permissions"
    )


async def _read(
    consumer: AIOKafkaConsumer, name: str, partitions: int, since_ms: int | None
) -> list[Any]:
    tps = [TopicPartition(name, number) for number in range(partitions)]
    ends = await consumer.end_offsets(tps)
    firsts = dict.fromkeys(tps, 0)
    if since_ms is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
        firsts = {tp: at.offset if (at := found.get(tp)) else ends[tp] for tp in tps}
    records = await read_back(consumer, firsts, ends)
    return [record for tp in tps for record in records[tp]]
