"""Run seeds: ``python -m tests.faults.simulate --seeds 200``; ``--seed 17`` for one and its trace.

A seed fully decides a run. Python's own hash seed is fixed by starting anew, for the order of sets.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from functools import cache

from tests.faults.faults import plan
from tests.faults.invariants import Result, Watch, check_consoles, compare, result
from tests.faults.markets import Sent, records
from tests.faults.world import World, settled

MARKETS = (3, 5, 6, 7)
"""The markets that are used, in turn: those that give ten alerts and more."""

SETTLED_SECONDS = 21.0
"""For how long nothing may be left to do; then every topic that is silent counts as idle."""

LOOK_SECONDS = 0.2
"""How often what must always hold is checked, beside every alert and commit."""

REPORT_EVERY = 100

PATIENCE_SECONDS = 400.0


@cache
def market(number: int) -> list[Sent]:
    """A market's records."""
    return records(number)


@cache
def undisturbed(number: int) -> Result:
    """What comes of a market when nothing goes wrong."""
    world = World(0, market(number))
    found: list[Result] = []

    async def story(world: World) -> None:
        Watch(world)
        world.launch(world.instances[0])
        world.beside = [asyncio.get_running_loop().create_task(world.write())]
        await _settle(world, None)
        found.append(result(world))

    world.play(story)
    if world.failures or len(found[0].alerts) < 10:
        sys.exit(f"the undisturbed run of market {number} failed:\n" + "\n".join(world.trace))
    return found[0]


async def _settle(world: World, watch: Watch | None) -> None:
    since = None
    while since is None or world.loop.now - since < SETTLED_SECONDS:
        await asyncio.sleep(LOOK_SECONDS)
        if watch is not None:
            watch.look()
        for task in world.beside:
            if task.done():
                task.result()
        if not settled(world):
            since = None
        elif since is None:
            since = world.loop.now
        if world.loop.now > PATIENCE_SECONDS:
            world.fail("it does not come to rest")
            return


def disturbed(seed: int) -> World:
    """Run a seed; the world that it left."""
    number = MARKETS[seed % len(MARKETS)]
    expected = undisturbed(number)
    world = World(seed, market(number))

    async def story(world: World) -> None:
        watch = Watch(world)
        await _harm(world, watch)
        await _settle(world, watch)
        found = result(world)
        compare(world, found, expected)
        check_consoles(world)
        world.counts["alerts told"] += len(found.alerts)
        world.counts["alerts repeated in overlap"] += watch.repeated_in_overlap
        world.counts["signals repeated"] += found.repeated_signals
        world.counts.update(world.network.seen)

    world.play(story)
    return world


async def _harm(world: World, watch: Watch) -> None:
    """Let the planned faults come; in the end there is none and the service is wanted."""
    loop = asyncio.get_running_loop()
    faults = plan(world.rng)
    for instance in world.instances[: world.rng.randint(1, 2)]:
        world.launch(instance)
    world.beside = [loop.create_task(world.supervise(i)) for i in world.instances]
    world.beside.append(loop.create_task(world.write()))
    harm = []
    for at, fault in faults:
        while world.loop.now < at:
            await asyncio.sleep(min(LOOK_SECONDS, at - world.loop.now))
            watch.look()
        harm.append(loop.create_task(fault(world)))
    while not all(task.done() for task in harm):
        await asyncio.sleep(LOOK_SECONDS)
        watch.look()
    for task in harm:
        task.result()
    world.network.weather.clear()
    world.kill_at_alert.clear()
    for instance in world.instances:
        if instance.process is not None:
            instance.process.fuse = None
    if not any(instance.wanted for instance in world.instances):
        world.launch(world.instances[0])
    world.say("no more faults")


def main() -> int:
    """Run what the command line asks for; 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, with its trace")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first failure")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        world = disturbed(arguments.seed)
        print("\n".join(world.trace))
        return _verdict(arguments.seed, world)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    return _run(seeds, stop=not arguments.keep_going)


def _run(seeds: range, *, stop: bool) -> int:
    began = time.perf_counter()
    total: Counter[str] = Counter()
    failed = []
    for seed in seeds:
        world = disturbed(seed)
        total.update(world.counts)
        if world.failures:
            failed.append(seed)
            _verdict(seed, world)
            if stop:
                print("\n".join(world.trace))
                return 1
        done = seed - seeds.start + 1
        if done % REPORT_EVERY == 0 or done == len(seeds):
            seconds = time.perf_counter() - began
            print(f"{done:,} seeds in {seconds:.0f} s, failed: {failed or 'none'}", flush=True)
    for what, count in sorted(total.items()):
        print(f"{count:9,}  {what}")
    return 1 if failed else 0


def _verdict(seed: int, world: World) -> int:
    if not world.failures:
        print(f"seed {seed} passed")
        return 0
    print(f"seed {seed} FAILED; again with its trace: make simulate SEED={seed}")
    for failure in world.failures[:8]:
        print(f"    {failure}")
    sys.stdout.flush()
    return 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        arguments = [sys.executable, "-m", "tests.faults.simulate", *sys.argv[1:]]
        os.execv(sys.executable, arguments)  # noqa: S606 - itself
    sys.exit(main())
