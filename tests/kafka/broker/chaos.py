"""Fault injection with real processes on a real broker, and a comparison of every output record.

``make chaos`` runs this file. For each fault: separate topics, the same market produced at a fixed
pace, ``foreshock run`` as processes that are restarted when they end, and the fault repeated at
random times drawn from the seed. Afterwards alerts, signals, kill switches and dead letters are
compared with those of an undisturbed run.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from deploy.kafka.kafka import KafkaServer
from detectors.incidents.market_wide import MARKET
from tests.kafka.broker.chaos_faults import (
    AT_THE_END,
    FAULTS,
    IDLE_SECONDS,
    LOSSES,
    MIXED,
    OVERLAPPING,
    Scene,
)
from tests.kafka.broker.fleet import Feed, Fleet, Line, lines
from tests.kafka.broker.markets import disturbed_market
from tests.kafka.broker.rig import REQUIRED, Venue

COMPARED_TOPICS = ("alerts", "signals", "killswitch", "deadletters")
PATIENT = {
    # The market runs faster than the clock here, so a topic that is quiet for half a second is not
    # idle. After all records have been produced, the topics become idle and everything is released.
    "TIME__IDLE_AFTER_MS": f"{IDLE_SECONDS * 1e3:.0f}",
    "LOG__LEVEL": "info",
}


class Published(NamedTuple):
    """The records read back from one topic, counted by content."""

    counts: Counter[str]

    def missing(self, expected: "Published") -> int:
        """The number of expected records that were not published."""
        return len(expected.counts.keys() - self.counts.keys())

    def unexpected(self, expected: "Published") -> int:
        """The number of published records that were not expected, or that differ."""
        return len(self.counts.keys() - expected.counts.keys())

    @property
    def repeated(self) -> int:
        """The number of repeated records, counting every repeat."""
        return self.counts.total() - len(self.counts)


class Outcome(NamedTuple):
    """The results of a run, by topic."""

    fault: str
    times: int
    seconds: float
    lost: dict[str, int]
    unexpected: dict[str, int]
    repeated: dict[str, int]
    deleted_unread: int = 0
    wrongly_named: int = 0
    """How many deleted offsets were not named as lost, or named without a reason."""

    @property
    def kept(self) -> bool:
        """Whether the delivery guarantee held."""
        if self.wrongly_named:
            return False
        if self.fault in LOSSES:
            return self.repeated["alerts"] == 0
        repeats = 0 if self.fault in OVERLAPPING else self.repeated["alerts"]
        return not (any(self.lost.values()) or any(self.unexpected.values()) or repeats)


async def published_records(venue: Venue) -> dict[str, Published]:
    """All published records, identified by their complete content.

    Market-wide records are excluded: they depend on the process that detects them, and on time.
    """
    return {
        name: Published(
            Counter(_content(r) for r in await venue.records(name) if _is_of_the_market(r))
        )
        for name in COMPARED_TOPICS
    }


def _content(record: Any) -> str:
    # A dead letter's offset differs in a recreated topic; its key and value do not.
    value = json.loads(record.value) if record.value.startswith(b"{") else {}
    if "cause" in value:  # the numbers and hashes of a switch depend on what is told again
        told = ("symbol", "state", "ts_event", "until", "reason", "alert_id", "since")
        return repr([value[name] for name in told])
    return repr((record.key, record.value))


def _is_of_the_market(record: Any) -> bool:
    """Whether a record depends on the market alone, and not on owners and clocks.

    Heartbeats, renewals and what is told again do.
    """
    if record.key == MARKET.encode():
        return False
    value = json.loads(record.value) if record.value.startswith(b"{") else {}
    return value.get("cause") in (None, "started", "transition")


async def undisturbed(kafka: str, folder: Path, market: Sequence[Line]) -> dict[str, Published]:
    """The records published without faults."""
    async with Venue(kafka, folder, REQUIRED, **PATIENT) as venue:
        fleet = Fleet(venue)
        feed = Feed(kafka, venue, market, seconds=5.0)
        async with fleet.running(1):
            await feed.run()
            await fleet.settled()
        return await published_records(venue)


async def disturbed(
    folder: Path,
    market: Sequence[Line],
    faults: Iterator[str],
    *,
    name: str,
    chance: random.Random,
    seconds: float,
    expected: dict[str, Published],
    whole: bool = False,
) -> Outcome:
    """Produce the same market with faults; return the outcome.

    Parameters
    ----------
    faults
        Injected one after the other, until there are no more or everything has been produced.
    name
        The name of the run.
    chance
        Determines the times.
    seconds
        Duration of production without faults.
    whole
        Inject all faults even if everything has been produced.
    """
    began = time.monotonic()
    times = 0
    with KafkaServer() as server:
        async with Venue(server.bootstrap_servers, folder, REQUIRED, **PATIENT) as venue:
            fleet = Fleet(venue)
            feed = Feed(server.bootstrap_servers, venue, market, seconds)
            async with fleet.running(2 if name == "freeze" else 1):
                producing = asyncio.create_task(feed.run())
                scene = Scene(server, venue, fleet, feed, chance, set())
                await asyncio.sleep(chance.uniform(2, 4))
                for fault in takewhile(lambda _: whole or not producing.done(), faults):
                    if chance.random() < 0.7:  # otherwise it may still be starting or restoring
                        await fleet.owned()
                        await asyncio.sleep(chance.uniform(0, 4))
                    await FAULTS[fault](scene)
                    times += 1
                    await asyncio.sleep(chance.uniform(1, 10))
                await producing
                if name in AT_THE_END:
                    await FAULTS[name](scene)
                    times += 1
                await fleet.settled()
            published_by_topic = await published_records(venue)
            named = {
                (line["topic"], line["partition"], offset)
                for service in venue._services
                for line in service.log(
                    "records are lost: Kafka deleted them before they were read"
                )
                for offset in range(line["from_offset"], line["to_offset"])
            }
    for topic, published in published_by_topic.items():
        differences = {
            "missing": expected[topic].counts.keys() - published.counts.keys(),
            "unexpected": published.counts.keys() - expected[topic].counts.keys(),
        }
        if any(differences.values()):
            text = json.dumps({kind: sorted(records) for kind, records in differences.items()})
            (folder / f"{name}-{topic}.json").write_text(text)
    return Outcome(
        name,
        times,
        round(time.monotonic() - began, 1),
        {
            topic: published.missing(expected[topic])
            for topic, published in published_by_topic.items()
        },
        {
            topic: published.unexpected(expected[topic])
            for topic, published in published_by_topic.items()
        },
        {
            topic: published.repeated - expected[topic].repeated
            for topic, published in published_by_topic.items()
        },
        deleted_unread=len(scene.lost),
        wrongly_named=len(named ^ scene.lost),
    )


def _random_faults(names: Sequence[str], chance: random.Random) -> Iterator[str]:
    while True:
        yield chance.choice(names)


async def chaos(
    names: Sequence[str],
    *,
    seed: int,
    rounds: int,
    seconds: float,
    once: bool = False,
    kafka: str | None = None,
) -> bool:
    """Run each fault separately, in rounds; return whether every guarantee held.

    Parameters
    ----------
    once
        Instead inject all faults in one run, one after the other, each once.
    kafka
        The broker of the undisturbed run; None for a new one.
    """
    kept = True
    folder = Path(tempfile.mkdtemp(prefix="foreshock-chaos-"))
    market = lines(disturbed_market(folder / "market"), poison_every=200)
    if kafka is not None:
        expected = await undisturbed(kafka, folder, market)
    else:
        with KafkaServer() as server:
            expected = await undisturbed(server.bootstrap_servers, folder, market)
    counts = {topic: len(published.counts) for topic, published in expected.items()}
    print(json.dumps({"records": len(market), "published": counts}), flush=True)
    for number in range(rounds):
        for name in ["once"] if once else names:
            chance = random.Random(f"{seed + number} {name}")
            repeated = _random_faults(MIXED if name == "mixed" else [name], chance)
            outcome = await disturbed(
                folder,
                market,
                iter(names) if once else repeated,
                name=name,
                chance=chance,
                seconds=seconds,
                expected=expected,
                whole=once,
            )
            kept &= outcome.kept
            print(json.dumps({"kept": outcome.kept, **outcome._asdict()}), flush=True)
    if not kept:
        print(f"guarantee broken; the differing records and the services' logs are in {folder}")
    return kept


def main() -> int:
    """Run the requested faults; return 1 if a guarantee was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", help=f"of {', '.join(FAULTS)}, mixed; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=40.0, help="duration of production; default 40"
    )
    parser.add_argument(
        "--once", action="store_true", help="all faults in one run, each once, one after the other"
    )
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", help="broker of the undisturbed run; default: a new one"
    )
    arguments = parser.parse_args()
    names = arguments.faults or ([*MIXED] if arguments.once else [*FAULTS, "mixed"])
    kept = asyncio.run(
        chaos(
            names,
            seed=arguments.seed,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            once=arguments.once,
            kafka=arguments.kafka,
        )
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
