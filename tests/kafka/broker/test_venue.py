"""A market that ends, and a venue that says so, on a real Kafka."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from tests.kafka.broker.rig import (
    DETECTION,
    REQUIRED,
    Alert,
    Event,
    Venue,
    caught_up,
    events,
    foreshock,
    identity,
    repeats,
)

pytestmark = pytest.mark.kafka

SECOND = 1_000_000_000
QUIET = {"FEED__QUIET_SECONDS": "10"}
STATES = (*REQUIRED, "statuses")


@dataclass
class Recorded:
    """Events, and the alerts that replaying them gives."""

    events: list[Event]
    alerts: list[Alert]


def recorded(folder: Path, name: str, seconds: float, streams: tuple[str, ...]) -> Recorded:
    """A scenario of some symbols, and no event after its end."""
    directory, out = folder / "recording", folder / "alerts.ndjson"
    simulate_to_directory(
        directory,
        scenario=scenario(name, start_seconds=120, length_seconds=60, symbols=(0, 1)),
        seed=7,
        symbols=8,
        duration_seconds=seconds,
        events_per_second=8.0,
    )
    for file in directory.glob("*.ndjson"):
        if file.stem not in streams:
            file.unlink()
    done = foreshock("replay", directory, "--quiet", "--alerts", out, **DETECTION, **QUIET)
    assert done.returncode == 0, done.stderr
    return Recorded(events(directory), list(map(json.loads, out.read_text().splitlines())))


async def test_every_incident_resolves_when_the_market_falls_silent(kafka: str, tmp_path: Path):
    market = recorded(tmp_path, "cancel_burst", 124.0, REQUIRED)
    last_ns = market.events[-1].ts_event
    ends = [alert["ends_at"] for alert in market.alerts if alert["status"] == "resolved"]
    assert max(ends) > last_ns, "an incident is open when the events end"
    async with Venue(kafka, tmp_path, REQUIRED, **QUIET) as venue:
        await venue.produce(market.events)
        service = venue.start()
        # A drift ends after half an hour of silence.
        wanted = [alert for alert in market.alerts if alert["detector"] != "drift"]
        await venue.wait_for_alerts(wanted)
        assert (await service.metrics()).total("symbols_with_incident") == 0
        await service.stop()
        service = venue.start()  # and a restart does not tell it again
        await service.wait_until("it is back", caught_up(REQUIRED))
        await service.stop()
        alerts = await venue.alerts()
    assert repeats(alerts) == []
    assert {identity(a) for a in alerts if a["detector"] != "drift"} == set(map(identity, wanted))


async def test_statuses_from_kafka_pause_a_symbol_as_those_from_files_do(
    kafka: str, tmp_path: Path
):
    market = recorded(tmp_path, "auction", 260.0, STATES)
    auctioned = {json.loads(e.value)["symbol"] for e in market.events if e.stream == "statuses"}
    assert len(auctioned) == 2, "the scenario is about two symbols"
    async with Venue(kafka, tmp_path, STATES, **QUIET) as venue:
        await venue.produce(market.events)
        service = venue.start()
        await service.wait_until("everything was read", caught_up(STATES))
        metrics = await service.metrics()
        await venue.wait_for_alerts([a for a in market.alerts if a["ends_at"] is None])
        await service.stop()
        signals = [json.loads(record.value) for record in await venue.records("signals")]
    assert metrics.total("statuses_total", state="auction") == 2
    assert metrics.total("stale_orders_total") == 0
    begin = market.events[0].ts_event
    within = [
        signal
        for signal in signals
        if signal["symbol"] in auctioned
        and begin + 122 * SECOND < signal["ts_event"] < begin + 178 * SECOND
    ]
    assert len(within) > 50
    states = {reading["status"] for its in within for reading in its["detectors"].values()}
    assert states == {"paused"}
