"""The risk of liquidations on a real broker: told once, also by one that takes over."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from detectors.risk_watch.flow_history import unpacked
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.records import RiskRecord
from service.exchange.scenarios.catalogue import scenario
from service.outputs.publisher import MEMORY_KEY
from tests.kafka.broker.markets import record
from tests.kafka.broker.rig import STREAMS, Service, Venue, foreshock, repeats, until

pytestmark = pytest.mark.kafka

SECOND = 1_000_000_000
BUILDING = scenario("leverage_buildup", start_seconds=200, length_seconds=300)
WINDOW = """
[[maintenance]]
symbols = ["*"]
reason = "upgrade"
from = 2000-01-01T00:00:00Z
until = 2100-01-01T00:00:00Z
"""
WITHOUT = """
[[overrides]]
symbols = ["*"]
min_relative_deviation = 0.0
"""


SLOW_MS = "5000"
"""On a busy machine a topic may be fetched seconds after the others."""


def is_memory(record: Any) -> bool:
    """Whether a record of the topic is what the watch keeps for its successor."""
    return bool(record.key.endswith(MEMORY_KEY))


async def forget(venue: Venue, name: str) -> None:
    """Delete all records of a topic, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=venue.kafka)
    await admin.start()
    try:
        ends = await venue.ends(name)
        await admin.delete_records({tp: RecordsToDelete(end) for tp, end in ends.items()})
    finally:
        await admin.close()


async def watching(service: Service) -> None:
    await service.wait_until("the risk is watched", lambda m: m.total("risk_watched") == 1)


async def test_the_records_of_a_service_and_of_its_successor_are_those_of_a_replay(
    kafka: str, tmp_path: Path
):
    directory = tmp_path / "recording"
    events = record(directory, BUILDING, 2, 560.0, 12.0, streams=STREAMS, seed=3)
    out = tmp_path / "risk.ndjson"
    done = foreshock("replay", directory, "--quiet", "--risk", out)
    assert done.returncode == 0, done.stderr
    expected = {
        (its["symbol"], its["side"], its["ts_event"]): its
        for its in map(json.loads, out.read_text().splitlines())
    }
    middle = events[0].ts_event + 300 * SECOND
    async with Venue(kafka, tmp_path, STREAMS, TIME__IDLE_AFTER_MS=SLOW_MS) as venue:
        service = venue.start()
        await watching(service)

        async def published() -> list[dict[str, object]]:
            return [json.loads(r.value) for r in await venue.records("risk") if not is_memory(r)]

        async def reached(ts_event: int) -> bool:
            return any(int(str(its["ts_event"])) >= ts_event for its in await published())

        for since in range(events[0].ts_event, middle, 50 * SECOND):
            # In steps that the signals keep up with.
            till = since + 50 * SECOND
            await venue.produce([its for its in events if since <= its.ts_event < till])
            await until(lambda at=since: reached(at + 25 * SECOND), "records come")
        service.kill()
        await forget(venue, "signals")  # what was learned from them is remembered
        service = venue.start()
        await watching(service)
        await venue.produce([its for its in events if its.ts_event >= middle])
        last = max(its[2] for its in expected)
        await until(lambda: reached(last - 20 * SECOND), "the successor goes on")
        await service.stop()
        await asked_in_the_middle_the_topics_tell_what_the_recording_tells(venue, directory, middle)
        kept = await venue.records("risk")
        alerts = await venue.alerts()
    assert repeats(alerts) == []
    records = [r for r in kept if not is_memory(r)]
    memories = [msgspec.json.decode(r.value, type=Memory) for r in kept if is_memory(r)]
    times = sorted(its.ts_event for its in memories if its.symbol == "BTC-PERP")
    assert len(set(times)) == len(times) == 2, times  # one of each owner, and none twice
    last = max((its for its in memories if its.symbol == "BTC-PERP"), key=lambda m: m.ts_event)
    # Prices since the beginning, of which the successor saw only what came after the kill.
    since = (last.ts_event - middle) // (10 * SECOND)
    assert len(unpacked(last.flow.mids)) > since + 10
    found = [json.loads(r.value) for r in records]
    keys = [(its["symbol"], its["side"], its["ts_event"]) for its in found]
    assert len(set(keys)) == len(keys)
    for r, its in zip(records, found, strict=True):
        assert r.key.decode() == f"{its['symbol']}|{its['side']}"
        assert set(its) == set(RiskRecord.__struct_fields__)
    # Both ends of the recording, and no gap: a record every ten seconds.
    for symbol, side in {key[:2] for key in expected}:
        times = sorted(at for *key, at in keys if key == [symbol, side])
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) <= 20 * SECOND
    # What depends on the positions alone is what a replay of the files says.
    common = [its for its in found if (its["symbol"], its["side"], its["ts_event"]) in expected]
    assert len(common) > 0.8 * len(found)
    for its in common:
        replayed = expected[its["symbol"], its["side"], its["ts_event"]]
        for name in ("mark_price", "open_interest", "coverage_ratio", "rungs"):
            assert its[name] == replayed[name], name


SHOCKS = {"BTC-PERP": -0.05, "ETH-PERP": 0.04}


async def what_if(venue: Venue, *source: str | Path) -> dict[str, Any]:
    """What the command answers to the shocks."""
    shocked = [f"--shock={symbol}={100 * move:g}%" for symbol, move in SHOCKS.items()]
    arguments = ["whatif", *source, *shocked, "--format", "json"]
    done = await asyncio.to_thread(lambda: foreshock(*arguments, **venue.settings))
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def of_positions(answer: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer that no impact of flow is in.

    What was learned of flow differs: these markets run faster than the clock, so signals come late.
    """
    sides = {
        (its["symbol"], its["side"]): its["generations"][0]
        for its in answer["after"]["sides"]
        if its["generations"][0] > 0
    }
    named = ("ts_event", "marks", "coverage_ratio")
    return {"sides": sides, **{name: answer[name] for name in named}}


async def asked_in_the_middle_the_topics_tell_what_the_recording_tells(
    venue: Venue, directory: Path, middle: int
) -> None:
    moment = f"{datetime.fromtimestamp(middle // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
    read = await what_if(venue, "--kafka", "--at", moment)
    recorded = await what_if(venue, "--directory", directory, "--at", moment)
    assert sum(read["after"]["generations"]) > 0
    assert of_positions(read) == of_positions(recorded)


async def the_service_answers_what_its_topics_tell(venue: Venue, service: Service) -> None:
    async def asked() -> dict[str, Any]:
        body = json.dumps({"shocks": SHOCKS}).encode()
        answer: dict[str, Any] = json.loads(await service.post("/api/what-if", body))["answer"]
        return answer

    expected = of_positions(await what_if(venue, "--kafka"))

    async def told() -> bool:
        return of_positions(await asked()) == expected

    await until(told, "the service has come as far as its topics")


async def test_a_broken_topic_of_risk_does_not_stop_the_partitions(kafka: str, tmp_path: Path):
    directory = tmp_path / "recording"
    events = record(directory, BUILDING, 2, 60.0, 12.0, streams=STREAMS, seed=3)
    async with Venue(kafka, tmp_path, STREAMS, LIMITS__BUFFERED_EVENTS="100") as venue:
        for topic in ("signals", "risk", "positions"):
            for value in (b"{", b"{}", b"[]", None):
                await venue.send(topic, b"BTC-PERP", value)
        service = venue.start()
        await watching(service)
        await venue.produce(events)
        await service.wait_until("all is read", lambda m: m.total("events_total") > 1_000)
        await service.stop()


async def test_a_window_holds_a_cascade_back_until_a_reload_removes_it(kafka: str, tmp_path: Path):
    directory = tmp_path / "recording"
    # A cascade is certain there: it does not depend on which signals came in time for the impact.
    events = record(directory, BUILDING, 2, 560.0, 12.0, streams=STREAMS, seed=8)
    begin = events[0].ts_event
    file = tmp_path / "foreshock.toml"
    file.write_text(WINDOW)
    settings = {"TIME__IDLE_AFTER_MS": SLOW_MS, "RELOAD__WATCH_SECONDS": "0.1", "CONFIG": str(file)}
    async with Venue(kafka, tmp_path, STREAMS, **settings) as venue:

        async def records() -> list[RiskRecord]:
            return [
                msgspec.json.decode(r.value, type=RiskRecord)
                for r in await venue.records("risk")
                if not is_memory(r)
            ]

        async def reached(ts_event: int) -> bool:
            return any(its.ts_event >= ts_event for its in await records())

        async def produced(first: int, last: int) -> None:
            """Produce in steps that the signals keep up with: they teach the impact."""
            for start in range(first, last, 40):
                since, until_ = begin + start * SECOND, begin + (start + 40) * SECOND
                await venue.produce([its for its in events if since <= its.ts_event < until_])
                await until(lambda at=since: reached(at + 15 * SECOND), f"{start} s are watched")

        async def cascades() -> list[dict[str, object]]:
            return [its for its in await venue.alerts() if its["detector"] == "cascade"]

        async def reloaded() -> bool:
            return bool(service.log("configuration reloaded"))

        service = venue.start()
        await watching(service)
        await produced(0, 520)  # a cascade is near for a minute from about 500 s on
        await service.wait_until(
            "it is held back",
            lambda m: m.total("suppressed_alarms_total", detector="cascade") > 0,
        )
        assert await cascades() == []
        file.write_text(WITHOUT)
        await until(reloaded, "the window is removed")
        await produced(520, 560)
        await until(cascades, "the incident opens")
        await the_service_answers_what_its_topics_tell(venue, service)
        await service.stop()
        assert {its.suppressed for its in await records()} == {None, "maintenance: upgrade"}
