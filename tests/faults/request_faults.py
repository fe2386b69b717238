"""Faults between the service and the broker: outages, and requests that fail or are slow.

Each is a coroutine that causes a failure and then undoes it.
"""

import asyncio

from aiokafka.errors import TopicAuthorizationFailedError

from tests.faults.network import Disturbance
from tests.faults.process_faults import add_instance
from tests.faults.world import SETTINGS, World

PRODUCED = tuple(
    f"produce {name}" for name in ("alerts", "signals", "killswitch", "deadletters", "snapshots")
)
KINDS = (*PRODUCED, "fetch", "commit", "heartbeat", "join", "offsets", "list_offsets")


async def outage(world: World) -> None:
    """Make the broker unreachable for a while, at most a minute."""
    seconds = world.rng.choice((world.rng.uniform(0.2, 25), world.rng.uniform(5, 60)))
    if world.network.is_down:
        return
    kind = "broker gone and back" if seconds < 25 else "broker gone for long, and back"
    world.record_fault(kind, f"broker gone for {seconds:.1f} s")
    world.network.is_down = True
    await asyncio.sleep(seconds)
    world.log("broker back")
    world.network.is_down = False


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
    await add_instance(world)
    await asyncio.sleep(seconds)
    if world.network.disturbances.get(kind) is disturbance:
        del world.network.disturbances[kind]


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
