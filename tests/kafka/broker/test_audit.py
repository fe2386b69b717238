"""On a real broker: an audit of topics finds what an audit of the same records in files finds."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from junitparser import JUnitXml
from msgspec.structs import replace

from detectors.kill_switch.switch import KillSwitch, encode
from detectors.market_data.events import Margin
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate_with_risk
from service.pipeline.wire import ALL_STREAMS
from service.replay.files import STREAM_NAMES, EventWriter
from tests.kafka.broker.rig import Event, Venue, environment, foreshock

pytestmark = pytest.mark.kafka

SCRIPT = Path(__file__).parents[3] / "deploy" / "ci" / "audit.sh"
SECOND = 1_000_000_000
OWN = ("orders", "cancels", "trades", "references", "margins", "positions", "statuses",
       "accounts", "liquidations", "insurance", "acks", "fees")  # fmt: skip


def recorded(directory: Path, events: list[Any]) -> list[Event]:
    """The events as lines, after they were written to the files of a directory."""
    with EventWriter(directory) as writer:
        for event in events:
            writer.write(event)
    written = []
    for stream in STREAM_NAMES.values():
        for line in (directory / f"{stream}.ndjson").read_bytes().splitlines():
            its = json.loads(line)
            key = its.get("symbol", its.get("account", "")).encode()
            written.append(Event(stream, its["ts_event"], key, line))
    return written


def audit(tmp_path: Path, *arguments: str | Path, **settings: str) -> dict[str, Any]:
    """The findings of a run, as JSON has them."""
    out = tmp_path / "audit.json"
    done = foreshock("audit", *arguments, "--json", out, **settings)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(out.read_bytes())
    return found


async def test_topics_and_files_give_the_same_findings(kafka: str, tmp_path: Path):
    assert set(OWN) == set(ALL_STREAMS)
    market = scenario("cascade", start_seconds=20.0, length_seconds=60.0)
    events = [
        event
        for event in simulate_with_risk(market, seed=1, symbols=2, duration_ns=60 * SECOND)
        if not isinstance(event, Truth)
    ]
    start = events[0].ts_event
    since, until = start + 10 * SECOND, start + 50 * SECOND
    # Margins from before the span hold within it; what is earlier or later than it is not read.
    within = [
        event
        for event in events
        if since <= event.ts_event < until or (isinstance(event, Margin) and event.ts_event < since)
    ]
    assert any(isinstance(event, Margin) for event in within)
    directory = _written(tmp_path / "within", within)
    switches = [encode(its) for its in rearmed_by_itself(since + 5 * SECOND)]
    (directory / "switches.ndjson").write_bytes(b"\n".join(switches))
    (directory / "alerts.ndjson").write_bytes(b"")  # the topic is there, and empty
    expected = audit(tmp_path, directory)

    venue = Venue(kafka, tmp_path, OWN, partitions=2)
    venue.settings |= {f"TOPICS__{name.upper()}": venue.topic(name) for name in OWN}
    async with venue:
        await venue.produce(recorded(tmp_path / "all", events))
        for value in switches:
            await venue.send("switchlog", b"BTC-PERP", value)
        for stream in ("orders", "liquidations"):
            await venue.send(stream, b"X", b"no event")
        span = [f"--{name}={_iso(at)}" for name, at in (("from", since), ("to", until))]
        found = audit(tmp_path, "--kafka", *span, **venue.settings)
        in_ci = by_script(tmp_path, span, venue.settings)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            groups = {group for group, _ in await admin.list_consumer_groups()}
        finally:
            await admin.close()
        early = foreshock("audit", "--kafka", "--to", "2001-01-01", **venue.settings)

    (suite,) = JUnitXml.fromfile(str(in_ci / "audit.xml"))
    assert [case.name for case in suite] == [f"{r['number']} {r['name']}" for r in found["rows"]]
    assert json.loads((in_ci / "audit.json").read_bytes())["rows"] == found["rows"]
    assert found["events"] == expected["events"]
    assert found["rows"] == expected["rows"]
    assert sum(row["outcome"] != "not_tested" for row in found["rows"]) > 10
    assert next(r for r in found["rows"] if r["name"] == "rearmed")["outcome"] == "fail"
    refused = {its["name"].split(",")[0]: its["refused"] for its in found["files"]}
    assert sum(refused.values()) == 2
    assert venue.prefix not in groups
    assert early.returncode == 1
    assert "have no event from the beginning to 2001-01-01 00:00:00 UTC" in early.stderr


def test_topics_that_do_not_exist_and_brokers_that_do_not_answer_are_named(kafka: str):
    names = {f"TOPICS__{name.upper()}": f"none.{name}" for name in OWN}
    there = {"KAFKA__BOOTSTRAP_SERVERS": kafka}
    absent = foreshock("audit", "--kafka", **names, **there)
    assert absent.returncode == 1
    assert "none of the topics none.orders, none.cancels" in absent.stderr
    away = foreshock("audit", "--kafka", KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert away.returncode == 1
    assert "127.0.0.1:1" in away.stderr
    assert "Traceback" not in away.stderr


def rearmed_by_itself(at: int) -> list[KillSwitch]:
    """A trip that ends without an operator."""
    tripped = KillSwitch(
        symbol="BTC-PERP", state="tripped", ts_event=at, until=None, reason="drop", alert_id="",
        valid_until=at, since=at, by="foreshock", cause="transition", sequence=1, previous="",
    )  # fmt: skip
    later = at + 10 * SECOND
    return [tripped, replace(tripped, state="armed", ts_event=later, since=later, sequence=2)]


def by_script(tmp_path: Path, span: list[str], settings: dict[str, str]) -> Path:
    """Run the job of deploy/ci with the command of this environment; return its results."""
    since, until = (word.partition("=")[2] for word in span)
    claims = tmp_path / "venue.toml"
    claims.write_text("")
    variables = environment(**settings) | {"AUDIT_FROM": since, "AUDIT_TO": until}
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPT, claims, tmp_path / "results"], env=variables, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return tmp_path / "results"


def _written(directory: Path, events: list[Any]) -> Path:
    recorded(directory, events)
    return directory


def _iso(at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns // SECOND, UTC)
    assert at_ns % SECOND == 0
    return at.isoformat()
