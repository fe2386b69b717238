"""An order gateway that obeys Foreshock's kill switches, and fails closed.

    python examples/order_gateway.py BTC-PERP ETH-PERP --fail-safe reduce_only

Sends an order a second for each symbol to a venue on paper, and prints the request log. Needs
aiokafka and no part of Foreshock. docs/kill-switch.md explains it.
"""

import argparse
import asyncio
import hashlib
import json
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

FailSafe = Literal["reduce_only", "hold", "open"]
FAIL_SAFES: dict[FailSafe, str] = {"reduce_only": "reduce_only", "hold": "held", "open": "armed"}
"""What the gateway does where it cannot rely on a switch: the state that it then assumes."""

STRICTNESS = {"armed": 0, "caution": 1, "reduce_only": 2, "tripped": 3, "held": 4}
VENUE = "*"
"""The symbol of the switch of the whole venue. The stricter of both counts."""

HEARTBEAT = "heartbeat"
SECOND_NS = 1_000_000_000
NEW_CHAIN_NS = 15 * SECOND_NS
"""A record this much younger than the last one begins a new chain, whatever its number."""


@dataclass(frozen=True)
class Order:
    """An order, or the cancel of one. ``client_order_id`` stays the same in every attempt."""

    symbol: str
    side: Literal["buy", "sell"] = "buy"
    quantity: float = 1.0
    price: float | None = None
    reduce_only: bool = False
    cancel: bool = False
    client_order_id: str = ""


@dataclass(frozen=True)
class Verdict:
    """The state that counts for a symbol now, and why."""

    state: str
    why: str

    def permits(self, order: Order) -> bool:
        """Whether an order may be sent. Cancels always may."""
        if order.cancel or self.state in ("armed", "caution"):
            return True
        return self.state in ("reduce_only", "tripped") and order.reduce_only


@asynccontextmanager
async def started(consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
    """Start a consumer, and stop it at the end, also if it is cancelled while it starts."""
    try:
        await consumer.start()
        yield
    finally:
        await consumer.stop()


class Switches:
    """The kill switches of all symbols, from the compacted topic.

    Parameters
    ----------
    fail_safe
        What counts while a switch cannot be relied on: nothing was read, nobody renews it, or its
        state is unknown to this program.
    tolerance_seconds
        How far this clock may be behind the exchange's. Records end earlier by as much.
    now_ns, monotonic
        The clocks: the exchange's time in nanoseconds since 1970, and seconds that never jump.
    """

    def __init__(
        self,
        fail_safe: FailSafe = "reduce_only",
        *,
        tolerance_seconds: float = 2.0,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.read = asyncio.Event()
        self.fail_safe = FAIL_SAFES[fail_safe]
        self._tolerance_ns = round(tolerance_seconds * SECOND_NS)
        self._clock_ns = now_ns
        self._monotonic = monotonic
        self._known: dict[str, dict[str, Any]] = {}
        self._partition_of: dict[str, int] = {}
        self._valid_until: dict[int, int] = {}
        # The newest event time that was read, and when: a clock that is behind cannot hide it.
        self._newest: tuple[int, float] = (0, 0.0)

    def now_ns(self) -> int:
        """The exchange's time: this clock, unless records show that it is behind."""
        newest_ns, read_at = self._newest
        since_ns = round((self._monotonic() - read_at) * SECOND_NS)
        return max(self._clock_ns(), newest_ns + since_ns) if newest_ns else self._clock_ns()

    def verdict(self, symbol: str) -> Verdict:
        """The state that counts for a symbol now: its own, or the venue's if that is stricter."""
        if not self.read.is_set():
            return Verdict(self.fail_safe, "the kill switches have not been read completely")
        return max(
            (self._verdict(name) for name in (symbol, VENUE)), key=lambda v: STRICTNESS[v.state]
        )

    def _verdict(self, name: str) -> Verdict:
        switch, now_ns = self._known.get(name), self.now_ns()
        if switch is None:
            return Verdict(self.fail_safe, f"there is no kill switch of {name}")
        state, until = switch["state"], switch["until"]
        if state not in STRICTNESS:
            return Verdict(self.fail_safe, f"{name} has the unknown state {state!r}")
        said = Verdict(state, f"{name} is {state}: {switch['reason']}")
        lasts = until is None or now_ns < until
        valid_until = self._valid_until[self._partition_of[name]] - self._tolerance_ns
        if now_ns <= valid_until and lasts:
            return said
        assumed = Verdict(self.fail_safe, f"{name} was {state}, and nobody confirms it any more")
        stricter = STRICTNESS[state] > STRICTNESS[self.fail_safe]
        return said if lasts and until is not None and stricter else assumed

    def take(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Process a record of the topic. A record without a value removes a switch."""
        name = key.decode("utf-8", "replace")
        if value is None:
            self._known.pop(name, None)
            return
        switch = _decoded(value)
        valid_until = switch.get("valid_until", 0)  # Foreshock before 0.2 had none
        self._valid_until[partition] = max(self._valid_until.get(partition, 0), valid_until)
        if switch["ts_event"] > self._newest[0]:
            self._newest = switch["ts_event"], self._monotonic()
        if switch.get("cause") == HEARTBEAT:
            return
        switch["hash"] = hashlib.sha256(value).hexdigest()
        known = self._known.get(name)
        if known is None or self._follows(known, switch):
            self._known[name] = switch
            self._partition_of[name] = partition

    def _follows(self, known: dict[str, Any], switch: dict[str, Any]) -> bool:
        """Whether a record replaces the known one. Two owners may write for a moment."""
        later_ns = switch["ts_event"] - known["ts_event"]
        if switch.get("sequence", 0) > known.get("sequence", 0) and later_ns >= 0:
            return True
        if switch["hash"] == known["hash"]:
            return False
        if later_ns > NEW_CHAIN_NS:
            return True
        # They contradict each other: the stricter one counts until a later record decides.
        strictest = len(STRICTNESS)
        return STRICTNESS.get(switch["state"], strictest) > STRICTNESS.get(
            known["state"], strictest
        )

    @property
    def tripped(self) -> dict[str, int]:
        """When each switch that says so now was tripped, by symbol: cancel what rests there."""
        names = (*self._known,) if self.read.is_set() else ()
        tripped = (name for name in names if self._verdict(name).state == "tripped")
        return {name: self._known[name].get("since", 0) for name in tripped}

    async def follow(self, servers: str, *, topic: str = "foreshock.killswitch") -> None:
        """Keep the state equal to the topic's; run until cancelled."""
        # No group: every gateway reads the whole topic from the beginning.
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
        )
        async with started(consumer):
            tps = list(consumer.assignment())
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            while True:
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        self.take(tp.partition, record.key, record.value)
                if not self.read.is_set():
                    positions = {tp: await consumer.position(tp) for tp in tps}
                    if all(positions[tp] >= ends[tp] for tp in tps):
                        self.read.set()


def _decoded(value: bytes) -> dict[str, Any]:
    """The fields of a record. What is no record has a state that nobody knows."""
    try:
        switch = json.loads(value)
        _ = switch["state"], switch["until"], switch["reason"], switch["ts_event"] + 0
    except (ValueError, TypeError, KeyError):
        return {"state": "unreadable", "until": None, "reason": "", "ts_event": 0}
    return dict(switch)


class RateLimit:
    """At most ``per_second`` requests a second, and ``burst`` at once."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._left = float(burst)
        self._at = monotonic()

    def wait_seconds(self, cost: float = 1.0) -> float:
        """Take a request; return how long it must wait. ``cost`` is above 1 in caution."""
        now = self._monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - cost
        self._at = now
        return max(0.0, -self._left / self._per_second)


def delays(rng: random.Random, first_seconds: float, max_seconds: float) -> Iterator[float]:
    """Yield waits whose limit doubles, each drawn between zero and its limit ("full jitter")."""
    limit = first_seconds
    while True:
        yield rng.uniform(0.0, limit)
        limit = min(max_seconds, 2.0 * limit)


class TryAgainError(Exception):
    """The venue did not take the request, and the same request may be sent again."""


Send = Callable[[Order], Awaitable[str]]
"""Sends an order; returns the venue's answer, or raises TryAgainError, OSError or TimeoutError."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a gateway: its rate, and its attempts for an order."""

    orders_per_second: float = 10.0
    burst: int = 10
    caution_cost: float = 4.0
    attempts: int = 5
    first_wait_seconds: float = 0.2
    max_wait_seconds: float = 5.0


class Gateway:
    """Sends orders that the kill switches permit.

    Parameters
    ----------
    switches
        The kill switches.
    send
        Sends an order to the venue.
    log
        Takes a line of the request log for each decision, attempt and answer.
    limits
        The bounds.
    rng
        Draws the jitter.
    sleep, monotonic
        The clock.
    """

    def __init__(
        self,
        switches: Switches,
        send: Send,
        log: Callable[[dict[str, Any]], None],
        limits: Limits = Limits(),
        *,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._switches = switches
        self._send = send
        self._log = log
        self._limits = limits
        self._rng = rng or random.Random()  # noqa: S311 - spreads load; not for security
        self._sleep = sleep
        self._rate = RateLimit(limits.orders_per_second, limits.burst, monotonic)
        self._cancelled: dict[str, int] = {}

    async def submit(self, order: Order) -> str:
        """Send an order if it may be sent; return ``refused``, ``failed`` or the venue's answer.

        The switch is asked last, directly before each attempt: it may have changed in every wait.
        """
        order = replace(order, client_order_id=order.client_order_id or uuid.uuid4().hex)
        waits = delays(self._rng, self._limits.first_wait_seconds, self._limits.max_wait_seconds)
        for attempt in range(1, self._limits.attempts + 1):
            cautious = self._switches.verdict(order.symbol).state == "caution"
            wait = self._rate.wait_seconds(self._limits.caution_cost if cautious else 1.0)
            if wait and not order.cancel:
                await self._sleep(wait)
            verdict = self._switches.verdict(order.symbol)
            if not verdict.permits(order):
                return self._note("refused", order, attempt, verdict)
            self._note("sent", order, attempt, verdict)
            try:
                return self._note(await self._send(order), order, attempt, verdict)
            except (TryAgainError, OSError, TimeoutError) as error:
                self._note("retry", order, attempt, verdict, repr(error))
                await self._sleep(next(waits))
        return self._note("failed", order, self._limits.attempts, verdict)

    async def cancel_what_is_tripped(self, cancel_all: Callable[[str], Awaitable[None]]) -> None:
        """Cancel the resting orders of each symbol that was tripped, once a trip.

        ``cancel_all`` gets ``*`` for those of all symbols.
        """
        for symbol, since in self._switches.tripped.items():
            if self._cancelled.get(symbol) != since:
                await cancel_all(symbol)
                self._cancelled[symbol] = since
                verdict = self._switches.verdict(symbol)
                self._note("cancelled_all", Order(symbol, cancel=True), 1, verdict)

    def _note(
        self, what: str, order: Order, attempt: int, verdict: Verdict, error: str = ""
    ) -> str:
        line = {"at": self._switches.now_ns(), "event": what, **asdict(order)}
        line |= {"attempt": attempt, "state": verdict.state, "why": verdict.why, "error": error}
        self._log(line)
        return what


async def trade(options: argparse.Namespace) -> None:
    """Send an order a second for each symbol to a venue on paper."""
    switches = Switches(options.fail_safe, tolerance_seconds=options.tolerance_seconds)

    async def on_paper(_: Order) -> str:
        return "accepted"

    async def cancel_all(_: str) -> None:
        return None

    def show(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    limits = Limits(orders_per_second=options.rate)
    gateway = Gateway(switches, on_paper, show, limits)
    following = asyncio.create_task(switches.follow(options.servers, topic=options.topic))
    while not following.done():
        await gateway.cancel_what_is_tripped(cancel_all)
        for symbol in options.symbols:
            await gateway.submit(Order(symbol))
        await asyncio.wait({following}, timeout=1)
    following.result()


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description="Trade on paper, as the kill switches permit.")
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--servers", default="localhost:9092")
    parser.add_argument("--topic", default="foreshock.killswitch")
    parser.add_argument("--fail-safe", choices=list(FAIL_SAFES), default="reduce_only")
    parser.add_argument("--tolerance-seconds", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=10.0, help="orders per second")
    options = parser.parse_args()
    try:
        asyncio.run(trade(options))
    except KafkaError as error:
        sys.exit(f"{options.topic} on {options.servers}: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
