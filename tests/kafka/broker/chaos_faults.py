"""The faults of ``make chaos``: each is a coroutine that causes a failure and then undoes it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from deploy.kafka.kafka import KafkaServer
from tests.kafka.broker.administration import committed, delete_records, grow, transactional
from tests.kafka.broker.fleet import Feed, Fleet
from tests.kafka.broker.rig import OUTPUTS, REQUIRED, Venue

IDLE_SECONDS = 10.0
SESSION_SECONDS = 6.0
RESTART_SECONDS = 240.0
"""A killed broker scans all its logs before it answers."""


class Scene(NamedTuple):
    """The parts that a fault can affect."""

    server: KafkaServer
    venue: Venue
    fleet: Fleet
    feed: Feed
    random: random.Random
    lost: set[tuple[str, int, int]]
    """What was deleted unread: topic, partition, offset."""


async def kill(scene: Scene) -> None:
    """SIGKILL to a service; a new one is started."""
    scene.random.choice(scene.fleet.services).kill()


async def freeze(scene: Scene) -> None:
    """SIGSTOP for longer than the session timeout, then SIGCONT: a replaced owner returns."""
    service = scene.random.choice(scene.fleet.services)
    service.freeze()
    await asyncio.sleep(SESSION_SECONDS + scene.random.uniform(2, 5))
    service.thaw()


async def broker_stop(scene: Scene) -> None:
    """Stop the broker in order, and start it again."""
    await asyncio.to_thread(scene.server.stop)
    await asyncio.sleep(scene.random.uniform(0, 3))
    await asyncio.to_thread(scene.server.start, RESTART_SECONDS)


async def broker_kill(scene: Scene) -> None:
    """Kill the broker, and start it again."""
    scene.server.kill()
    await asyncio.sleep(scene.random.uniform(0, 3))
    await asyncio.to_thread(scene.server.start, RESTART_SECONDS)


async def scale(scene: Scene) -> None:
    """Scale from one process to three, and back to one by a stop or a kill."""
    await scene.fleet.resize(3)
    await asyncio.sleep(scene.random.uniform(4, 8))
    await scene.fleet.resize(1, kill=scene.random.random() < 0.5)


async def input_recreated(scene: Scene) -> None:
    """Delete an input topic after its records are in the state, and create it again."""
    async with scene.feed.held():
        await scene.fleet.settled()
        await scene.venue.recreate(scene.random.choice(REQUIRED))
        # An idle topic holds back the watermark again once the broker no longer reports it.
        await asyncio.sleep(IDLE_SECONDS + 3.0)


async def snapshots_deleted(scene: Scene) -> None:
    """Delete the snapshots topic and create it again; a restart must work without snapshots."""
    await scene.venue.recreate("snapshots")
    scene.random.choice(scene.fleet.services).kill()


async def aborted_transactions(scene: Scene) -> None:
    """Abort a transaction that has repeated old records; it is open while the feed goes on.

    It leaves records that must not be read, and a marker at the end of the logs.
    """
    async with transactional(scene.venue) as producer:
        await producer.begin_transaction()
        await scene.feed.repeat(producer, scene.random.randint(10, 300))
        await asyncio.sleep(scene.random.uniform(0, 3))
        await producer.abort_transaction()


async def retention(scene: Scene) -> None:
    """Stop every service; delete what the group has committed; start the services again."""
    number = len(scene.fleet.services)
    await scene.fleet.resize(0)
    await asyncio.sleep(scene.random.uniform(0, 3))
    await delete_records(scene.venue, await committed(scene.venue))
    await scene.fleet.resize(number)


async def retention_of_unread(scene: Scene) -> None:
    """Stop every service; delete unread records of some topics too; start the services again."""
    number = len(scene.fleet.services)
    await scene.fleet.resize(0)
    await asyncio.sleep(scene.random.uniform(2, 4))
    offsets, ends = await committed(scene.venue), await scene.venue.ends()
    unread = [tp for tp, offset in offsets.items() if offset < ends[tp]]
    for tp in scene.random.sample(unread, len(unread) // 2):
        first, before = offsets[tp], scene.random.randint(offsets[tp] + 1, ends[tp])
        await delete_records(scene.venue, {tp: before})
        scene.lost.update((tp.topic, tp.partition, offset) for offset in range(first, before))
    await scene.fleet.resize(number)


async def partitions_added(scene: Scene) -> None:
    """Add a partition to every topic, to one after the other; nothing is written to it."""
    names = [*REQUIRED, *OUTPUTS]
    scene.random.shuffle(names)
    for name in names:
        await grow(scene.venue, [name])
        await asyncio.sleep(scene.random.uniform(0, 2))


Fault = Callable[[Scene], Awaitable[None]]
FAULTS: dict[str, Fault] = {
    "kill": kill,
    "freeze": freeze,
    "broker-stop": broker_stop,
    "broker-kill": broker_kill,
    "scale": scale,
    "input-recreated": input_recreated,
    "snapshots-deleted": snapshots_deleted,
    "aborted-transactions": aborted_transactions,
    "retention": retention,
    "retention-unread": retention_of_unread,
    "partitions-added": partitions_added,
}
UNMIXED = frozenset({"retention", "retention-unread", "partitions-added"})
MIXED = [name for name in FAULTS if name not in UNMIXED]
"""Without snapshots, deleted records would be missed; a recreated topic has few partitions."""

AT_THE_END = frozenset({"aborted-transactions"})
"""Faults that are injected once more after everything has been produced."""

LOSSES = frozenset({"retention-unread"})
"""Faults that lose records: only what the service says of the loss is compared."""

OVERLAPPING = frozenset({"freeze", "mixed"})
"""Faults under which two processes can own a partition at once: repeats are allowed."""
