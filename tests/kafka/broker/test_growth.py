"""Partitions are added to the topics while the service runs."""

import json
import urllib.error
from pathlib import Path

import pytest

from tests.kafka.broker.administration import grow
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import (
    OUTPUTS,
    PARTITIONS,
    REQUIRED,
    Metrics,
    Service,
    Venue,
    caught_up,
    until,
)

pytestmark = pytest.mark.kafka

SECONDS = 30.0
"""Time until a change of the topics shows; on an idle machine about six seconds."""


async def ready(service: Service) -> str:
    """What /readyz says of the topics; "ok" if the service is ready."""
    try:
        await service.get("/readyz")
    except urllib.error.HTTPError as error:
        checks = json.loads(error.read())["checks"]
        return str(checks.get("topics", checks))
    return "ok"


async def until_ready_says(service: Service, words: str) -> None:
    """Wait until /readyz says something of the topics."""

    async def says() -> bool:
        return words in await ready(service)

    try:
        await until(says, f"/readyz says {words}", seconds=SECONDS)
    except pytest.fail.Exception as failure:
        pytest.fail(f"{failure.msg}, but {await ready(service)}", pytrace=False)


def assigned(number: int) -> object:
    """Whether a service owns so many partition numbers."""
    return lambda metrics: metrics.total("assigned_partitions") == number


async def test_partitions_are_added_to_one_topic_after_the_other(
    kafka: str, tmp_path: Path, market: Market
):
    first, second, third = market.parts(0.4, 0.7)
    async with Venue(
        kafka, tmp_path, REQUIRED, KAFKA__START="latest", TIME__IDLE_AFTER_MS="2000"
    ) as venue:
        orders, cancels = venue.topic("orders"), venue.topic("cancels")
        service = venue.start()
        await service.wait_until("it has started at the end", caught_up(REQUIRED))
        sent = await venue.produce(first)
        await service.wait_until("all is read", lambda m: m.total("records_total") == sent)

        await grow(venue, ["orders"])
        await until_ready_says(service, f"{orders} has {PARTITIONS + 1}, {cancels} has 12")
        assert "kafka-topics.sh" in await ready(service)
        (line,) = service.log(
            "some partitions are not read: the topics no longer have the same number of them"
        )
        assert line["not_read"] == {orders: 1}
        assert (await service.metrics()).total("unread_partitions", topic=orders) == 1
        sent += await venue.produce(second)
        await service.wait_until("the others go on", lambda m: m.total("records_total") == sent)
        assert (await service.metrics()).total("assigned_partitions") == PARTITIONS

        # A record of the new partition waits there.
        event = third[0]
        await venue._producer.client.force_metadata_update()
        await venue._producer.send_and_wait(orders, event.value, key=b"NEW", partition=PARTITIONS)
        await grow(venue, ["cancels", "trades"])
        await until_ready_says(service, f"{venue.topic('alerts')} (outputs.alerts) has 12")
        await grow(venue, OUTPUTS)
        await until_ready_says(service, "ok")

        def all_is_read(metrics: Metrics) -> bool:
            return (
                metrics.total("assigned_partitions") == PARTITIONS + 1
                and metrics.total("records_total") == sent + 1
                and metrics.total("consumer_lag_records") == 0
                and metrics.total("unread_partitions") == 0
            )

        await service.wait_until("the new partition is read, from its beginning", all_is_read)
        assert service.log("the topics have the same number of partitions again")
        assert not service.log("session lost, reconnecting")
        await service.stop()


async def test_two_instances_go_on_with_the_partitions_that_all_topics_have(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.5)
    async with Venue(kafka, tmp_path, REQUIRED, TIME__IDLE_AFTER_MS="2000") as venue:
        sent = await venue.produce(first)
        services = [venue.start(), venue.start()]
        for service in services:
            await service.wait_until("half is its own", assigned(PARTITIONS // 2))
        await grow(venue, ["trades"])
        for service in services:
            await until_ready_says(service, f"{venue.topic('trades')} has {PARTITIONS + 1}")
            await service.wait_until("half is its own", assigned(PARTITIONS // 2))
        sent += await venue.produce(second)

        async def read() -> bool:
            totals = [(await its.metrics()).total("records_total") for its in services]
            return sum(totals) >= sent

        await until(read, "all is read")
        await grow(venue, ["orders", "cancels", *OUTPUTS])

        async def shared() -> bool:
            totals = [(await its.metrics()).total("assigned_partitions") for its in services]
            return sum(totals) == PARTITIONS + 1

        await until(shared, "the new partition is owned")
        for service in services:
            assert not service.log("session lost, reconnecting")
            await service.stop()
