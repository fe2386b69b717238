"""Real processes on a real broker, broken at random moments; then every record is read back.

``make chaos`` runs this file. For each fault: topics of its own, the same market produced at a
pace, ``foreshock run`` as processes that are started again when they end, and the fault again and
again at moments drawn from the seed. Afterwards alerts, signals, kill switches and dead letters are
read back and held against those of a run that nothing disturbed.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from deploy.kafka.kafka import KafkaServer
from detectors.incidents.market_wide import MARKET
from tests.kafka.broker.fleet import Feed, Fleet, Line, lines
from tests.kafka.broker.markets import disturbed_market
from tests.kafka.broker.rig import REQUIRED, Venue

TOLD = ("alerts", "signals", "killswitch", "deadletters")
IDLE_SECONDS = 10.0
PATIENT = {
    # The market runs faster than the clock here: a topic that is quiet for half a second is not
    # idle. When all has been produced they become so, and everything is released.
    "TIME__IDLE_AFTER_MS": f"{IDLE_SECONDS * 1e3:.0f}",
    "LOG__LEVEL": "info",
}
SESSION_SECONDS = 6.0
RESTART_SECONDS = 240.0
"""A killed broker looks through all its logs before it answers."""


class Scene(NamedTuple):
    """What a fault may lay hands on."""

    server: KafkaServer
    venue: Venue
    fleet: Fleet
    feed: Feed
    random: random.Random


async def kill(scene: Scene) -> None:
    """SIGKILL to a service; another is started for it."""
    scene.random.choice(scene.fleet.services).kill()


async def freeze(scene: Scene) -> None:
    """SIGSTOP for longer than the session timeout, then SIGCONT: a replaced owner comes back."""
    service = scene.random.choice(scene.fleet.services)
    service.freeze()
    await asyncio.sleep(SESSION_SECONDS + scene.random.uniform(2, 5))
    service.thaw()


async def broker_stop(scene: Scene) -> None:
    """The broker is stopped in order, and started again."""
    await asyncio.to_thread(scene.server.stop)
    await asyncio.sleep(scene.random.uniform(0, 3))
    await asyncio.to_thread(scene.server.start, RESTART_SECONDS)


async def broker_kill(scene: Scene) -> None:
    """The broker is killed, and started again."""
    scene.server.kill()
    await asyncio.sleep(scene.random.uniform(0, 3))
    await asyncio.to_thread(scene.server.start, RESTART_SECONDS)


async def scale(scene: Scene) -> None:
    """One process becomes three, and one again; those that leave may be killed."""
    await scene.fleet.resize(3)
    await asyncio.sleep(scene.random.uniform(4, 8))
    await scene.fleet.resize(1, kill=scene.random.random() < 0.5)


async def input_recreated(scene: Scene) -> None:
    """An input topic is deleted once its records are in the state, and made again."""
    async with scene.feed.held():
        await scene.fleet.settled()
        await scene.venue.recreate(scene.random.choice(REQUIRED))
        # A topic that was silent holds back again once the broker no longer speaks of it.
        await asyncio.sleep(IDLE_SECONDS + 3.0)


async def snapshots_deleted(scene: Scene) -> None:
    """The snapshots topic is deleted and made again; a restart must do without."""
    await scene.venue.recreate("snapshots")
    scene.random.choice(scene.fleet.services).kill()


Fault = Callable[[Scene], Awaitable[None]]
FAULTS: dict[str, Fault] = {
    "kill": kill,
    "freeze": freeze,
    "broker-stop": broker_stop,
    "broker-kill": broker_kill,
    "scale": scale,
    "input-recreated": input_recreated,
    "snapshots-deleted": snapshots_deleted,
}
OVERLAPPING = frozenset({"freeze", "mixed"})
"""Faults under which two processes believe that they own a partition: repeats are allowed."""


class Told(NamedTuple):
    """What was read back of one topic, by what makes a record the same."""

    counts: Counter[str]

    def missing(self, expected: "Told") -> int:
        """How many of the expected were never told."""
        return len(expected.counts.keys() - self.counts.keys())

    def unexpected(self, expected: "Told") -> int:
        """How many were told that should not have been, or differ."""
        return len(self.counts.keys() - expected.counts.keys())

    @property
    def repeated(self) -> int:
        """How many were told more than once, counting every repeat."""
        return self.counts.total() - len(self.counts)


class Outcome(NamedTuple):
    """What a run came to, by topic."""

    fault: str
    times: int
    seconds: float
    lost: dict[str, int]
    unexpected: dict[str, int]
    repeated: dict[str, int]

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        repeats = 0 if self.fault in OVERLAPPING else self.repeated["alerts"]
        return not (any(self.lost.values()) or any(self.unexpected.values()) or repeats)


async def told(venue: Venue) -> dict[str, Told]:
    """Everything that was told: all that a record says makes it what it is.

    But for what is told of the market as a whole, which depends on who watches, and when.
    """
    market = MARKET.encode()
    return {
        name: Told(Counter(_content(r) for r in await venue.records(name) if r.key != market))
        for name in TOLD
    }


def _content(record: Any) -> str:
    # A dead letter's place is not the same in a topic that was made again; its bytes are its own.
    return repr((record.key, record.value))


async def undisturbed(kafka: str, folder: Path, market: Sequence[Line]) -> dict[str, Told]:
    """What is told when nothing goes wrong."""
    async with Venue(kafka, folder, REQUIRED, **PATIENT) as venue:
        fleet = Fleet(venue)
        feed = Feed(kafka, venue, market, seconds=5.0)
        async with fleet.running(1):
            await feed.run()
            await fleet.settled()
        return await told(venue)


async def disturbed(
    folder: Path,
    market: Sequence[Line],
    faults: Iterator[str],
    *,
    name: str,
    chance: random.Random,
    seconds: float,
    expected: dict[str, Told],
    whole: bool = False,
) -> Outcome:
    """The same market with faults while it is produced; what came of it.

    Parameters
    ----------
    faults
        One after the other, until there are no more or all has been produced.
    name
        What to call it.
    chance
        Decides the moments.
    seconds
        How long producing takes without faults.
    whole
        Go on with the faults even if all has been produced.
    """
    began = time.monotonic()
    times = 0
    with KafkaServer() as server:
        async with Venue(server.bootstrap_servers, folder, REQUIRED, **PATIENT) as venue:
            fleet = Fleet(venue)
            feed = Feed(server.bootstrap_servers, venue, market, seconds)
            async with fleet.running(2 if name == "freeze" else 1):
                producing = asyncio.create_task(feed.run())
                scene = Scene(server, venue, fleet, feed, chance)
                await asyncio.sleep(chance.uniform(2, 4))
                for fault in takewhile(lambda _: whole or not producing.done(), faults):
                    if chance.random() < 0.7:  # else it may still be starting, or restoring
                        await fleet.owned()
                        await asyncio.sleep(chance.uniform(0, 4))
                    await FAULTS[fault](scene)
                    times += 1
                    await asyncio.sleep(chance.uniform(1, 10))
                await producing
                await fleet.settled()
            found = await told(venue)
    for topic, its in found.items():
        differing = {
            "missing": expected[topic].counts.keys() - its.counts.keys(),
            "unexpected": its.counts.keys() - expected[topic].counts.keys(),
        }
        if any(differing.values()):
            text = json.dumps({what: sorted(records) for what, records in differing.items()})
            (folder / f"{name}-{topic}.json").write_text(text)
    return Outcome(
        name,
        times,
        round(time.monotonic() - began, 1),
        {topic: its.missing(expected[topic]) for topic, its in found.items()},
        {topic: its.unexpected(expected[topic]) for topic, its in found.items()},
        {topic: its.repeated - expected[topic].repeated for topic, its in found.items()},
    )


def _drawn(names: Sequence[str], chance: random.Random) -> Iterator[str]:
    while True:
        yield chance.choice(names)


async def chaos(names: Sequence[str], *, seed: int, rounds: int, seconds: float) -> bool:
    """Each fault by itself, in rounds; whether every promise was kept."""
    kept = True
    folder = Path(tempfile.mkdtemp(prefix="foreshock-chaos-"))
    market = lines(disturbed_market(folder / "market"), poison_every=200)
    with KafkaServer() as server:
        expected = await undisturbed(server.bootstrap_servers, folder, market)
    counts = {topic: len(its.counts) for topic, its in expected.items()}
    print(json.dumps({"records": len(market), "told": counts}), flush=True)
    for number in range(rounds):
        for name in names:
            chance = random.Random(f"{seed + number} {name}")
            outcome = await disturbed(
                folder,
                market,
                _drawn(list(FAULTS) if name == "mixed" else [name], chance),
                name=name,
                chance=chance,
                seconds=seconds,
                expected=expected,
            )
            kept &= outcome.kept
            print(json.dumps({"kept": outcome.kept, **outcome._asdict()}), flush=True)
    if not kept:
        print(f"not kept; what differs and the services' logs are in {folder}")
    return kept


def main() -> int:
    """Run what is asked for; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", help=f"of {', '.join(FAULTS)}, mixed; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=40.0, help="of producing; default 40")
    arguments = parser.parse_args()
    names = arguments.faults or [*FAULTS, "mixed"]
    kept = asyncio.run(
        chaos(names, seed=arguments.seed, rounds=arguments.rounds, seconds=arguments.seconds)
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
