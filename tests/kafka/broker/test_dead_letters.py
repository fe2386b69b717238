"""One record that is no event, however large, stops nothing."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import PARTITIONS, REQUIRED, Venue, caught_up
from tests.kafka.broker.test_restarts import owns

pytestmark = pytest.mark.kafka

MEBIBYTE = 1_048_576
LARGE = {
    "a key of 2 MB, compressed on its way in": (b"k" * 2_000_000, b"not JSON"),
    "a key of 2,000 bytes on a value just under the limit": (
        b"k" * 2_000,
        b"x" * (MEBIBYTE - 400),
    ),
    "a value of 2 MB, compressed on its way in": (b"AAA", b"x" * 2_000_000),
}


async def send(venue: Venue, key: bytes, value: bytes) -> None:
    """As a venue's own producer may, compressed."""
    producer = AIOKafkaProducer(
        bootstrap_servers=venue.kafka, compression_type="gzip", max_request_size=8 * MEBIBYTE
    )
    async with producer:
        await producer.send_and_wait(venue.topic("orders"), value, key=key, partition=0)


async def limit(venue: Venue, largest: int) -> None:
    """Let the topic of dead letters take no larger batches."""
    admin = AIOKafkaAdminClient(bootstrap_servers=venue.kafka)
    await admin.start()
    try:
        topic = venue.topic("deadletters")
        configs = {"max.message.bytes": str(largest)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    finally:
        await admin.close()


@pytest.mark.parametrize("what", LARGE)
async def test_a_large_record_that_is_no_event_stops_nothing(
    kafka: str, tmp_path: Path, market: Market, what: str
):
    key, value = LARGE[what]
    async with Venue(kafka, tmp_path, REQUIRED, TIME__IDLE_AFTER_MS="60000") as venue:
        service = venue.start()
        await service.wait_until("all is its own", owns(PARTITIONS))
        await send(venue, key, value)
        await venue.produce(market.events)
        await service.wait_until("everything is read", caught_up(REQUIRED))
        await venue.wait_for_alerts(market.alerts)
        await service.stop()
        (letter,) = await venue.records("deadletters")
    assert not service.log("session lost, reconnecting")
    headers = dict(letter.headers)
    assert headers["foreshock.reason"] in (b"not_json", b"too_large")
    assert int(headers["foreshock.size"]) == len(value)
    assert key.startswith(letter.key)
    assert value.startswith(letter.value)


@pytest.mark.parametrize("largest", [100_000, 20_000, 1_000, 50])
async def test_a_dead_letter_that_the_broker_refuses_for_its_size_is_cut_further(
    kafka: str, tmp_path: Path, market: Market, largest: int
):
    async with Venue(kafka, tmp_path, REQUIRED, TIME__IDLE_AFTER_MS="60000") as venue:
        service = venue.start()
        await service.wait_until("all is its own", owns(PARTITIONS))
        await limit(venue, largest)
        await send(venue, b"AAA", b"x" * 500_000)
        await send(venue, b"AAA", b"also no JSON")
        await venue.produce(market.events)
        await service.wait_until("everything is read", caught_up(REQUIRED))
        await venue.wait_for_alerts(market.alerts)
        await service.stop()
        letters = await venue.records("deadletters")
    lost = service.log("session lost, reconnecting")
    assert 1 <= len(lost) <= 4, json.dumps(lost)
    # One that was taken before the session was lost is repeated.
    offsets = {dict(letter.headers)["foreshock.offset"] for letter in letters}
    assert len(offsets) == (2 if largest > 50 else 0)
