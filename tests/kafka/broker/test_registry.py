"""Avro and Protobuf through a schema registry, by ``foreshock run`` on a real Kafka."""

import json
import time
import urllib.error
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner

from tests.kafka.broker.rig import Metrics, Service, Venue, until
from tests.registry.schemas_of_venue import (
    ORDERS,
    F,
    avro,
    avro_order,
    framed,
    proto,
    proto_file,
    proto_order,
    serialized,
)
from tests.registry.stand_in import StandIn, listening, registry

pytestmark = pytest.mark.kafka

CONFIG = (
    ORDERS.replace("{topic}", "{prefix}.orders").replace("{format}", "avro")
    + """
[[mappings]]
stream = "trades"
topics = ["{prefix}.trades"]
format = "protobuf"
[mappings.fields]
ts_event = "time"
symbol = "symbol"
trade_id = "id"
side = {{path = "side", values = {{BUY = "buy", SELL = "sell"}}}}
price = "price"
quantity = "size"

[[mappings]]
stream = "positions"
topics = ["{prefix}.positions"]
format = "avro"
[mappings.fields]
ts_event = "time"
symbol = "symbol"
account = "account"
quantity = "quantity"
entry_price = "entry_price"

[registry]
url = "{url}"
timeout_seconds = 1
"""
)
ACCOUNT = {"name": "account", "type": ["null", "string"], "default": None}
FIRST, ADDED = avro_order(), avro_order(ACCOUNT)
REMOVED, SHORT = avro_order(without="nothing", time="timestamp-micros"), avro_order(without="size")
POSITION = {
    "type": "record",
    "name": "Position",
    "fields": [
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "symbol", "type": "string"},
        {"name": "account", "type": "string"},
        {"name": "quantity", "type": "double"},
        {"name": "entry_price", "type": ["null", "double"]},
    ],
}
TRADE, LATER = proto_file(), proto_file(("venue_flag", 9, F.TYPE_BOOL))  # type: ignore[arg-type]
PARTITIONS = 2


def in_partition(number: int) -> str:
    """A symbol whose records go to a partition number."""
    numbers = list(range(PARTITIONS))
    names = (f"S{n}" for n in range(100))
    return next(
        its for its in names if DefaultPartitioner()(its.encode(), numbers, numbers) == number
    )


SYMBOLS = tuple(in_partition(number) for number in range(PARTITIONS))


class Registered(Venue):
    """A venue with orders in Avro, trades in Protobuf and cancels in JSON."""

    def __init__(self, kafka: str, folder: Path, url: str) -> None:
        config = folder / "venue.toml"
        super().__init__(
            kafka,
            folder,
            ("orders", "cancels", "trades", "positions"),
            partitions=PARTITIONS,
            CONFIG=str(config),
            TIME__IDLE_AFTER_MS="200",
        )
        config.write_text(CONFIG.format(prefix=self.prefix, url=url), "utf-8")
        self.sent = 0

    async def order(self, number: int, schema: Any, symbol: str, **changes: Any) -> None:
        at = time.time_ns() // 1_000
        is_micros = schema is REMOVED
        value = {
            "time": at if is_micros else at // 1_000, "symbol": symbol, "id": self.sent,
            "side": "BUY", "price": Decimal("100.00"), "size": 1.0,
        } | changes  # fmt: skip
        await self.raw("orders", symbol, avro(number, schema, value))

    async def trade(self, number: int, file: Any, symbol: str, **changes: Any) -> None:
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        value = proto_order(
            time={"seconds": seconds, "nanos": nanos}, symbol=symbol, id=self.sent, **changes
        )
        await self.raw("trades", symbol, proto(number, file, value))

    async def position(self, number: int, symbol: str) -> None:
        value = {
            "time": time.time_ns() // 1_000_000, "symbol": symbol, "account": "a1",
            "quantity": 2.0, "entry_price": 100.0,
        }  # fmt: skip
        await self.raw("positions", symbol, avro(number, POSITION, value))

    async def cancel(self, symbol: str) -> None:
        event = {"ts_event": time.time_ns(), "symbol": symbol, "order_id": "none"}
        await self.raw("cancels", symbol, json.dumps(event).encode())

    async def raw(self, stream: str, symbol: str, value: bytes) -> None:
        await self.send(stream, symbol.encode(), value)
        self.sent += 1

    def lags(self, metrics: Metrics) -> dict[str, list[float]]:
        """The unread records of each partition number, by stream; empty until all are known."""
        if metrics.count("consumer_lag_records") != len(self.streams) * PARTITIONS:
            return {}
        return {
            stream: [
                metrics.total("consumer_lag_records", topic=self.topic(stream), partition=str(its))
                for its in range(PARTITIONS)
            ]
            for stream in sorted(self.streams)
        }

    def all_is_read(self, metrics: Metrics) -> bool:
        lags = self.lags(metrics)
        return bool(lags) and not any(map(any, lags.values()))


def lags(**unread: list[int]) -> dict[str, list[int]]:
    streams = ("cancels", "orders", "positions", "trades")
    return dict.fromkeys(streams, [0] * PARTITIONS) | unread


async def readiness(service: Service) -> str:
    try:
        return await service.get("/readyz")
    except urllib.error.HTTPError as error:
        return error.read().decode()


def put(its: StandIn) -> None:
    for number, schema in enumerate((FIRST, ADDED, REMOVED, SHORT), 1):
        its.put(number, schema)
    its.put(6, POSITION)
    its.put(11, serialized(TRADE), "PROTOBUF")
    its.put(12, serialized(LATER), "PROTOBUF")


async def test_schemas_change_and_the_registry_is_away_at_the_start_and_later(
    kafka: str, tmp_path: Path
):
    async with registry() as its:
        put(its)
    one, other = SYMBOLS
    async with Registered(kafka, tmp_path, its.url) as venue:
        # The registry is away at the start.
        await venue.order(1, FIRST, one)
        await venue.trade(11, TRADE, one)
        await venue.position(6, one)
        await venue.cancel(one)
        await venue.cancel(other)
        service = venue.start()
        await service.wait_until(
            "the registry fails",
            lambda its: (
                its.total("registry_failures_total") >= 2
                and its.total("pending_schemas") == 3
                and venue.lags(its) == lags(orders=[1, 0], positions=[1, 0], trades=[1, 0])
            ),
        )
        metrics = await service.metrics()
        assert metrics.total("dead_letters_total") == 0
        assert metrics.total("risk_watched") == 0
        assert "records wait for schema" in await readiness(service)
        (line, *_) = service.log("the schema registry does not answer; records wait, trying again")
        assert f"{its.url}/schemas/ids/" in line["reason"]

        async with listening(its):
            await service.wait_until("all is read", venue.all_is_read)
            await until(lambda: ready(service), "it is ready")
            # A field is added, another type of time; and what an order needs is removed.
            await venue.order(2, ADDED, other, account="a1")
            await venue.order(3, REMOVED, other)
            await venue.order(4, SHORT, other)
            await venue.trade(12, LATER, other, venue_flag=True)
            await venue.raw("orders", other, framed(99, b"\0"))
            await venue.order(1, FIRST, other)
            await service.wait_until(
                "all is read, and each record is an event or a dead letter",
                lambda its: (
                    venue.all_is_read(its)
                    and its.total("events_total") + its.total("buffered_events") == venue.sent
                    and its.total("risk_watched") == 1
                ),
            )
            assert (await service.metrics()).total("events_total", outcome="rejected") == 2

        # Away again: what has a known schema goes on.
        its.put(5, ADDED)
        its.asked.clear()
        await venue.order(5, ADDED, one, account="a2")
        await venue.order(1, FIRST, other)
        await service.wait_until(
            "one partition waits, and the other goes on",
            lambda its: (
                its.total("pending_schemas") == 1 and venue.lags(its) == lags(orders=[1, 0])
            ),
        )
        await service.stop()
        service = venue.start()
        await service.wait_until("it waits", lambda its: its.total("registry_failures_total") >= 1)
        async with listening(its):
            await service.wait_until("all is read", venue.all_is_read)
            await until(lambda: ready(service), "it is ready")
        await service.stop()
        letters = await venue.records("deadletters")
        told = sorted(
            tuple(dict(its.headers)[f"foreshock.{name}"].decode() for name in ("reason", "detail"))
            for its in letters
        )
        assert [reason for reason, _ in told] == ["missing_field", "unknown_schema"]
        assert "size (quantity) is missing" in told[0][1]
        assert "the schema registry has no schema 99" in told[1][1]


async def ready(service: Service) -> bool:
    return "wait for" not in await service.get("/readyz")
