"""The simulated exchange: participants and venue under one clock, as a lazy stream of events."""

from collections.abc import Iterator, Sequence
from heapq import heappop
from random import Random

from detectors.market_data.events import Event
from service.exchange.floor import Agenda, Floor
from service.exchange.measures import Truth
from service.exchange.participants.population import Population, population
from service.exchange.participants.traders import PATIENT_ACCOUNTS
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.scenarios.feeds import Wire
from service.exchange.venue.contracts import Contract, contracts
from service.exchange.venue.venue import Clock

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: where simulations start that are not told otherwise."""

ACCOUNTS = 2_000
"""Accounts of the whole venue; each contract is traded by some of them."""

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
    """Run the exchange, and yield what it publishes, in event-time order.

    Same arguments, same events. The ground truth comes in between, each record once it is known.

    Parameters
    ----------
    scenario
        What is provoked; see `service.exchange.scenarios.catalogue.scenario`.
    seed
        Any integer.
    symbols
        How many contracts of the catalogue, or which.
    start_ns, duration_ns
        Market time: nanoseconds since the epoch at which it begins, and for how long it runs.
    events_per_second
        Mean number of orders, cancels and trades a second and symbol, in calm.

    Raises
    ------
    ValueError
        If the activity, the symbols or the scenario's symbols are out of range.
    """
    listed = contracts(symbols)
    people = population(events_per_second)
    for episode in scenario.episodes:
        for position in episode.symbols or ():
            if not 0 <= position < len(listed):
                raise ValueError(
                    f"scenario {scenario.name} acts on symbol number {position}, "
                    f"but there are only {len(listed)}"
                )
    return _run(scenario, seed, listed, people, start_ns, duration_ns)


def _run(
    scenario: Scenario,
    seed: int,
    listed: list[Contract],
    people: Population,
    start_ns: int,
    duration_ns: int,
) -> Iterator[Event | Truth]:
    clock = Clock(start_ns)
    agenda = Agenda(clock)
    rng = Random(f"{seed}/everywhere")
    names = [f"{number:08x}" for number in rng.sample(range(2**32), ACCOUNTS)]
    floors = [
        Floor(
            contract,
            people,
            agenda,
            f"{seed}",
            names[: people.makers],
            rng.sample(names[people.makers :], people.traders + PATIENT_ACCOUNTS + 1),
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
    step = min(max(0.15 / people.pace, 0.05), 1.0)
    known: list[Truth] = []
    wire = Wire(f"{seed}/feed")
    end_ns = start_ns + duration_ns

    def pulse(count: int) -> None:
        elapsed = count * step
        common = rng.gauss(0.0, 1.0)
        for floor in floors:
            floor.pulse(elapsed, step, common)
            known.extend(floor.truths(elapsed, start_ns, final=False))
            wire.follow(floor.market.symbol, floor.controls)
        due = start_ns + int((count + 1) * step * _SECOND) - clock.now
        agenda.after(due / _SECOND, pulse, count + 1)

    agenda.after(step, pulse, 1)
    heap = agenda.heap
    published = clock.published
    while heap[0][0] < end_ns:
        due, _, call, argument = heappop(heap)
        clock.now = max(due, clock.now)
        call(argument)
        if published:
            yield from wire.arriving(published)
            published.clear()
        if known:
            yield from known
            known.clear()
    clock.now = max(clock.now, end_ns)
    for floor in floors:
        yield from floor.truths(duration_ns / _SECOND, start_ns, final=True)
