"""Stopped, killed, joined and left: no alert is lost, and none is told twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.kafka.cluster.inspection import create_missing
from service.settings.load import load_settings
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import (
    PARTITIONS,
    REQUIRED,
    Alert,
    Metrics,
    Service,
    Venue,
    caught_up,
    environment,
    identity,
    repeats,
)

pytestmark = pytest.mark.kafka

# The market runs faster than the clock here: a topic that is quiet for half a second is not idle.
PATIENT = {"TIME__IDLE_AFTER_MS": "60000"}


def assert_undisturbed(alerts: list[Alert], market: Market) -> None:
    """These are the alerts of an undisturbed run, each told once."""
    assert repeats(alerts) == []
    assert {identity(alert) for alert in alerts} == {identity(alert) for alert in market.alerts}


def owns(partitions: float) -> Callable[[Metrics], bool]:
    """Whether a service owns so many partition numbers."""
    return lambda metrics: metrics.total("assigned_partitions") == partitions


async def in_the_middle(service: Service) -> None:
    """Wait until there are alerts, snapshots and commits, and all that was sent is read."""
    await service.wait_until(
        "alerts, snapshots and commits",
        lambda m: (
            caught_up(REQUIRED)(m)
            and m.total("alerts_published_total")
            and m.total("snapshots_written_total")
            and m.total("commits_total")
        ),
    )


async def test_stopped_in_the_middle_and_started_again_it_carries_on(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.5)
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        sent = await venue.produce(first)
        service = venue.start()
        await in_the_middle(service)
        await service.stop()
        told = await venue.alerts()
        assert 0 < len(told) < len(market.alerts)
        assert await venue.uncommitted() < sent / 2
        # More comes while it is away; and it is asked to stop while still working on it.
        await venue.produce(second)
        service = venue.start()
        await service.wait_until("it reads on", lambda m: m.total("records_total"))
        await service.stop()
        service = venue.start()
        await venue.wait_for_alerts(market.alerts)
        await service.stop()
        assert_undisturbed(await venue.alerts(), market)


async def test_asked_to_stop_before_it_has_begun_it_stops(kafka: str, tmp_path: Path):
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        service = venue.start()
        await service.wait_until("it answers", lambda _: True)
        await service.stop()


async def test_killed_twice_it_loses_no_alert_and_repeats_none(
    kafka: str, tmp_path: Path, market: Market
):
    first, second, third, fourth = market.parts(0.45, 0.65, 0.85)
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        await venue.produce(first)
        service = venue.start()
        await in_the_middle(service)
        for part in (second, third):
            told = (await service.metrics()).total("alerts_published_total")
            await venue.produce(part)
            await service.wait_until(
                "more alerts", lambda m, told=told: m.total("alerts_published_total") > told
            )
            service.kill()
            service = venue.start()
            await service.wait_until("it is back", caught_up(REQUIRED))
        assert len(service.log("restored from snapshots")) == PARTITIONS
        await venue.produce(fourth)
        await venue.wait_for_alerts(market.alerts)
        await service.stop()
        assert_undisturbed(await venue.alerts(), market)


async def test_partitions_move_between_two_instances_and_nothing_is_lost(
    kafka: str, tmp_path: Path, market: Market
):
    first, second, third = market.parts(0.45, 0.7)
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        await venue.produce(first)
        one = venue.start()
        await in_the_middle(one)
        two = venue.start()
        await venue.produce(second[: len(second) // 2])
        for service in (one, two):
            await service.wait_until("half is its own", owns(PARTITIONS / 2))
        await venue.produce(second[len(second) // 2 :])
        await two.stop()
        await venue.produce(third)
        await venue.wait_for_alerts(market.alerts)
        await one.wait_until("all is its own again", owns(PARTITIONS))
        await one.stop()
        assert_undisturbed(await venue.alerts(), market)


async def test_frozen_and_replaced_it_loses_nothing_when_it_goes_on(
    kafka: str, tmp_path: Path, market: Market
):
    first, second, third, fourth = market.parts(0.4, 0.6, 0.8)
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        await venue.produce(first)
        one, two = venue.start(), venue.start()
        for service in (one, two):
            await service.wait_until("half is its own", owns(PARTITIONS / 2))
        await venue.produce(second)
        two.freeze()
        await one.wait_until("all is its own", owns(PARTITIONS))
        await venue.produce(third)
        await one.wait_until("it goes on for both", caught_up(REQUIRED))
        two.thaw()
        for service in (one, two):
            await service.wait_until("half is its own", owns(PARTITIONS / 2))
        await venue.produce(fourth)
        await one.stop()
        await venue.wait_for_alerts(market.alerts)
        await two.stop()
        alerts = await venue.alerts()
    # While two believe that they own a partition, both may tell of the same alert.
    assert {identity(alert) for alert in alerts} == {identity(a) for a in market.alerts}


async def test_an_optional_topic_that_comes_later_joins_what_is_there(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.6)
    # Nothing will come of the new topic, and nothing should wait for it for long.
    async with Venue(kafka, tmp_path, REQUIRED, TIME__IDLE_AFTER_MS="2000") as venue:
        await venue.produce(first)
        margins = {"TOPICS__MARGINS": venue.topic("margins")}
        service = venue.start(**margins)
        await in_the_middle(service)
        await service.stop()
        told = await venue.alerts()
        variables = environment(**{**venue.settings, **margins})
        await create_missing(load_settings(None, variables), PARTITIONS, None)
        await venue.produce(second)
        service = venue.start(**margins)
        await service.wait_until("everything is read", caught_up((*REQUIRED, "margins")))
        # What is read waits for the new topic to count as idle before it is scored.
        await service.wait_until("it tells more", lambda m: m.total("alerts_published_total"))
        await service.stop()
        alerts = await venue.alerts()
    assert len(service.log("restored from snapshots")) == PARTITIONS
    assert not service.log("starting without snapshots")
    assert repeats(alerts) == []
    assert len(alerts) > len(told)


async def test_state_of_other_settings_is_not_carried_on(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.6)
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        await venue.produce(first)
        service = venue.start()
        await in_the_middle(service)
        await service.stop()
        told = await venue.alerts()
        await venue.produce(second)
        service = venue.start(LIMITS__ACCOUNTS="9999")
        await service.wait_until("everything is read", caught_up(REQUIRED))
        await service.stop()
        alerts = await venue.alerts()

    windows = service.log("no usable snapshot: replaying a warm-up window without publishing")
    assert windows
    assert all(
        "saved under other detection settings" in why
        for line in windows
        for why in line["left_out"]
    )
    assert sum(sum(line["records"].values()) for line in windows) > 0
    new = [alert for alert in alerts if identity(alert) not in set(map(identity, told))]
    # What is told anew is of the time after, and by a detector that is warm.
    assert new
    assert min(alert["ts_event"] for alert in new) > max(alert["ts_event"] for alert in told)
    assert repeats(alerts) == []
