"""Run seeds: ``python -m tests.faults.simulate --seeds 200``; ``--seed 17`` for one and its trace.

A seed fully determines a run. The program restarts itself with a fixed Python hash seed, which
determines the order of sets.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from functools import cache

from tests.faults.faults import plan
from tests.faults.invariants import (
    InvariantChecker,
    Result,
    check_consoles,
    check_switches,
    compare,
    compare_after_loss,
    result,
)
from tests.faults.markets import Sent, records
from tests.faults.world import World, settled

MARKETS = (4, 5, 9, 15)
"""The markets, used in turn: those with at least eight alerts."""

SETTLED_SECONDS = 21.0
"""Time without pending work before a run ends; every silent topic then counts as idle."""

CHECK_SECONDS = 0.2
"""Interval of the invariant checks, in addition to those at every alert and commit."""

REPORT_EVERY = 100

PATIENCE_SECONDS = 400.0


@cache
def market(number: int) -> list[Sent]:
    """A market's records."""
    return records(number)


@cache
def undisturbed(number: int) -> Result:
    """The results of a market without faults."""
    world = World(0, market(number))
    results: list[Result] = []

    async def scenario(world: World) -> None:
        InvariantChecker(world)
        world.launch(world.instances[0])
        world.background_tasks = [asyncio.get_running_loop().create_task(world.write())]
        await _settle(world, None)
        results.append(result(world))

    world.run_scenario(scenario)
    if world.failures or len(results[0].alerts) < 8:
        sys.exit(f"the undisturbed run of market {number} failed:\n" + "\n".join(world.trace))
    return results[0]


async def _settle(world: World, checker: InvariantChecker | None) -> None:
    since = None
    while since is None or world.loop.now - since < SETTLED_SECONDS:
        await asyncio.sleep(CHECK_SECONDS)
        if checker is not None:
            checker.check()
        for task in world.background_tasks:
            if task.done():
                task.result()
        if not settled(world):
            since = None
        elif since is None:
            since = world.loop.now
        if world.loop.now > PATIENCE_SECONDS:
            world.fail("the world does not settle")
            return


def disturbed(seed: int) -> World:
    """Run a seed; return the resulting world."""
    number = MARKETS[seed % len(MARKETS)]
    expected = undisturbed(number)
    world = World(seed, market(number))

    async def scenario(world: World) -> None:
        checker = InvariantChecker(world)
        await _inject_faults(world, checker)
        await _settle(world, checker)
        actual = result(world)
        if world.lost:
            compare_after_loss(world, actual, expected)
        else:
            compare(world, actual, expected)
        check_consoles(world)
        check_switches(world)
        world.counts["alerts published"] += len(actual.alerts)
        world.counts["alerts repeated in overlap"] += checker.repeated_in_overlap
        world.counts["signals repeated"] += actual.repeated_signals
        world.counts.update(world.network.counts)

    world.run_scenario(scenario)
    return world


async def _inject_faults(world: World, checker: InvariantChecker) -> None:
    """Inject the planned faults. At the end no fault is active and the service is wanted."""
    loop = asyncio.get_running_loop()
    faults = plan(world.rng)
    for instance in world.instances[: world.rng.randint(1, 2)]:
        world.launch(instance)
    world.background_tasks = [loop.create_task(world.supervise(i)) for i in world.instances]
    world.background_tasks.append(loop.create_task(world.write()))
    running_faults = []
    for at, fault in faults:
        while world.loop.now < at:
            await asyncio.sleep(min(CHECK_SECONDS, at - world.loop.now))
            checker.check()
        running_faults.append(loop.create_task(fault(world)))
    while not all(task.done() for task in running_faults):
        await asyncio.sleep(CHECK_SECONDS)
        checker.check()
    for task in running_faults:
        task.result()
    world.network.disturbances.clear()
    world.kill_at_alert.clear()
    for instance in world.instances:
        if instance.process is not None:
            instance.process.fuse = None
    if not any(instance.wanted for instance in world.instances):
        world.launch(world.instances[0])
    world.log("no more faults")


def main() -> int:
    """Run the requested seeds; return 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seed", type=int, help="run only this seed, and print its trace")
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop at the first failure"
    )
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
    for name, count in sorted(total.items()):
        print(f"{count:9,}  {name}")
    return 1 if failed else 0


def _verdict(seed: int, world: World) -> int:
    if not world.failures:
        print(f"seed {seed} passed")
        return 0
    print(f"seed {seed} FAILED; for its trace run: make simulate SEED={seed}")
    for failure in world.failures[:8]:
        print(f"    {failure}")
    sys.stdout.flush()
    return 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        arguments = [sys.executable, "-m", "tests.faults.simulate", *sys.argv[1:]]
        os.execv(sys.executable, arguments)  # noqa: S606 - restarts itself
    sys.exit(main())
