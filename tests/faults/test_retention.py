"""What Kafka deleted before it was read is lost: that is said, and everything else goes on."""

import asyncio

from aiokafka import TopicPartition

from tests.faults import simulate
from tests.faults.markets import without_dates_ahead
from tests.faults.world import TOPICS, World, settled


async def until_settled(world: World) -> None:
    """Wait until everything that was written and is left has been read."""
    for _ in range(2_000):
        await asyncio.sleep(0.1)
        if settled(world):
            return
    world.fail("the world does not settle")


def test_retention_under_a_stopped_service_loses_exactly_what_it_deleted():
    # An event that is dated ahead would wait for the market, and hold the group's offset back.
    world = World(0, without_dates_ahead(simulate.market(3)))
    lost: dict[str, int] = {}
    committed: dict[TopicPartition, int] = {}

    async def scenario(world: World) -> None:
        instance = world.instances[0]
        world.launch(instance)
        writing = asyncio.get_running_loop().create_task(world.write())
        await asyncio.sleep(30)
        assert instance.service is not None
        assert instance.task is not None
        instance.service.stop()
        await asyncio.wait([instance.task])
        committed.update({tp: meta.offset for tp, meta in world.broker.committed.items()})
        await writing
        # One log loses all that is unread, one a part of it, one only what was read.
        orders, cancels, trades, _ = (TopicPartition(topic, 0) for topic in TOPICS.values())
        deleted = {
            orders: world.broker.end(orders),
            cancels: committed[cancels] + 10,
            trades: committed[trades],
        }
        for tp, before in deleted.items():
            world.broker.delete_before(tp, before)
            if before > committed[tp]:
                lost[tp.topic] = before - committed[tp]
        world.launch(instance)
        await until_settled(world)
        assert instance.service._counters.records_lost == lost
        await asyncio.sleep(simulate.SETTLED_SECONDS)  # until it is committed

    world.run_scenario(scenario)
    assert world.failures == []
    assert len(lost) == 2
    assert all(meta.offset == world.broker.end(tp) for tp, meta in world.broker.committed.items())
    told = [line for line in world.trace if "records are lost" in line]
    assert len(told) == 2
    for topic, number in lost.items():
        first = committed[TopicPartition(topic, 0)]
        assert any(
            f"'topic': '{topic}', 'partition': 0, 'from_offset': {first}, "
            f"'to_offset': {first + number}" in line
            for line in told
        )
