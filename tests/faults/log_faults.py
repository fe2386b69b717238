"""Faults of the topics: transactions, retention, compaction, growth, and damaged snapshots.

Each is a coroutine that causes a failure and then undoes it where possible.
"""

import asyncio
from collections.abc import Mapping

import msgspec
from aiokafka import TopicPartition

from service.pipeline import snapshots
from tests.faults.broker import Record
from tests.faults.markets import PARTITIONS, SYMBOLS
from tests.faults.process_faults import stop_all
from tests.faults.world import OUTPUTS, TOPICS, World


async def open_transaction(world: World) -> None:
    """What is written to some topics can be read only once their transaction is committed."""
    rng = world.rng
    inputs = [TopicPartition(topic, n) for topic in TOPICS.values() for n in range(PARTITIONS)]
    tps = rng.sample(inputs, rng.randint(1, 4))
    seconds = rng.uniform(0.2, 3)
    world.record_fault(
        "transaction open for long", f"for {seconds:.1f} s a transaction on {len(tps)}"
    )
    for tp in tps:
        world.broker.hold(tp)
    await asyncio.sleep(seconds)
    for tp in tps:
        world.broker.commit_transaction(tp)


async def add_partitions(world: World) -> None:
    """Every topic gets a partition, one topic after the other; nothing is written to it."""
    topics = [*TOPICS.values(), *(f"foreshock.{name}" for name in OUTPUTS)]
    world.rng.shuffle(topics)
    world.record_fault("partitions added", f"a partition is added to {', '.join(topics)}")
    for topic in topics:
        world.broker.grow(topic, PARTITIONS + 1)
        await asyncio.sleep(world.rng.uniform(0, 2))


async def retention(world: World) -> None:
    """Kafka deletes what the group has committed: nothing that is still to be read."""
    deleted = 0
    for tp, meta in world.broker.committed.items():
        before = meta.offset - world.rng.choice((0, 0, 1, 30))
        deleted += world.broker.delete_before(tp, max(0, before))
    world.record_fault("committed records deleted", f"retention: {deleted} records gone")


async def retention_while_stopped(world: World) -> None:
    """Stop every process; Kafka deletes unread records; start one process.

    The records are lost. The run can then not be compared with an undisturbed one. The service must
    name exactly what was deleted, and everything else must hold.
    """
    rng = world.rng
    await stop_all(world)
    # Unread records arrive, and a commit that was under way.
    await asyncio.sleep(rng.uniform(6, 12))
    if any(instance.alive for instance in world.instances):
        return  # another fault has started one
    tps = [tp for tp, meta in world.broker.committed.items() if meta.offset < world.broker.end(tp)]
    deleted = 0
    for tp in rng.sample(tps, rng.randint(0, min(4, len(tps)))):
        first, end = world.broker.committed[tp].offset, world.broker.stable_end(tp)
        before = rng.choice((end, rng.randint(min(first, end), end)))
        deleted += world.broker.delete_before(tp, before)
        world.lost.update((tp, offset) for offset in range(first, world.broker.beginning(tp)))
    world.record_fault("unread records deleted while stopped", f"retention: {deleted} records gone")
    world.launch(world.instances[0])


async def compact(world: World) -> None:
    """Compact the snapshots topic."""
    world.record_fault("snapshots compacted", "compaction")
    for number in range(PARTITIONS):
        tp = TopicPartition("foreshock.snapshots", number)
        dropped = world.broker.compact(tp, world.rng.randint(1, 10))
        world.log(f"compacted {tp.topic} {number}: {dropped} dropped")


async def damage(world: World) -> None:
    """Damage the snapshots topic: add a bad record, or replace a good one."""
    rng = world.rng
    kind = rng.choice(("corrupt", "torn", "old format", "foreign", "foreign in its place"))
    number = rng.randrange(PARTITIONS)
    tp = TopicPartition("foreshock.snapshots", number)
    symbol = rng.choice(SYMBOLS[number])
    candidates = [
        record
        for record in world.broker.records(tp.topic)
        if record.partition == number
        and (record.key or b"").startswith(symbol.encode())
        and record.value is not None
        and record.headers
    ]
    if kind == "foreign" or not candidates:
        world.record_fault("snapshot foreign", f"foreign record among the snapshots of {number}")
        world.broker.append(tp, b"somebody", b"else's")
        return
    latest = candidates[-1]
    assert latest.value is not None
    world.record_fault(f"snapshot {kind}", f"{kind}: snapshot of {symbol} at {latest.offset}")
    if kind == "corrupt":
        at = rng.randrange(len(latest.value))
        flipped = bytes([latest.value[at] ^ 0xFF])
        latest.value = latest.value[:at] + flipped + latest.value[at + 1 :]
    elif kind == "torn":
        _tear(world, tp, latest)
    elif kind == "old format":
        _restamp(latest)
    else:
        world.broker.append(tp, latest.key, b"somebody else's")


def _tear(world: World, tp: TopicPartition, latest: Record) -> None:
    """Write the first of two parts to the next slot, without the second part."""
    symbol, slot, _ = (latest.key or b"").split(b"\x1f")
    header = snapshots._header(latest.headers)
    assert header is not None
    torn = {**_fields(header), "generation": "torn", "parts": 2}
    key = snapshots.key(symbol.decode(), 1 - int(slot), 0)
    world.broker.append(tp, key, latest.value, _headers(torn))


def _restamp(latest: Record) -> None:
    """Mark the record as written in the service's previous format."""
    header = snapshots._header(latest.headers)
    assert header is not None
    latest.headers = _headers({**_fields(header), "format": header.format - 1})


def _fields(header: snapshots.Header) -> dict[str, object]:
    return dict(msgspec.structs.asdict(header))


def _headers(fields: Mapping[str, object]) -> list[tuple[str, bytes]]:
    return [("foreshock.snapshot", msgspec.json.encode(fields))]
