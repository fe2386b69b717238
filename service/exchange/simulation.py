"""The simulated exchange: participants and venue under one clock, as a lazy stream of events."""

from collections.abc import Iterator, Sequence
from heapq import heappop
from random import Random

from detectors.market_data.events import Event
from service.exchange.floor import Floor, Scheduler
from service.exchange.measures import Truth
from service.exchange.participants.population import Population, population
from service.exchange.participants.traders import UNLEVERAGED_ACCOUNTS
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.scenarios.feeds import FeedFaults
from service.exchange.venue.contracts import Contract, contracts
from service.exchange.venue.venue import Clock

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: the default start of a simulation."""

ACCOUNTS = 2_000
"""Accounts of the whole venue. Each contract is traded by some of them."""

_SECOND = 1_000_000_000


def simulate(
    scenario: Scenario,
    *,
    seed: int,
    symbols: int | Sequence[str] = 4,
    start_ns: int = START_NS,
    duration_ns: int,
    events_per_second: float = 30.0,
) -> Iterator[Event | Truth]:
    """Run the exchange and yield the published events in event-time order.

    The same arguments give the same events. Each ground-truth record is yielded between the events,
    as soon as it is known.

    Parameters
    ----------
    scenario
        The scenario to inject; see `service.exchange.scenarios.catalogue.scenario`.
    seed
        Any integer.
    symbols
        The number of contracts from the catalogue, or the contracts' names.
    start_ns, duration_ns
        Market time: the start in nanoseconds since the epoch, and the duration in nanoseconds.
    events_per_second
        Mean number of orders, cancels and trades per second and symbol in calm conditions.

    Raises
    ------
    ValueError
        If the activity, the symbols or the scenario's symbols are out of range.
    """
    listed = contracts(symbols)
    participants = population(events_per_second)
    for episode in scenario.episodes:
        for position in episode.symbols or ():
            if not 0 <= position < len(listed):
                raise ValueError(
                    f"scenario {scenario.name} acts on symbol position {position}; "
                    f"there are only {len(listed)} symbols"
                )
    return _run(scenario, seed, listed, participants, start_ns, duration_ns)


def _run(
    scenario: Scenario,
    seed: int,
    listed: list[Contract],
    participants: Population,
    start_ns: int,
    duration_ns: int,
) -> Iterator[Event | Truth]:
    clock = Clock(start_ns)
    scheduler = Scheduler(clock)
    rng = Random(f"{seed}/everywhere")
    names = [f"{number:08x}" for number in rng.sample(range(2**32), ACCOUNTS)]
    floors = [
        Floor(
            contract,
            participants,
            scheduler,
            f"{seed}",
            names[: participants.makers],
            rng.sample(
                names[participants.makers :], participants.traders + UNLEVERAGED_ACCOUNTS + 1
            ),
            [
                episode
                for episode in scenario.episodes
                if episode.symbols is None or position in episode.symbols
            ],
        )
        for position, contract in enumerate(listed)
    ]
    for floor in floors:
        floor.open()
    yield from clock.published
    clock.published.clear()
    step = min(max(0.15 / participants.pace, 0.05), 1.0)
    known: list[Truth] = []
    feed_faults = FeedFaults(f"{seed}/feed")
    end_ns = start_ns + duration_ns

    def pulse(count: int) -> None:
        elapsed = count * step
        common = rng.gauss(0.0, 1.0)
        for floor in floors:
            floor.pulse(elapsed, step, common)
            known.extend(floor.truths(elapsed, start_ns, final=False))
            feed_faults.update(floor.market.symbol, floor.controls)
        due = start_ns + int((count + 1) * step * _SECOND) - clock.now
        scheduler.after(due / _SECOND, pulse, count + 1)

    scheduler.after(step, pulse, 1)
    heap = scheduler.heap
    published = clock.published
    while heap[0][0] < end_ns:
        due, _, call, argument = heappop(heap)
        clock.now = max(due, clock.now)
        call(argument)
        if published:
            yield from feed_faults.apply(published)
            published.clear()
        if known:
            yield from known
            known.clear()
    clock.now = max(clock.now, end_ns)
    for floor in floors:
        yield from floor.truths(duration_ns / _SECOND, start_ns, final=True)
