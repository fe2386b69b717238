"""The kill switch on a real Kafka: deaths, two owners, lost snapshots, clocks, and operators.

A market trades all the time, in event time that is now. Three gateways ask their switches twenty
times a second: one clock is right, one is behind and one is ahead. Whatever happens, no order may
pass after the last record ends to be valid, and none may be refused for ever.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from detectors.incidents.alerts import firing
from detectors.kill_switch.switch import VALID_NS, first_break
from detectors.market_data.events import Cancel, Margin, Order, Trade
from examples.order_gateway import Order as GatewayOrder
from examples.order_gateway import Switches
from tests.kafka.broker.rig import REQUIRED, Event, Service, Venue, foreshock, until

SYMBOL = "BTC-PERP"
SKEWS = (-1.9, 0.0, 1.9)
SECOND = 1_000_000_000


class Desk:
    """Gateways that ask all the time, and when each was permitted to send an order."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.switches = [
            Switches(now_ns=lambda skew=skew: time.time_ns() + round(skew * SECOND))  # type: ignore[misc]
            for skew in SKEWS
        ]
        self.passed: list[list[int]] = [[] for _ in SKEWS]

    async def trade(self) -> None:
        """Produce a market that never ends."""
        for number in itertools.count():
            at = time.time_ns()
            its: dict[str, Any] = {"ts_event": at, "symbol": SYMBOL}
            side = "buy" if number % 2 else "sell"
            price = 100.0 - 0.5 * (number % 2)
            events = [
                ("orders", Order(**its, order_id=f"o{number}", side=side, price=price, quantity=1)),
                ("cancels", Cancel(**its, order_id=f"o{number - 9}")),
                (
                    "trades",
                    Trade(**its, trade_id=f"t{number}", price=100.0, quantity=0.1, side="buy"),
                ),
            ]
            await self._venue.produce(
                [
                    Event(stream, at, SYMBOL.encode(), msgspec.json.encode(event))
                    for stream, event in events
                ]
            )
            await asyncio.sleep(0.25)

    async def ask(self) -> None:
        """Ask every gateway twenty times a second."""
        while True:
            for switches, passed in zip(self.switches, self.passed, strict=True):
                before = time.time_ns()
                if switches.verdict(SYMBOL).permits(GatewayOrder(SYMBOL)):
                    passed.append(before)
            await asyncio.sleep(0.05)

    async def open_again(self, since_ns: int) -> None:
        """Wait until every gateway sends orders."""

        async def passes() -> bool:
            return all(passed and passed[-1] > since_ns for passed in self.passed)

        await until(passes, "every gateway sends orders")

    def state(self) -> set[str]:
        """The states that the gateways see."""
        return {switches.verdict(SYMBOL).state for switches in self.switches}

    async def sees(self, state: str) -> None:
        """Wait until every gateway sees a state."""

        async def seen() -> bool:
            return self.state() == {state}

        await until(seen, f"every gateway sees {state}")

    def between(self, since_ns: int, until_ns: int) -> list[int]:
        """The orders that passed in a time."""
        return [at for passed in self.passed for at in passed if since_ns < at < until_ns]


@asynccontextmanager
async def desk(venue: Venue) -> AsyncIterator[Desk]:
    """Gateways and a market that run until the end."""
    made = Desk(venue)
    tasks = [asyncio.create_task(made.trade()), asyncio.create_task(made.ask())]
    topic = venue.topic("killswitch")
    tasks += [asyncio.create_task(s.follow(venue.kafka, topic=topic)) for s in made.switches]
    try:
        yield made
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def command(venue: Venue, action: str, *arguments: str) -> dict[str, Any]:
    """Run the command of an operator; return the record that answers it."""
    given = ["killswitch", action, SYMBOL, "--reason", "a test", "--by", "ann", "--json"]
    done = await asyncio.to_thread(foreshock, *given, *arguments, **venue.settings)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def last_valid_ns(venue: Venue) -> int:
    """Until when the last record of the symbol's partition is valid."""
    records = await venue.records("killswitch")
    number = next(r.partition for r in records if r.key == SYMBOL.encode())
    return max(json.loads(r.value)["valid_until"] for r in records if r.partition == number)


async def dies(venue: Venue, its: Desk, service: Service) -> None:
    """Kill a service, wait until the gateways must have closed, and check that they have."""
    service.kill()
    died_ns = time.time_ns()
    valid_until = await last_valid_ns(venue)
    assert valid_until <= died_ns + VALID_NS
    await asyncio.sleep(max(0.0, (valid_until - time.time_ns()) / SECOND) + 1.0)
    assert its.between(valid_until, time.time_ns()) == []
    assert "armed" not in its.state()


async def chain_is_whole(venue: Venue) -> None:
    """Fail unless the log of the symbol is one chain, apart from repeats."""
    records = [r for r in await venue.records("switchlog") if r.key == SYMBOL.encode()]
    values = list(dict.fromkeys(r.value for r in records))
    assert len(values) > 2
    assert first_break(values) is None


async def test_a_death_closes_the_gateways_and_a_trip_outlives_deaths_and_lost_snapshots(
    kafka: str, tmp_path: Path
):
    async with Venue(kafka, tmp_path, REQUIRED, partitions=2) as venue, desk(venue) as its:
        service = venue.start()
        await its.open_again(0)

        # Killed while armed.
        await dies(venue, its, service)
        began = time.time_ns()
        service = venue.start()
        await its.open_again(began)

        # An operator trips it.
        answer = await command(venue, "trip")
        tripped_ns = time.time_ns()
        assert (answer["state"], answer["by"], answer["cause"]) == ("tripped", "ann", "command")
        await its.sees("tripped")
        metrics = await service.metrics()
        assert metrics.total("killswitch_state", symbol=SYMBOL, state="tripped") == 1
        assert metrics.total("killswitch_commands_total", action="trip") == 1

        # Killed while tripped, and all snapshots are lost.
        await dies(venue, its, service)
        await venue.recreate("snapshots")
        service = venue.start()
        await service.wait_until(
            "it says so", lambda m: m.total("killswitch_state", state="tripped")
        )
        await its.sees("tripped")
        assert its.between(tripped_ns + 2 * SECOND, time.time_ns()) == []
        drill = await command(venue, "test")
        assert (drill["drill"], drill["state"]) == (True, "tripped")
        shown = await asyncio.to_thread(foreshock, "killswitch", "status", **venue.settings)
        assert "tripped" in shown.stdout.splitlines()[1]
        assert "alive" in shown.stdout

        # Only a name and a reason arm it again.
        began = time.time_ns()
        answer = await command(venue, "rearm")
        assert answer["reason"] == "re-armed by ann: a test"
        await its.open_again(began)
        await service.stop()
        await chain_is_whole(venue)


async def test_two_owners_cannot_open_what_one_of_them_has_tripped(kafka: str, tmp_path: Path):
    async with Venue(kafka, tmp_path, REQUIRED, partitions=1) as venue, desk(venue) as its:
        first = venue.start()
        await its.open_again(0)
        second = venue.start()
        await second.wait_until("it is a member", lambda m: m.total("connected"))
        owner, other = (first, second)
        if not (await first.metrics()).total("assigned_partitions"):
            owner, other = (second, first)
        owner.freeze()
        try:
            await other.wait_until("it took over", lambda m: m.total("assigned_partitions") == 1)
            answer = await command(venue, "trip")
            tripped_ns = time.time_ns()
            assert answer["state"] == "tripped"
        finally:
            owner.thaw()  # it still believes that the symbol is its own, and armed
        await its.sees("tripped")
        await asyncio.sleep(12)
        assert its.state() == {"tripped"}
        assert its.between(tripped_ns + SECOND, time.time_ns()) == []
        began = time.time_ns()
        await command(venue, "rearm")
        await its.open_again(began)


async def test_two_families_trip_it_one_does_not_and_the_delay_is_exported(
    kafka: str, tmp_path: Path
):
    streams = (*REQUIRED, "margins")
    async with Venue(kafka, tmp_path, streams, partitions=1) as venue, desk(venue) as its:
        service = venue.start()
        await its.open_again(0)
        for rate in (0.005, 0.01):
            at = time.time_ns()
            margin = Margin(ts_event=at, symbol=SYMBOL, maintenance_margin_rate=rate)
            value = msgspec.json.encode(margin)
            await venue.produce([Event("margins", at, SYMBOL.encode(), value)])
        await its.sees("caution")
        assert its.switches[1].verdict(SYMBOL).why.endswith("the venue has tightened its limits")
        await service.wait_until(
            "the delay is exported", lambda m: m.total("killswitch_delay_seconds_count") == 1
        )
        metrics = await service.metrics()
        assert metrics.total("killswitch_symbols", state="caution") == 1
        assert metrics.total("killswitch_records_total", cause="heartbeat") > 0

        # A second family that agrees: the liquidation ladder, wherever its watch runs.
        cascade = firing(
            *(SYMBOL, "cascade", 1, "critical", at, at),
            score=1.0,
            p_value=None,
            evidence=[],
            summary="a fall of 0.8 % would do it",
            inputs=[],
        )
        await venue.send("alerts", SYMBOL.encode(), msgspec.json.encode(cascade))
        await its.sees("tripped")
        tripped_ns = time.time_ns()
        assert "the liquidation ladder is critical and the venue has tightened" in (
            its.switches[1].verdict(SYMBOL).why
        )
        service.kill()
        service = venue.start()
        await service.wait_until("it is back", lambda m: m.total("assigned_partitions") == 1)
        await service.wait_until("it says so", lambda m: m.total("killswitch_state"))
        assert its.between(tripped_ns, time.time_ns()) == []
        assert its.state() <= {"tripped", "reduce_only"}


async def test_what_cannot_be_commanded_is_told_in_a_sentence(kafka: str, tmp_path: Path):
    async with Venue(kafka, tmp_path, REQUIRED, partitions=1) as venue, desk(venue) as its:
        service = venue.start()
        await its.open_again(0)

        def run(*arguments: str) -> Any:
            return foreshock("killswitch", *arguments, **venue.settings)

        done = await asyncio.to_thread(run, "trip", "NO-SUCH", "--reason", "x", "--by", "ann")
        assert done.returncode == 1
        assert (
            "SYMBOL NO-SUCH: the topic has no kill switch of it; it has *, BTC-PERP" in done.stderr
        )
        done = await asyncio.to_thread(run, "trip", SYMBOL, "--by", "ann")
        assert (done.returncode, "trip needs --reason" in done.stderr) == (2, True)
        done = await asyncio.to_thread(run, "trip", "--reason", "x")
        assert (done.returncode, "trip needs a SYMBOL" in done.stderr) == (2, True)
        venue_wide = await asyncio.to_thread(
            run, "hold", "*", "--reason", "the matching engine is wrong", "--by", "ann"
        )
        assert venue_wide.stdout == (
            "the whole venue is held: held by ann: the matching engine is wrong\n"
        )
        await its.sees("held")
        # A command that nobody applies.
        await service.stop()
        done = await asyncio.to_thread(
            run, "rearm", SYMBOL, "--reason", "x", "--by", "ann", "--wait", "1"
        )
        assert done.returncode == 1
        assert "nobody answered within 1 s" in done.stderr
        # What is no command is a dead letter, and stops nothing.
        service = venue.start()
        await service.wait_until("it is back", lambda m: m.total("assigned_partitions") == 1)
        await venue.send("commands", SYMBOL.encode(), b'{"action": "explode"}')
        await service.wait_until(
            "it is refused", lambda m: m.total("dead_letters_total", topic=venue.topic("commands"))
        )
