"""Faults: each is a coroutine that causes a failure and then undoes it where possible.

The world's seed decides which faults occur, when, and how severe they are.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from service.pipeline import snapshots
from service.run import STOP_SECONDS
from tests.faults.broker import Record
from tests.faults.clock import current_process
from tests.faults.markets import PARTITIONS, SYMBOLS
from tests.faults.network import Disturbance
from tests.faults.world import OUTPUTS, SETTINGS, TOPICS, Instance, World

FAULTY_SECONDS = 72.0
"""Faults begin within this time; the market lasts a little longer."""

PRODUCED = tuple(
    f"produce {name}" for name in ("alerts", "signals", "killswitch", "deadletters", "snapshots")
)
KINDS = (*PRODUCED, "fetch", "commit", "heartbeat", "join", "offsets", "list_offsets")


def _running(world: World) -> Instance | None:
    running = [i for i in world.instances if i.alive and not i.process.frozen]  # type: ignore[union-attr]
    return world.rng.choice(running) if running else None


async def crash(world: World) -> None:
    """Kill a process at one of its next steps: between any two awaits."""
    instance = _running(world)
    if instance is not None and instance.process is not None:
        steps = int(world.rng.lognormvariate(4, 2))
        world.record_fault("killed", f"kill {instance.process.name} after {steps} steps")
        instance.process.fuse = steps


async def crash_at_alert(world: World) -> None:
    """Kill a process when its next alert has reached its topic, acknowledged or not."""
    world.kill_at_alert.append(world.rng.choice((0, 2, 10, 100, 500)))


async def stop(world: World) -> None:
    """Ask a process to stop, as an orchestrator does; kill it after a timeout."""
    instance = _running(world)
    if instance is None or instance.service is None or instance.process is None:
        return
    world.record_fault("asked to stop", f"stop {instance.process.name}")
    process, task = instance.process, instance.task
    instance.service.stop()
    await asyncio.wait([task], timeout=STOP_SECONDS)  # type: ignore[list-item]
    if task is not None and not task.done():
        world.record_fault("not stopped in time", f"kill {process.name}: not stopped in time")
        process.dead = True


async def reload(world: World) -> None:
    """Reload a process with its current settings: it saves and commits at once."""
    instance = _running(world)
    if instance is None or instance.service is None or instance.process is None:
        return
    world.record_fault("reloaded", f"reload {instance.process.name}")
    context = copy_context()
    context.run(current_process.set, instance.process)
    reloading = instance.service.reconfigure(SETTINGS)
    world.background_tasks.append(world.loop.create_task(reloading, context=context))


async def freeze(world: World) -> None:
    """Freeze a process for a while, for longer than its session or not."""
    instance = _running(world)
    if instance is None or instance.process is None:
        return
    process, seconds = instance.process, world.rng.uniform(0.5, 20)
    session = SETTINGS.kafka.session_timeout_seconds
    kind = "frozen beyond its session" if seconds > session else "frozen for less than its session"
    world.record_fault(kind, f"freeze {process.name} for {seconds:.1f} s")
    process.frozen = True
    await asyncio.sleep(seconds)
    world.log(f"thaw {process.name}")
    world.loop.thaw(process)


async def scale(world: World) -> None:
    """Add or remove an instance."""
    if _idle(world) is not None and world.rng.random() < 0.6:
        await _add(world)
        return
    wanted = [i for i in world.instances if i.wanted]
    if len(wanted) > 1:
        instance = world.rng.choice(wanted)
        instance.wanted = False
        if instance.alive and instance.service is not None and instance.process is not None:
            world.record_fault("scaled down", f"scale down: stop {instance.process.name}")
            instance.service.stop()


def _idle(world: World) -> Instance | None:
    return next((i for i in world.instances if not i.wanted and not i.alive), None)


async def _add(world: World) -> None:
    instance = _idle(world)
    if instance is not None:
        world.record_fault("scaled up", "scale up")
        world.launch(instance)


async def outage(world: World) -> None:
    """Make the broker unreachable for a while."""
    seconds = world.rng.uniform(0.2, 25)
    if world.network.is_down:
        return
    world.record_fault("broker gone and back", f"broker gone for {seconds:.1f} s")
    world.network.is_down = True
    await asyncio.sleep(seconds)
    world.log("broker back")
    world.network.is_down = False


async def cut(world: World) -> None:
    """Cut one process off from the broker for a while."""
    instance = _running(world)
    if instance is None or instance.process is None:
        return
    process, seconds = instance.process, world.rng.uniform(0.5, 20)
    world.record_fault("cut off from the broker", f"cut off {process.name} for {seconds:.1f} s")
    world.network.cut_off.add(process)
    await asyncio.sleep(seconds)
    world.log(f"{process.name} reaches the broker again")
    world.network.cut_off.discard(process)


async def disturb_requests(world: World) -> None:
    """Delay or lose some kinds of requests, or lose their answers."""
    rng = world.rng
    kinds = rng.sample(KINDS, rng.randint(1, 4))
    disturbance = Disturbance()
    disturbance.lost = rng.choice((0.0, 0.1, 0.5))
    disturbance.unanswered = rng.choice((0.0, 0.1, 0.5))
    disturbance.slow_seconds = rng.choice((0.0, 0.2, 2.0))
    seconds = rng.uniform(1, 20)
    world.record_fault(
        "requests lost, slow or unanswered",
        f"for {seconds:.1f} s {', '.join(kinds)}: lost {disturbance.lost}, unanswered "
        f"{disturbance.unanswered}, up to {disturbance.slow_seconds} s slow",
    )
    world.network.disturbances.update(dict.fromkeys(kinds, disturbance))
    await asyncio.sleep(seconds)
    for kind in kinds:
        if world.network.disturbances.get(kind) is disturbance:
            del world.network.disturbances[kind]


async def refuse(world: World) -> None:
    """Refuse one request with an error that is not retriable."""
    kind = world.rng.choice((*PRODUCED, "offsets", "commit"))
    world.record_fault("request refused for good", f"refuse {kind}")
    disturbance = world.network.disturbances.setdefault(kind, Disturbance())
    disturbance.refusals.append(TopicAuthorizationFailedError())


async def slow_revoke(world: World) -> None:
    """Make a revoke exceed its deadline, while another instance joins."""
    kind = world.rng.choice(("produce snapshots", "produce alerts", "commit"))
    disturbance = Disturbance()
    disturbance.lost = 1.0
    seconds = world.rng.uniform(3, 15)
    world.record_fault(
        "revoke slower than its deadline",
        f"for {seconds:.1f} s {kind} is not delivered, and the group changes",
    )
    world.network.disturbances[kind] = disturbance
    await _add(world)
    await asyncio.sleep(seconds)
    if world.network.disturbances.get(kind) is disturbance:
        del world.network.disturbances[kind]


async def jump_clock(world: World) -> None:
    """Set a process's wall clock forwards or backwards."""
    instance = _running(world)
    if instance is not None and instance.process is not None:
        seconds = world.rng.choice((-1, 1)) * world.rng.choice((0.3, 5, 600, 7_200))
        world.record_fault(
            "wall clock set", f"the clock of {instance.process.name} jumps by {seconds} s"
        )
        instance.process.wall_offset_ns += round(seconds * 1e9)


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


async def isolate_after_handover(world: World) -> None:
    """Cut off a process after its handover, and reconnect it after its successor has stopped.

    The first process has kept its state and has not learned of another owner.
    """
    owners = [i for i in world.instances if i.alive and _session(i) and _session(i).partitions]
    other = _idle(world)
    if other is None or not owners:
        return
    instance = world.rng.choice(owners)
    process, session = instance.process, _session(instance)
    world.launch(other)
    if not await _soon(world, lambda: session._handed_back and not session.partitions, 5):
        return
    world.record_fault("left behind by the group", f"{process.name} is cut off after its handover")
    world.network.cut_off.add(process)
    await asyncio.sleep(SETTINGS.kafka.session_timeout_seconds + world.rng.uniform(2, 10))
    for other_instance in world.instances:
        if (
            other_instance is not instance
            and other_instance.alive
            and other_instance.service is not None
        ):
            other_instance.wanted = False
            other_instance.service.stop()
    await asyncio.sleep(1)
    world.log(f"{process.name} reaches the broker again")
    world.network.cut_off.discard(process)


async def crash_before_acknowledged(world: World) -> None:
    """Kill a process some time after it has sent an alert that is not delivered."""
    instance = _running(world)
    session = _session(instance)
    if instance is None or session is None:
        return
    process = instance.process
    disturbance = Disturbance()
    disturbance.lost = 1.0
    world.network.disturbances["produce alerts"] = disturbance

    def sent() -> bool:
        return process.dead or any(p._sent_alerts for p in session.partitions.values())

    if await _soon(world, sent, 25):
        seconds = world.rng.uniform(0.2, 3)
        world.record_fault(
            "killed before an acknowledgement", f"kill {process.name} in {seconds:.1f} s"
        )
        await asyncio.sleep(seconds)
        process.dead = True
    if world.network.disturbances.get("produce alerts") is disturbance:
        del world.network.disturbances["produce alerts"]


async def lose_fetches(world: World) -> None:
    """Answer no fetch for longer than the idle timeout, while all other requests succeed."""
    disturbance = Disturbance()
    disturbance.lost = 1.0
    seconds = SETTINGS.time.idle_after_ms / 1e3 + world.rng.uniform(1, 8)
    world.record_fault("fetches unanswered for long", f"for {seconds:.1f} s no fetch is delivered")
    world.network.disturbances["fetch"] = disturbance
    await asyncio.sleep(seconds)
    if world.network.disturbances.get("fetch") is disturbance:
        del world.network.disturbances["fetch"]


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


def _session(instance: Instance | None) -> Any:
    return instance.service._session if instance is not None and instance.service else None


async def _soon(world: World, condition: Callable[[], Any], seconds: float) -> bool:
    """Whether a condition becomes true within this many seconds; polls often."""
    until = world.loop.now + seconds
    while world.loop.now < until:
        if condition():
            return True
        await asyncio.sleep(0.002)
    return False


FAULTS: dict[Callable[[World], Awaitable[None]], float] = {
    crash: 4,
    crash_at_alert: 3,
    stop: 1.5,
    reload: 2,
    freeze: 2,
    scale: 3,
    outage: 1.5,
    cut: 1.5,
    disturb_requests: 4,
    refuse: 1,
    slow_revoke: 1,
    jump_clock: 1,
    compact: 1,
    damage: 1.5,
    isolate_after_handover: 2,
    crash_before_acknowledged: 2,
    lose_fetches: 1,
    open_transaction: 2,
    retention: 1,
    add_partitions: 0.5,
}


def plan(rng: random.Random) -> list[tuple[float, Callable[[World], Awaitable[None]]]]:
    """The faults and their times: sometimes spread out, sometimes overlapping."""
    drawn = rng.choices(list(FAULTS), list(FAULTS.values()), k=rng.randint(2, 14))
    if retention in drawn:
        # What a damaged snapshot held could not be read again.
        drawn = [fault for fault in drawn if fault is not damage]
    if rng.random() < 0.3:
        begin = rng.uniform(0, FAULTY_SECONDS - 25)
        times = [begin + rng.uniform(0, 25) for _ in drawn]
    else:
        times = [rng.uniform(0, FAULTY_SECONDS) for _ in drawn]
    return sorted(zip(times, drawn, strict=True), key=lambda fault: fault[0])
