"""The broker goes away: the service waits for it, goes on, and nothing is late or lost."""

import asyncio
import urllib.error
from pathlib import Path

import pytest

from deploy.kafka.kafka import KafkaServer
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import PARTITIONS, REQUIRED, Service, Venue, caught_up, until
from tests.kafka.broker.test_restarts import assert_undisturbed, in_the_middle, owns

pytestmark = pytest.mark.kafka

IDLE_SECONDS = 8.0


async def away(server: KafkaServer, seconds: float) -> None:
    """Stop the broker, and start it again after some seconds."""
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)


async def test_an_outage_of_the_broker_makes_no_event_late(
    kafka_server: KafkaServer, tmp_path: Path, market: Market
):
    first, second = market.parts(0.5)
    patience = {"TIME__IDLE_AFTER_MS": f"{IDLE_SECONDS * 1e3:.0f}"}
    session = {"KAFKA__SESSION_TIMEOUT_SECONDS": "120"}
    servers = kafka_server.bootstrap_servers
    async with Venue(servers, tmp_path, REQUIRED, **patience, **session) as venue:
        service = venue.start()
        await service.wait_until("all is its own", owns(PARTITIONS))
        sent = await venue.produce(first)
        await service.wait_until("it is read", lambda m: m.total("records_total") == sent)
        await away(kafka_server, 2 * IDLE_SECONDS)
        # One producer is back before the others, though sooner than silence takes to count.
        sent += await venue.produce(event for event in second if event.stream == "orders")
        await service.wait_until("the orders are read", lambda m: m.total("records_total") == sent)
        await asyncio.sleep(3.0)
        await venue.produce(event for event in second if event.stream != "orders")
        await service.wait_until("everything is read", caught_up(REQUIRED))
        await venue.wait_for_alerts(market.alerts)
        late = (await service.metrics()).total("events_total", outcome="late")
        await service.stop()
        assert_undisturbed(await venue.alerts(), market)
    assert late == 0


async def test_an_outage_that_outlasts_the_session_ends_no_process(
    kafka_server: KafkaServer, tmp_path: Path, market: Market
):
    first, second = market.parts(0.5)
    patience = {"TIME__IDLE_AFTER_MS": "60000"}
    async with Venue(kafka_server.bootstrap_servers, tmp_path, REQUIRED, **patience) as venue:
        await venue.produce(first)
        service = venue.start()
        await in_the_middle(service)
        await away(kafka_server, 25.0)
        await venue.produce(second)
        await service.wait_until("everything is read", caught_up(REQUIRED))
        await venue.wait_for_alerts(market.alerts)
        await service.stop()
        assert_undisturbed(await venue.alerts(), market)


async def test_a_start_while_the_broker_is_away_waits_for_it(
    kafka_server: KafkaServer, tmp_path: Path
):
    async with Venue(kafka_server.bootstrap_servers, tmp_path, REQUIRED) as venue:
        await asyncio.to_thread(kafka_server.stop)
        service = venue.start()
        await until(lambda: _waits(service), "it waits and says so")
        assert await service.get("/healthz")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            await service.get("/readyz")
        given_up = venue.start()
        await until(lambda: _waits(given_up), "another one waits")
        await given_up.stop()
        await asyncio.to_thread(kafka_server.start)
        await service.wait_until("all is its own", owns(PARTITIONS))
        await service.stop()


async def _waits(service: Service) -> bool:
    said = service.log("not connected, trying again")
    return len(said) > 1 and all("no Kafka broker answers at" in line["reason"] for line in said)
