"""From records on a real Kafka to alerts, metrics and dead letters."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.kafka.kafka import free_port
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import (
    DETECTION,
    REQUIRED,
    STREAMS,
    Metrics,
    Venue,
    caught_up,
    foreshock,
    identity,
    repeats,
    until,
)
from tests.kafka_server import unavailable

pytestmark = pytest.mark.kafka


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[int]:
    """A real Prometheus that scrapes a port every second; gives its own port."""
    if shutil.which("prometheus") is None:
        unavailable("prometheus is not installed")
    config = folder / "prometheus.yml"
    jobs = [
        {
            "job_name": "foreshock",
            "scrape_interval": "1s",
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        }
    ]
    config.write_text(json.dumps({"scrape_configs": jobs}))  # JSON is YAML
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def answer(port: int, query: str) -> float | None:
    """What Prometheus says of a query with one result; None while there is none."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=5) as response:
        result = json.load(response)["data"]["result"]
    return float(result[0]["value"][1]) if result else None


async def test_thirty_two_symbols_on_three_topics_are_watched_and_scraped(
    kafka: str, tmp_path: Path, wide_market: Market
):
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        records = await venue.produce(wide_market.events)
        service = venue.start()
        with prometheus(tmp_path, service.port) as port:
            await service.wait_until("all is accounted for", lambda m: outcome(m, records))

            async def scraped() -> bool:
                scored = answer(port, 'foreshock_events_total{outcome="scored"}')
                lag = answer(port, "sum(foreshock_consumer_lag_records)")
                return (scored, lag) == (records, 0)

            await until(scraped, "Prometheus answers with what was scored")
        metrics = await service.metrics()
        await service.stop()
        alerts = await venue.alerts()
        left = await venue.uncommitted()

    assert metrics.total("records_total") == records == len(wide_market.events)
    assert metrics.total("tracked_symbols") == 32
    assert metrics.total("alerts_published_total") == len(alerts)
    assert {identity(alert) for alert in alerts} == {identity(a) for a in wide_market.alerts}
    assert repeats(alerts) == []
    assert left == 0


def outcome(metrics: Metrics, records: int) -> bool:
    """Whether every record was read, and became something."""
    return (
        caught_up(REQUIRED)(metrics)
        and metrics.total("records_total") == records
        and metrics.total("events_total") == records
    )


async def test_kafka_and_files_give_the_same_alerts(
    kafka: str, tmp_path: Path, full_market: Market
):
    async with Venue(kafka, tmp_path, STREAMS) as venue:
        await venue.produce(full_market.events)
        service = venue.start()
        await service.wait_until("everything was read", caught_up(STREAMS))
        await service.stop()
        alerts = await venue.alerts()
    assert Counter(map(identity, alerts)) == Counter(map(identity, full_market.alerts))
    # Not only who they are but all that they say, evidence and all.
    assert sorted(alerts, key=identity) == sorted(full_market.alerts, key=identity)


def test_two_replays_are_the_same_to_the_byte(tmp_path: Path, full_market: Market):
    written = []
    for name in ("first", "second"):
        out, signals = tmp_path / f"{name}.ndjson", tmp_path / f"{name}-signals.ndjson"
        options = ("--quiet", "--alerts", out, "--signals", signals)
        assert foreshock("replay", full_market.directory, *options, **DETECTION).returncode == 0
        written.append((out.read_bytes(), signals.read_bytes()))
    assert written[0] == written[1]
    assert written[0][0]
    assert written[0][1]


NOW = 1_767_225_600_000_000_000
GOOD = {
    "ts_event": NOW,
    "symbol": "BTC-PERP",
    "order_id": "1",
    "side": "buy",
    "price": 1.5,
    "quantity": 2,
}
BAD: list[tuple[str, bytes | None]] = [
    ("not_json", b"\xff\x00 not JSON"),
    ("not_an_object", b"[1, 2]"),
    ("missing_field", json.dumps({k: v for k, v in GOOD.items() if k != "symbol"}).encode()),
    ("empty", None),
    ("too_large", json.dumps({**GOOD, "note": "x" * 2_000}).encode()),
]


async def test_bad_records_become_dead_letters_and_stop_nothing(kafka: str, tmp_path: Path):
    orders = [
        json.dumps({**GOOD, "order_id": str(i), "ts_event": NOW + i}).encode() for i in range(6)
    ]
    mixed: list[tuple[str | None, bytes | None]] = []
    for good, (reason, bad) in zip(orders, BAD, strict=False):
        mixed += [(None, good), (reason, bad)]
    async with Venue(kafka, tmp_path, REQUIRED, WIRE__MAX_RECORD_BYTES="1024") as venue:
        sent: dict[int, tuple[str, bytes | None]] = {}
        for reason, value in mixed:
            where = await venue.send("orders", b"BTC-PERP", value)
            partition = where.partition
            if reason is not None:
                sent[where.offset] = (reason, value)
        service = venue.start()
        await service.wait_until("all is accounted for", lambda m: outcome(m, len(mixed)))
        metrics = await service.metrics()
        await service.stop()
        letters = await venue.records("deadletters")
        left = await venue.uncommitted()

    topic = venue.topic("orders")
    assert left == 0
    assert metrics.total("events_total", outcome="scored") == len(BAD)
    assert metrics.total("events_total", outcome="rejected") == len(BAD)
    for reason, _ in BAD:
        assert metrics.total("dead_letters_total", topic=topic, reason=reason) == 1
    found: dict[int, tuple[str, bytes | None]] = {}
    for letter in letters:
        headers = {name: value.decode() for name, value in letter.headers}
        assert (headers["foreshock.topic"], int(headers["foreshock.partition"])) == (
            topic,
            partition,
        )
        assert headers["foreshock.detail"]
        assert letter.key == b"BTC-PERP"
        offset = int(headers["foreshock.offset"])
        found[offset] = (headers["foreshock.reason"], letter.value or None)
    assert found == sent


async def test_a_topic_far_behind_pauses_the_others_until_it_comes(
    kafka: str, tmp_path: Path, market: Market
):
    ahead = [event for event in market.events if event.stream != "trades"]
    behind = [event for event in market.events if event.stream == "trades"]
    # More than are placed at once when the simulated exchange opens.
    bounds = {"LIMITS__BUFFERED_EVENTS": "500", "TIME__IDLE_AFTER_MS": "60000"}
    async with Venue(kafka, tmp_path, REQUIRED, **bounds) as venue:
        # Trades that are there keep the topic from counting as idle.
        await venue.produce(behind[: len(behind) // 20])
        await venue.produce(ahead)
        service = venue.start()
        await service.wait_until("others are paused", lambda m: m.total("paused_partitions") > 0)
        held = await service.metrics()
        await venue.produce(behind[len(behind) // 20 :])
        await venue.wait_for_alerts(market.alerts)
        await service.wait_until("nothing is paused", lambda m: m.total("paused_partitions") == 0)
        ended = await service.metrics()
        await service.stop()
        alerts = await venue.alerts()
    assert held.total("consumer_lag_records") > 0
    assert ended.total("events_total", outcome="late") == 0
    assert {identity(alert) for alert in alerts} == {identity(a) for a in market.alerts}
