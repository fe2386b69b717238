"""Another configuration for a service that is running: by a changed file, and by SIGHUP."""

from pathlib import Path

import pytest

from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import REQUIRED, Service, Venue, caught_up, identity, repeats, until

pytestmark = pytest.mark.kafka

MAINTENANCE = """
[[maintenance]]
symbols = ["*"]
reason = "upgrade"
from = 2000-01-01T00:00:00Z
until = 2100-01-01T00:00:00Z
"""
AS_BEFORE = """
[[overrides]]
symbols = ["*"]
false_alarms_per_day = 1000
"""
# Only a reload saves and commits here, and the market runs faster than the clock.
SLOW = {
    "STATE__COMMIT_SECONDS": "3600",
    "STATE__SNAPSHOT_SECONDS": "3600",
    "KAFKA__SESSION_TIMEOUT_SECONDS": "30",
    "TIME__IDLE_AFTER_MS": "60000",
    "RELOAD__WATCH_SECONDS": "0.1",
}
EDGE_NS = 30_000_000_000


def mount(folder: Path, version: str, toml: str) -> None:
    """Give a folder's file another content as Kubernetes does with a ConfigMap."""
    (folder / version).mkdir()
    (folder / version / "foreshock.toml").write_text(toml, "utf-8")
    (folder / "..tmp").symlink_to(version)
    (folder / "..tmp").replace(folder / "..data")
    if not (folder / "foreshock.toml").exists():
        (folder / "foreshock.toml").symlink_to("..data/foreshock.toml")


async def reloaded(service: Service, successful: float) -> None:
    await service.wait_until(
        "the configuration was read",
        lambda m: m.total("config_last_reload_successful") == successful,
    )


async def logged(service: Service, event: str, times: int = 1) -> dict:
    """Wait for a line of the log to come so many times; the last."""

    async def said() -> bool:
        return len(service.log(event)) >= times

    await until(said, f"the log says: {event}")
    return service.log(event)[-1]


async def test_a_running_service_takes_on_another_configuration(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.5)
    mount(tmp_path, "..1", MAINTENANCE)
    file = str(tmp_path / "foreshock.toml")
    async with Venue(kafka, tmp_path, REQUIRED, **SLOW, CONFIG=file) as venue:
        await venue.produce(first)
        service = venue.start()
        await service.wait_until("the first half was read", caught_up(REQUIRED))
        before = await service.metrics()
        assert before.total("suppressed_alarms_total", reason_kind="maintenance") > 0
        assert before.total("snapshots_written_total") == 0

        mount(tmp_path, "..2", AS_BEFORE)
        line = await logged(service, "configuration reloaded")
        assert [change.partition(": ")[0] for change in line["changes"]] == [
            "overrides[0]",
            "maintenance[0]",
        ]
        after = await service.metrics()
        assert after.total("snapshots_written_total") == after.total("tracked_symbols") > 0
        assert await venue.alerts() == []

        # What is wrong is refused whole, whoever asks.
        mount(tmp_path, "..3", "[detection]\nfalse_alarms_per_day = 0\n")
        await reloaded(service, 0)
        service.reload()
        line = await logged(service, "configuration not reloaded, running settings kept", 2)
        assert "detection.false_alarms_per_day = 0" in line["reason"]

        # A crash between the change and the next commit changes nothing of what is told.
        service.kill()
        mount(tmp_path, "..4", AS_BEFORE + "[http]\nhost = '0.0.0.0'\n")
        service = venue.start(HTTP__HOST="127.0.0.1")
        await venue.produce(second)
        await service.wait_until("everything was read", caught_up(REQUIRED))
        assert service.log("starting without snapshots") == []
        mount(tmp_path, "..5", AS_BEFORE + "[http]\nweb_config_file = 'other'\n")
        line = await logged(service, "settings need a restart")
        assert line["changes"] == ['http.web_config_file: "" -> "other"']
        assert (await service.metrics()).total("config_restart_required_settings") == 1
        await service.stop()
        alerts = await venue.alerts()

    assert repeats(alerts) == []
    middle = second[0].ts_event
    assert min(alert["ts_event"] for alert in alerts) > middle - EDGE_NS
    # Where nothing went on at the change, the rest is as if there had never been a window.
    disturbed = {a["symbol"] for a in market.alerts if middle - EDGE_NS < a["ts_event"] < middle}
    running = {a["symbol"] for a in market.alerts if a["starts_at"] < middle < (a["ends_at"] or 0)}
    symbols = {a["symbol"] for a in market.alerts} - disturbed - running
    assert symbols
    assert {identity(a) for a in alerts if a["symbol"] in symbols} == {
        identity(a) for a in market.alerts if a["symbol"] in symbols and a["ts_event"] >= middle
    }
