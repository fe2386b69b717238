"""Follows the alerts that a service publishes to Kafka."""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from detectors.incidents.alerts import Alert
from service.pipeline.output import AlertKey, alert_key

MOST_KNOWN = 10_000
"""The number of alerts whose repeats are left out: the latest ones."""

_log = logging.getLogger("foreshock")


async def alerts(
    bootstrap: str,
    *,
    topic: str = "foreshock.alerts",
    group: str | None = None,
    beginning: bool = False,
    **client: Any,
) -> AsyncIterator[Alert]:
    """Yield each alert once, as the service publishes them; it never ends by itself.

    Repeats of the latest `MOST_KNOWN` alerts are left out. With a ``group``, an alert counts as
    handled when the next one is asked for, and its offset is then committed. A program that starts
    again continues after the last alert that it handled; the alert in work arrives again.

    Parameters
    ----------
    bootstrap
        The brokers, as ``host:port``, separated by commas.
    topic
        The topic of the alerts, ``outputs.alerts`` in the settings of the service.
    group
        The consumer group. None: every alert is delivered to this iterator, nothing is committed.
    beginning
        Where to begin without a committed offset: with the oldest alert that the topic keeps. By
        default with the next one.
    client
        More arguments of ``AIOKafkaConsumer``, such as ``security_protocol`` and ``ssl_context``.

    Raises
    ------
    aiokafka.errors.KafkaError
        The brokers cannot be reached at the start, or refuse to answer.
    """
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if beginning else "latest",
        **client,
    )
    known: OrderedDict[AlertKey, None] = OrderedDict()
    try:
        await consumer.start()
        async for record in consumer:
            alert = _decoded(record)
            if alert is not None and alert_key(alert) not in known:
                yield alert
                known[alert_key(alert)] = None
                if len(known) > MOST_KNOWN:
                    known.popitem(last=False)
            if group is not None:
                # Refused if another member owns the partition now: it begins with this alert.
                with suppress(CommitFailedError, IllegalStateError):
                    tp = TopicPartition(record.topic, record.partition)
                    await consumer.commit({tp: record.offset + 1})
    finally:
        await consumer.stop()


def _decoded(record: Any) -> Alert | None:
    """Return the alert of a record. One that is none is logged: it must not hide the next ones."""
    try:
        return msgspec.json.decode(record.value or b"", type=Alert)
    except msgspec.MsgspecError as error:
        place = (record.topic, record.partition, record.offset)
        _log.error("%s, partition %d, offset %d is no alert of this version: %s", *place, error)
        return None
