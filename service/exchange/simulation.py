"""The simulated exchange: participants and venue under one clock, as a lazy stream of events."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop
from random import Random
from typing import cast

from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from service.exchange.floor import Scheduler
from service.exchange.floors import Floors
from service.exchange.measures import Truth
from service.exchange.participants.population import Population, population
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.scenarios.feeds import FeedFaults
from service.exchange.venue.contracts import Contract, contracts
from service.exchange.venue.publication import Clock

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: the default start of a simulation."""

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
    listed, participants = _checked(scenario, symbols, events_per_second)
    clock = Clock(start_ns)
    return cast(
        "Iterator[Event | Truth]", _run(scenario, seed, listed, participants, clock, duration_ns)
    )


def simulate_with_risk(
    scenario: Scenario,
    *,
    seed: int,
    symbols: int | Sequence[str] = 4,
    start_ns: int = START_NS,
    duration_ns: int,
    events_per_second: float = 30.0,
) -> Iterator[Event | RiskEvent | AuditEvent | Truth]:
    """Run the exchange as `simulate` does; yield accounts, liquidations and insurance as well.

    An audited structure adds acknowledgements and fees, see `service.exchange.structure`. All other
    events are the same as without them.
    """
    listed, participants = _checked(scenario, symbols, events_per_second)
    clock = Clock(start_ns, with_risk=True)
    return _run(scenario, seed, listed, participants, clock, duration_ns)


def _checked(
    scenario: Scenario, symbols: int | Sequence[str], events_per_second: float
) -> tuple[list[Contract], Population]:
    listed = contracts(symbols)
    participants = population(events_per_second)
    depth = scenario.structure.depth
    participants = replace(participants, size_scale=participants.size_scale * depth)
    cross = scenario.structure.cross
    acted_on = [episode.symbols or () for episode in scenario.episodes]
    for positions in (*acted_on, cross.symbols if cross is not None else ()):
        for position in positions:
            if not 0 <= position < len(listed):
                raise ValueError(
                    f"scenario {scenario.name} acts on symbol position {position}; "
                    f"there are only {len(listed)} symbols"
                )
    return listed, participants


def _run(
    scenario: Scenario,
    seed: int,
    listed: list[Contract],
    participants: Population,
    clock: Clock,
    duration_ns: int,
) -> Iterator[Event | RiskEvent | AuditEvent | Truth]:
    start_ns = clock.now
    scheduler = Scheduler(clock)
    rng = Random(f"{seed}/everywhere")
    floors = Floors(scenario, seed, listed, participants, scheduler, rng)
    floors.open()
    yield from clock.published
    clock.published.clear()
    step = min(max(0.15 / participants.pace, 0.05), 1.0)
    known: list[Truth] = []
    feed_faults = FeedFaults(f"{seed}/feed")
    end_ns = start_ns + duration_ns

    def pulse(count: int) -> None:
        known.extend(floors.pulse(count * step, step, rng.gauss(0.0, 1.0)))
        for floor in floors.floors:
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
    yield from floors.last_truths(duration_ns / _SECOND)
