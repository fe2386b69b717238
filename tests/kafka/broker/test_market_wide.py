"""Several symbols at once, in partitions and processes apart: one incident, told once."""

import json
from pathlib import Path

import pytest

from service.exchange.scenarios.catalogue import scenario
from tests.kafka.broker.markets import record
from tests.kafka.broker.rig import REQUIRED, Event, Service, Venue, repeats, until

pytestmark = pytest.mark.kafka

SETTINGS = {
    "DETECTION__FALSE_ALARMS_PER_DAY": "5",
    "DETECTION__QUIET_SECONDS": "60",
    "TIME__IDLE_AFTER_MS": "60000",
}
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def left_market(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Four symbols that makers leave after a quarter of an hour."""
    left = scenario("market_wide", start_seconds=900, length_seconds=60)
    folder = tmp_path_factory.mktemp("left") / "recording"
    return record(folder, left, 4, 1_050.0, 40.0, streams=REQUIRED, seed=1)


async def watching(*services: Service) -> Service:
    """The service that watches the market as a whole, once there is one."""

    async def found() -> Service | None:
        watch = [s for s in services if (await s.metrics()).total("market_watched")]
        return watch[0] if len(watch) == 1 else None

    return await until(found, "one watches the market")  # type: ignore[no-any-return]


async def test_one_incident_of_the_market_from_two_processes_survives_the_one_that_told(
    kafka: str, tmp_path: Path, left_market: list[Event]
):
    begin = left_market[0].ts_event
    first = [event for event in left_market if event.ts_event < begin + 925 * SECOND]
    async with Venue(kafka, tmp_path, REQUIRED, **SETTINGS) as venue:
        services = [venue.start(), venue.start()]
        for service in services:
            await service.wait_until(
                "half is its own", lambda m: m.total("assigned_partitions") == 6
            )
        owner = await watching(*services)
        await venue.produce(first)

        async def told(status: str) -> bool:
            alerts = await venue.alerts()
            return any(a["symbol"] == "*" and a["status"] == status for a in alerts)

        await until(lambda: told("firing"), "the market's incident is told")
        counts = await owner.metrics()
        assert counts.total("market_wide_symbols") >= 3
        assert counts.total("incidents_total", detector="market_wide") == 1
        owner.kill()
        services.remove(owner)
        services.append(venue.start())
        owner = await watching(*services)
        await owner.wait_until(
            "it goes on from there", lambda m: m.total("market_wide_symbols") >= 2
        )
        await venue.produce(left_market[len(first) :])
        await until(lambda: told("resolved"), "the market's incident is over")
        for service in services:
            await service.stop()
        records = await venue.records("alerts")
        alerts, switches = await venue.alerts(), await venue.records("killswitch")
    assert repeats(alerts) == []
    opened, resolved = [alert for alert in alerts if alert["symbol"] == "*"]
    assert (opened["detector"], opened["severity"]) == ("market_wide", "critical")
    assert resolved["alert_id"] == opened["alert_id"]
    members = {r.partition for r in records if r.key != b"*"}
    assert len(members) >= 3
    assert {r.partition for r in records if r.key == b"*"} == {0}
    venue_wide = [json.loads(record.value) for record in switches if record.key == b"*"]
    assert {switch["state"] for switch in venue_wide} == {"armed"}, "only operators move it"


async def test_its_settings_change_while_the_service_runs(
    kafka: str, tmp_path: Path, left_market: list[Event]
):
    begin = left_market[0].ts_event
    file = tmp_path / "foreshock.toml"
    file.write_text("[market]\nmin_symbols = 1000\n", "utf-8")
    watched = {**SETTINGS, "CONFIG": str(file), "RELOAD__WATCH_SECONDS": "0.1"}
    async with Venue(kafka, tmp_path, REQUIRED, **watched) as venue:
        service = venue.start()
        await watching(service)
        await venue.produce([e for e in left_market if e.ts_event < begin + 925 * SECOND])

        async def symbols() -> set[str]:
            return {alert["symbol"] for alert in await venue.alerts()}

        async def enough() -> bool:
            return len(await symbols()) >= 3

        await until(enough, "three symbols are told of")
        before = await symbols()
        file.write_text("[market]\nmin_symbols = 3\n", "utf-8")

        async def told() -> bool:
            return "*" in await symbols()

        await until(told, "the market's incident is told")
        await service.stop()
    assert "*" not in before
