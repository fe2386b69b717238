"""Handover: snapshots of an evicted symbol, and an unsuccessful restore."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

import service.pipeline.snapshots
from detectors.market_data.events import Order
from service.settings.types import LimitSettings
from tests.faults import world as worlds
from tests.faults.markets import Sent
from tests.faults.network import Disturbance
from tests.faults.world import World
from tests.pipeline.events import BEGIN, SECOND


def orders(symbol: str, first: int, last: int) -> list[Sent]:
    """Ten orders per second of a symbol in partition 0."""
    sent = []
    for tenth in range(first * 10, last * 10):
        event = Order(
            ts_event=BEGIN + tenth * SECOND // 10,
            symbol=symbol,
            order_id=f"{symbol}{tenth}",
            side="buy",
            price=100.0,
            quantity=1.0,
        )
        value = msgspec.json.encode(event)
        sent.append(Sent(tenth / 10, "orders", 0, symbol.encode(), value))
    return sent


@pytest.mark.parametrize("held", [False, True])
def test_an_evicted_symbol_leaves_no_snapshots(monkeypatch: pytest.MonkeyPatch, held: bool):
    monkeypatch.setattr(service.pipeline.snapshots, "PART_BYTES", 2_000)
    time = replace(worlds.SETTINGS.time, idle_after_ms=500)
    limits = LimitSettings(symbols=1)
    state = replace(worlds.SETTINGS.state, commit_seconds=60.0)
    settings = replace(worlds.SETTINGS, time=time, limits=limits, state=state)
    monkeypatch.setattr(worlds, "SETTINGS", settings)
    poison = Sent(0.1, "orders", 0, b"AAA", b"not JSON")
    world = World(0, [poison, *orders("AAA", 0, 4), *orders("BBB", 4, 8)])

    async def scenario(world: World) -> None:
        world.launch(world.instances[0])
        if held:
            # The dead letter is not acknowledged when AAA is saved, nor when it is evicted.
            world.network.disturbances["produce deadletters"] = Disturbance()
            world.network.disturbances["produce deadletters"].lost = 1.0
        await world.write()
        world.network.disturbances.clear()
        await asyncio.sleep(20)

    world.run_scenario(scenario)
    assert world.failures == []
    last = {record.key: record.value for record in world.broker.records("foreshock.snapshots")}
    own_records = {key: value for key, value in last.items() if key.startswith(b"AAA")}
    assert any(key.endswith(b"\x1f1") for key in own_records), "the snapshot had several parts"
    assert set(own_records.values()) == {None}
    assert any(value for key, value in last.items() if key.startswith(b"BBB"))


def test_a_restore_does_not_block_the_group():
    world = World(0, orders("AAA", 0, 8))
    owners: list[set[str]] = []

    async def scenario(world: World) -> None:
        first, second, third = world.instances
        world.launch(first)
        await world.write()
        await asyncio.sleep(20)  # until it is saved
        first.service.stop()
        await asyncio.wait([first.task])
        # Fetches fail, so the restore does not end while this lasts.
        world.network.disturbances["fetch"] = Disturbance()
        world.network.disturbances["fetch"].lost = 1.0
        world.launch(second)
        await asyncio.sleep(3)
        assert second.service._session.restoring
        world.launch(third)
        await asyncio.sleep(3)  # less than the members' session
        owners.append(set(world.broker.group.owners.values()))
        second.service.stop()
        await asyncio.wait([second.task], timeout=1)
        assert second.task.done(), "stopping does not wait for the restore"

    world.run_scenario(scenario)
    assert world.failures == []
    assert len(owners[0]) == 2


def test_a_restore_of_minutes_is_alive():
    world = World(0, orders("AAA", 0, 8))
    lives: list[bool] = []

    async def scenario(world: World) -> None:
        first, second, _ = world.instances
        world.launch(first)
        await world.write()
        await asyncio.sleep(20)  # until it is saved
        world.launch(second)
        await asyncio.sleep(10)
        first.process.dead = True
        # Fetches fail, so the restore of the partitions that it takes over does not end.
        world.network.disturbances["fetch"] = Disturbance()
        world.network.disturbances["fetch"].lost = 1.0
        for _ in range(200):
            await asyncio.sleep(1)
            lives.append(second.service.health().live)
        assert second.service._session.restoring

    world.run_scenario(scenario)
    assert world.failures == []
    assert all(lives)


def test_an_event_dated_ahead_does_not_stop_all_saving_after_a_restart_without_snapshots():
    ahead = orders("AHEAD", 50, 51)[0]._replace(at=2.05)
    market = sorted([*orders("AAA", 0, 8), ahead], key=lambda record: record.at)
    world = World(0, market)
    states: list[tuple[bool, list[str]]] = []

    async def scenario(world: World) -> None:
        instance = world.instances[0]
        world.launch(instance)
        await world.write()
        await asyncio.sleep(25)  # until all topics are idle, and it is saved
        instance.service.stop()
        await asyncio.wait([instance.task])
        assert 0 < world.broker.committed["market.orders", 0].offset < len(market)
        for record in world.broker.records("foreshock.snapshots"):
            record.value = b"damaged"
        world.launch(instance)
        await asyncio.sleep(40)
        partition = instance.service._session.partitions[0]
        states.append((partition.is_behind, partition.task.changed()))

    world.run_scenario(scenario)
    assert world.failures == []
    assert states == [(False, [])]
