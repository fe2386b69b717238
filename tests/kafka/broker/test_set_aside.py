"""A fault in the detection of one symbol, in a running process: the other symbols go on."""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner

from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import PARTITIONS, REQUIRED, Venue, caught_up, identity
from tests.kafka.broker.test_restarts import PATIENT

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[3]
FAULT = """
from detectors.symbol import SymbolMonitor

apply = SymbolMonitor.apply

def faulty(self, event):
    if getattr(event, "order_id", "") == "fatal":
        raise ZeroDivisionError("a fault of ours")
    apply(self, event)

SymbolMonitor.apply = faulty
"""
SAID = "a symbol is set aside until a restart: an exception came out of its detection"


def neighbour(market: Market) -> str:
    """A symbol that shares its partition: without a snapshot of any, a window is read again."""
    numbers = list(range(PARTITIONS))
    place = {
        key: DefaultPartitioner()(key, numbers, numbers) for key in {e.key for e in market.events}
    }
    shared = [key for key, its in place.items() if list(place.values()).count(its) > 1]
    return min(shared).decode()


async def test_a_symbol_whose_detection_fails_is_set_aside_and_the_others_go_on(
    kafka: str, tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(FAULT)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    first, second = market.parts(0.4)
    symbol = neighbour(market)
    orders = [its for its in first if its.stream == "orders" and its.key == symbol.encode()]
    order = orders[-1]
    fatal = json.dumps(json.loads(order.value) | {"order_id": "fatal"}).encode()
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        service = venue.start()
        await venue.produce(first)
        await venue.send("orders", symbol.encode(), fatal)
        await service.wait_until("it is read", caught_up(REQUIRED))
        await venue.produce(second)
        others = [alert for alert in market.alerts if alert["symbol"] != symbol]
        await venue.wait_for_alerts(others)
        await service.wait_until("everything is read", caught_up(REQUIRED))
        metrics = await service.metrics()
        assert metrics.total("symbols_set_aside") == 1
        assert metrics.total("dead_letters_total", reason="set_aside") > 10
        await service.stop()
        letters = [dict(letter.headers) for letter in await venue.records("deadletters")]
        (line,) = service.log(SAID)
        assert line["symbol"] == symbol
        assert "ZeroDivisionError('a fault of ours')" in line["reason"]
        assert {letter["foreshock.reason"] for letter in letters} == {b"set_aside"}
        told = {identity(a) for a in await venue.alerts() if a["symbol"] != symbol}
        assert told == set(map(identity, others))
        # The record that failed was passed: a restart watches the symbol again.
        service = venue.start()
        await service.wait_until("it is restored", caught_up(REQUIRED))
        await asyncio.sleep(1.0)
        assert (await service.metrics()).total("symbols_set_aside") == 0, service.log_text()
        await service.stop()
