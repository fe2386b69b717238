"""The broker is away for a while, and each producer comes back in its own time: nothing is late."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.faults import invariants, simulate
from tests.faults import world as worlds
from tests.faults.invariants import InvariantChecker, compare, result
from tests.faults.world import World

IDLE_SECONDS = 6.0
SESSION_SECONDS = {"it lasts": 90.0, "it ends": 6.0}
"""A session that outlasts every outage keeps what it knows of silence; another is made anew."""

OUTAGE_BEGINS = 24.0
RECONNECT_SECONDS = {"orders": 0.1, "trades": 4.0, "cancels": 5.0, "statuses": 2.0}
"""How long after the broker's return each topic's producer is connected again."""


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Silence counts after few seconds, fewer than most outages last."""
    time = replace(worlds.SETTINGS.time, idle_after_ms=round(IDLE_SECONDS * 1e3))
    kafka = replace(worlds.SETTINGS.kafka, session_timeout_seconds=SESSION_SECONDS[request.param])
    settings = replace(worlds.SETTINGS, time=time, kafka=kafka)
    for module in (worlds, invariants):
        monkeypatch.setattr(module, "SETTINGS", settings)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("_impatient", list(SESSION_SECONDS), indirect=True)
@pytest.mark.parametrize("seconds", [5, 8, 15, 25, 60])
def test_an_outage_of_the_broker_is_no_silence_of_the_market(seconds: int):
    number = simulate.MARKETS[0]
    expected = simulate.undisturbed.__wrapped__(number)
    world = World(seconds, simulate.market(number))

    async def story(world: World) -> None:
        checker = InvariantChecker(world)
        world.launch(world.instances[0])
        loop = asyncio.get_running_loop()
        world.background_tasks = [
            loop.create_task(world.supervise(world.instances[0])),
            loop.create_task(world.write(RECONNECT_SECONDS.__getitem__)),
        ]
        await asyncio.sleep(OUTAGE_BEGINS)
        world.network.is_down = True
        await asyncio.sleep(seconds)
        world.log("broker back")
        world.network.is_down = False
        await simulate._settle(world, checker)
        compare(world, result(world), expected)

    world.run_scenario(story)
    assert world.failures == [], "\n".join(world.trace)
    assert world.instances[0].lives == 1, "it waits for the broker, and does not end"


def test_it_is_alive_while_it_restores_after_an_outage_of_minutes():
    world = World(1, simulate.market(simulate.MARKETS[0]))
    health = []

    async def story(world: World) -> None:
        world.launch(world.instances[0])
        world.background_tasks = [asyncio.get_running_loop().create_task(world.write())]
        await asyncio.sleep(20)
        world.network.is_down = True
        await asyncio.sleep(180)
        world.network.is_down = False
        while not health or not health[-1].ready:
            await asyncio.sleep(0.01)
            health.append(world.instances[0].service.health())

    world.run_scenario(story)
    assert world.failures == []
    assert any("state" in its.checks for its in health), "it restores"
    assert all(its.live for its in health)
