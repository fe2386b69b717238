"""What the venue's conduct makes of a stream, on a real broker: told once, also by a successor."""

import json
from pathlib import Path

import msgspec
import pytest

from detectors.market_data.events import Margin
from service.exchange.scenarios.catalogue import scenario
from tests.kafka.broker.markets import record
from tests.kafka.broker.rig import STREAMS, Service, Venue, events, foreshock, repeats, until

pytestmark = pytest.mark.kafka

SECOND = 1_000_000_000
SLOW_MS = "5000"
CHANGES = {30: 0.02, 60: 0.04, 120: 0.02, 150: 0.03}
"""The second of each change of BTC-PERP's margins, which nobody announces, and its new rate."""

KILLED = 90


async def watching(service: Service) -> None:
    await service.wait_until("the venue is watched", lambda m: m.total("risk_watched") == 1)


def changed(directory: Path, begin: int) -> None:
    """Add changes of margins to a recording."""
    path = directory / "margins.ndjson"
    lines = path.read_bytes().splitlines()
    for second, rate in CHANGES.items():
        margin = Margin(
            ts_event=begin + second * SECOND,
            symbol="BTC-PERP",
            initial_margin_rate=2 * rate,
            maintenance_margin_rate=rate,
        )
        lines.append(msgspec.json.encode(margin))
    lines.sort(key=lambda line: json.loads(line)["ts_event"])
    path.write_bytes(b"\n".join(lines) + b"\n")


async def test_each_change_of_margins_is_stated_once_as_a_replay_states_it(
    kafka: str, tmp_path: Path
):
    directory = tmp_path / "recording"
    begin = record(directory, scenario("calm"), 2, 180.0, 8.0, streams=STREAMS, seed=3)[0].ts_event
    changed(directory, begin)
    out, told = tmp_path / "parameters.ndjson", tmp_path / "alerts.ndjson"
    done = foreshock("replay", directory, "--quiet", "--parameters", out, "--alerts", told)
    assert done.returncode == 0, done.stderr
    expected = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(its["ts_event"] - begin) // SECOND for its in expected] == [31, 61, 121, 151]
    silent = [its for its in map(json.loads, told.read_text().splitlines()) if its["update"] == 0]
    assert "margin_change" in {its["detector"] for its in silent}
    recorded = events(directory)
    middle = begin + KILLED * SECOND
    settings = {"TIME__IDLE_AFTER_MS": SLOW_MS, "TOPICS__LIQUIDATIONS": ""}
    async with Venue(kafka, tmp_path, STREAMS, **settings) as venue:

        async def stated(count: int) -> bool:
            return len(await venue.records("parameter_changes")) >= count

        service = venue.start()
        await watching(service)
        await venue.produce([its for its in recorded if its.ts_event < middle])
        await until(lambda: stated(2), "the first changes are stated")
        metrics = await service.metrics()
        assert metrics.total("conduct_records_published_total", output="parameter_changes") == 2
        assert metrics.total("conduct_no_input", input="liquidations") >= 1
        assert metrics.total("conduct_no_input", detector="execution_quality") == 0
        service.kill()
        service = venue.start()
        await watching(service)
        await venue.produce([its for its in recorded if its.ts_event >= middle])
        await until(lambda: stated(4), "the successor states the others")
        await service.stop()
        records = await venue.records("parameter_changes")
        alerts = await venue.alerts()
    found = sorted((json.loads(r.value) for r in records), key=lambda its: its["ts_event"])
    assert [its["change_id"] for its in found] == [its["change_id"] for its in expected]
    assert [r.key.decode() for r in records] == [json.loads(r.value)["change_id"] for r in records]
    for its, replayed in zip(found, expected, strict=True):
        for name in ("effective_at", "values", "at_once_accounts", "at_once_notional", "turns"):
            assert its[name] == replayed[name], name
    assert repeats(alerts) == []
    opened = {its["alert_id"] for its in alerts if its["detector"] == "margin_change"}
    assert opened == {its["alert_id"] for its in silent if its["detector"] == "margin_change"}
