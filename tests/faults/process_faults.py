"""Faults of processes: killed, stopped, frozen, cut off, added and taken away.

Each is a coroutine that causes a failure and then undoes it where possible.
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from service.run import STOP_SECONDS
from tests.faults.clock import current_process
from tests.faults.network import Disturbance
from tests.faults.world import SETTINGS, Instance, World


def _running(world: World) -> Instance | None:
    running = [i for i in world.instances if i.alive and not i.process.frozen]  # type: ignore[union-attr]
    return world.rng.choice(running) if running else None


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


async def stop_all(world: World) -> None:
    """Stop every process, and start none again; kill those that do not stop in time."""
    for instance in world.instances:
        instance.wanted = False
        if instance.alive and instance.service is not None:
            instance.service.stop()
    tasks = [i.task for i in world.instances if i.alive and i.task is not None]
    if tasks:
        await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for instance in world.instances:
        if not instance.wanted and instance.process is not None:
            instance.process.dead = True


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
        await add_instance(world)
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


async def add_instance(world: World) -> None:
    """Start the service on another instance, if one is left."""
    instance = _idle(world)
    if instance is not None:
        world.record_fault("scaled up", "scale up")
        world.launch(instance)


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


async def jump_clock(world: World) -> None:
    """Set a process's wall clock forwards or backwards."""
    instance = _running(world)
    if instance is not None and instance.process is not None:
        seconds = world.rng.choice((-1, 1)) * world.rng.choice((0.3, 5, 600, 7_200))
        world.record_fault(
            "wall clock set", f"the clock of {instance.process.name} jumps by {seconds} s"
        )
        instance.process.wall_offset_ns += round(seconds * 1e9)


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
