"""Subscribers: the example against real topics, and every record against its schema."""

import asyncio
import gc
import json
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiokafka import AIOKafkaProducer

import foreshock
from examples.order_gateway import Switches
from examples.subscribe import follow_alerts, identity, pages, replay_alerts, show
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.markets import closing
from tests.kafka.broker.rig import OUTPUTS, STREAMS, Venue, uncommitted, until
from tests.schemas import header_problems, problems

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[3]
DOCUMENT = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())


@asynccontextmanager
async def running(work: Any):
    """Something that runs until it is cancelled; what it raises is raised."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Acted:
    """A program that acts on alerts, and breaks when it is told to."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.break_after = 10**9

    async def __call__(self, alert: dict[str, Any]) -> None:
        if len(self.alerts) == self.break_after:
            raise BrokenPipeError
        self.alerts.append(alert)


async def produce_alerts(kafka: str, topic: str, alerts: list[dict[str, Any]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for alert in alerts:
            await producer.send(topic, json.dumps(alert).encode(), key=alert["symbol"].encode())
        await producer.flush()


async def test_no_alert_is_passed_over_and_a_repeat_is_acted_on_once(
    kafka: str, tmp_path: Path, market: Market
):
    wanted = set(map(identity, market.alerts))
    async with Venue(kafka, tmp_path, partitions=2) as venue:
        topic, group = venue.topic("alerts"), f"{venue.prefix}-subscriber"

        async def all_is_committed() -> bool:
            return not await uncommitted(kafka, group, await venue.ends("alerts"))

        # Two owners of a partition that overlap for a moment: the same alerts twice.
        repeated = [alert for alert in market.alerts for _ in range(2)]
        await produce_alerts(kafka, topic, repeated)

        acted = Acted()
        acted.break_after = 4
        with pytest.raises(BrokenPipeError):
            await follow_alerts(kafka, group, acted, topic=topic)
        acted.break_after = 10**9
        async with running(follow_alerts(kafka, group, acted, topic=topic)):
            await until(all_is_committed, "every alert is committed")
            # What was seen is in memory: a repeat may be acted on again, after a restart only.
            first, then = acted.alerts[:4], list(map(identity, acted.alerts[4:]))
            assert len(then) == len(set(then))
            assert {*map(identity, first), *then} == wanted
            before = len(acted.alerts)
            later = {**market.alerts[0], "alert_id": "later"}
            await produce_alerts(kafka, topic, [market.alerts[-1], later])
            await until(all_is_committed, "the later one is committed")
        assert [alert["alert_id"] for alert in acted.alerts[before:]] == ["later"]
        # A program that starts anew has nothing to do: all is committed.
        async with running(follow_alerts(kafka, group, acted, topic=topic)):
            await produce_alerts(kafka, topic, [{**later, "alert_id": "last"}])
            await until(all_is_committed, "the last one is committed")
        assert [alert["alert_id"] for alert in acted.alerts[before:]] == ["later", "last"]


async def test_the_package_yields_each_alert_once_and_goes_on_after_the_last_one_handled(
    kafka: str, tmp_path: Path, market: Market, caplog: pytest.LogCaptureFixture
):
    async with Venue(kafka, tmp_path, partitions=1) as venue:
        topic, group = venue.topic("alerts"), f"{venue.prefix}-package"
        repeated = [alert for alert in market.alerts for _ in range(2)]
        await produce_alerts(kafka, topic, repeated)

        async def taken(number: int) -> list[str]:
            handled = []
            alerts = foreshock.alerts(kafka, topic=topic, group=group, beginning=True)
            async with aclosing(alerts):
                async for alert in alerts:
                    handled.append(identity(msgspec.to_builtins(alert)))
                    if len(handled) == number:
                        return handled
            raise AssertionError

        wanted = list(map(identity, market.alerts))
        assert await taken(3) == wanted[:3]
        # The third one was in work when the program stopped: it comes again.
        assert await taken(len(wanted) - 2) == wanted[2:]
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            await producer.send_and_wait(topic, b"no alert")
        await produce_alerts(kafka, topic, [{**market.alerts[0], "alert_id": "later"}])
        assert [its[0] for its in await taken(2)] == [wanted[-1][0], "later"]
    assert "is no alert of this version" in caplog.text


async def test_a_subscriber_that_is_cancelled_while_it_starts_leaves_nothing_open():
    connected = asyncio.Event()

    async def never_answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        stack.callback(writer.close)

    with ExitStack() as stack:
        async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            servers = f"{host}:{port}"
            for work in (
                follow_alerts(servers, "group", show),
                replay_alerts(servers, show, since_ns=0),
                Switches().follow(servers),
            ):
                connected.clear()
                async with running(work):
                    await connected.wait()
            stack.close()
            gc.collect()  # what was left open warns here, and a warning is an error


async def test_the_past_can_be_read_again_from_a_time(kafka: str, tmp_path: Path, market: Market):
    half = len(market.alerts) // 2
    async with Venue(kafka, tmp_path, partitions=2) as venue:
        topic = venue.topic("alerts")
        await produce_alerts(kafka, topic, market.alerts[:half])
        await asyncio.sleep(0.005)  # times of publication are milliseconds
        between_ns = time.time_ns()
        await produce_alerts(kafka, topic, market.alerts[half:])
        for since_ns, expected in ((0, market.alerts), (between_ns, market.alerts[half:])):
            acted = Acted()
            await replay_alerts(kafka, acted, since_ns=since_ns, topic=topic)
            assert sorted(map(identity, acted.alerts)) == sorted(map(identity, expected))
        acted = Acted()
        await replay_alerts(kafka, acted, since_ns=time.time_ns(), topic=topic)
        assert acted.alerts == []


async def test_all_that_a_real_run_writes_is_as_documented_and_can_be_subscribed_to(
    kafka: str, tmp_path: Path, market: Market
):
    partitions = 2
    async with Venue(kafka, tmp_path, STREAMS, partitions=partitions) as venue:
        await venue.send("orders", b"BTC-PERP", b"not JSON")
        await venue.produce(market.events)
        # Something on each of the other streams as well.
        await venue.produce(closing("BTC-PERP", market.events[-1].ts_event, STREAMS))
        service = venue.start()
        await service.wait_until(
            "everything was read",
            lambda m: (
                m.count("consumer_lag_records") == len(STREAMS) * partitions
                and m.total("consumer_lag_records") == 0
            ),
        )
        await service.stop()
        present = DOCUMENT["channels"].keys() & {*STREAMS, *OUTPUTS}
        records = {name: await venue.records(name) for name in present}
        switches = Switches(now_ns=lambda: 0)
        async with running(switches.follow(kafka, topic=venue.topic("killswitch"))):
            assert "not been read" in switches.verdict("BTC-PERP").why
            await asyncio.wait_for(switches.read.wait(), 20)
        example = await asyncio.create_subprocess_exec(
            *(sys.executable, ROOT / "examples" / "subscribe.py", "replay"),
            *("--servers", kafka, "--topic", venue.topic("alerts")),
            stdout=PIPE,
        )
        shown, _ = await example.communicate()

    for name in (*STREAMS, "alerts", "signals", "killswitch", "switchlog"):
        assert records[name], name
        for record in records[name]:
            if record.value != b"not JSON":
                assert problems(DOCUMENT, name, json.loads(record.value)) == [], name
    for name in ("deadletters", "snapshots"):
        assert records[name], name
        for record in records[name]:
            headers = {key: value.decode() for key, value in record.headers}
            if record.value is not None:
                assert header_problems(DOCUMENT, name, headers) == [], name

    alerts = [json.loads(record.value) for record in records["alerts"]]
    said = [
        f"{'page' if pages(alert) else 'note'} {alert['status']} {alert['severity']}"
        f" {alert['summary']}"
        for alert in alerts
    ]
    assert sorted(shown.decode().splitlines()) == sorted(said)

    told = [json.loads(record.value) for record in records["killswitch"]]
    assert {switch["cause"] for switch in told} >= {"started", "transition", "heartbeat"}
    assert "reduce_only" in {switch["state"] for switch in told}
    # Each partition of this recording is at its own time. A gateway has one clock.
    valid_until: dict[int, int] = {}
    last: dict[str, tuple[int, dict[str, Any]]] = {}
    for record, switch in zip(records["killswitch"], told, strict=True):
        ends = valid_until.get(record.partition, 0)
        valid_until[record.partition] = max(ends, switch["valid_until"])
        if switch["cause"] != "heartbeat":
            last[switch["symbol"]] = record.partition, switch
    for symbol, (number, switch) in last.items():
        now_ns = switches.now_ns()
        lasts = switch["until"] is None or now_ns < switch["until"]
        confirmed = now_ns < valid_until[number] - 2 * 10**9
        expected = switch["state"] if lasts and confirmed else "reduce_only"
        assert switches._verdict(symbol).state == expected, symbol
    assert switches.verdict("UNKNOWN").state == "reduce_only"
    logged = [json.loads(record.value) for record in records["switchlog"]]
    assert logged == [switch for switch in told if switch["cause"] != "heartbeat"]
