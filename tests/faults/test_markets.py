"""The simulated market holds what it is meant to hold: pauses, an expiry, and dates ahead."""

import asyncio
import random
from itertools import count, islice

import msgspec
import pytest

import service.kafka.reading
from tests.faults import announcements, simulate
from tests.faults.announcements import STRANGERS
from tests.faults.faults import plan
from tests.faults.invariants import Result, result
from tests.faults.log_faults import retention_while_stopped
from tests.faults.markets import Sent, without_dates_ahead
from tests.faults.world import World
from tests.pipeline.events import BEGIN, SECOND

NUMBER = simulate.MARKETS[0]


def undisturbed(sent: list[Sent]) -> tuple[World, Result]:
    world = World(0, sent)
    results: list[Result] = []

    async def scenario(world: World) -> None:
        world.launch(world.instances[0])
        world.background_tasks = [asyncio.get_running_loop().create_task(world.write())]
        await simulate._settle(world, None)
        results.append(result(world))

    world.run_scenario(scenario)
    assert world.failures == []
    return world, results[0]


def test_a_symbol_is_paused_when_the_venue_says_so_and_judged_between_the_pauses():
    _, its = undisturbed(simulate.market(NUMBER))
    for symbol, announced in announcements.PLANS.items():
        signals = [value for key, value in its.signals.items() if key.startswith(symbol)]
        states = [
            ((signal["ts_event"] - BEGIN) // SECOND, reading["status"])
            for signal in map(msgspec.json.decode, signals)
            for reading in signal["detectors"].values()
        ]
        for second, state, _ in announced:
            if state != "expired":
                assert (second, "paused") in states, (symbol, second, state)
        assert any(state == "scoring" for _, state in states), symbol
    assert its.alerts


def test_events_that_are_dated_ahead_change_nothing_of_the_others():
    market = simulate.market(NUMBER)
    plain = without_dates_ahead(market)
    assert len(market) - len(plain) > 20
    _, with_strangers = undisturbed(market)
    _, without = undisturbed(plain)
    assert with_strangers.alerts == without.alerts
    assert {
        key: value
        for key, value in with_strangers.signals.items()
        if key.split()[0] not in STRANGERS
    } == without.signals
    refused = with_strangers.dead_letters - without.dead_letters
    assert refused, "some are dated too far ahead"


def test_a_loss_that_nobody_names_is_detected(monkeypatch: pytest.MonkeyPatch):
    def loses(seed: int) -> bool:
        return any(fault is retention_while_stopped for _, fault in plan(random.Random(seed)))

    monkeypatch.setattr(service.kafka.reading.InputReader, "_lost", lambda *_: None)
    seeds = islice(filter(loses, count()), 3)
    failures = [failure for seed in seeds for failure in simulate.disturbed(seed).failures]
    assert any("nobody said that" in failure for failure in failures)
