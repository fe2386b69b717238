"""Between the clients and the broker: delays, loss, and outcomes that nobody learns.

A request that has left its process arrives, whatever becomes of the process meanwhile; one that is
lost on its way back has been carried out and is reported as timed out. What a process asks of its
group goes through one connection and arrives in the order in which it was sent.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

from tests.faults.clock import Process, VirtualLoop, current_process

LATENCY_SECONDS = (0.0005, 0.004)

OF_THE_GROUP = ("join", "heartbeat", "commit", "leave")


class Weather:
    """How requests of one kind fare at the moment.

    ``lost`` and ``unanswered`` are probabilities, ``slow_seconds`` the most that is added to a
    request's way, ``refusal`` what the next ones are refused with.
    """

    def __init__(self) -> None:
        self.lost = 0.0
        self.unanswered = 0.0
        self.slow_seconds = 0.0
        self.refusals: list[KafkaError] = []


class Network:
    """Carries requests to the broker and answers back."""

    def __init__(self, loop: VirtualLoop, context: Context, rng: random.Random) -> None:
        self._loop = loop
        self._context = context
        self._rng = rng
        self.is_down = False
        self.is_closed = False
        self.cut_off: set[Process] = set()
        self.weather: dict[str, Weather] = {}
        self.seen: Counter[str] = Counter()
        self._last_arrival: dict[Process | None, float] = {}

    async def request(self, kind: str, carry_out: Callable[[], Any], timeout_seconds: float) -> Any:
        """Have something done at the broker; its answer. Raises KafkaError as a client sees it."""
        if self.is_closed:
            raise KafkaConnectionError
        process = current_process.get()
        if not self._reaches(process):
            self.seen["unreachable"] += 1
            if self._rng.random() < 0.5:
                await asyncio.sleep(self._rng.uniform(0.001, 0.1))
                raise KafkaConnectionError
            await asyncio.sleep(timeout_seconds)
            raise RequestTimedOutError
        request = self._on_its_way(kind, process, carry_out)
        weather = self.weather.get(kind)
        if weather is not None and weather.refusals:
            self.seen[f"{kind} refused"] += 1
            refusal = weather.refusals.pop()
            await asyncio.sleep(request.there + request.back)
            raise refusal
        self._loop.call_later(request.there, self._arrive, request, context=self._context)
        expire = self._loop.call_later(timeout_seconds, request.end, None, RequestTimedOutError())
        try:
            return await request.answer
        finally:
            expire.cancel()

    def _reaches(self, process: Process | None) -> bool:
        return not self.is_down and process not in self.cut_off

    def _on_its_way(
        self, kind: str, process: Process | None, carry_out: Callable[[], Any]
    ) -> "_Request":
        there, back = self._rng.uniform(*LATENCY_SECONDS), self._rng.uniform(*LATENCY_SECONDS)
        request = _Request(kind, process, carry_out, self._loop.create_future(), there, back)
        weather = self.weather.get(kind)
        if weather is not None:
            request.there += self._rng.uniform(0, weather.slow_seconds)
            request.lost = self._rng.random() < weather.lost
            request.unanswered = self._rng.random() < weather.unanswered
        if kind in OF_THE_GROUP:
            now = self._loop.time()
            arrival = max(now + request.there, self._last_arrival.get(process, 0.0) + 1e-6)
            self._last_arrival[process] = arrival
            request.there = arrival - now
        return request

    def _arrive(self, request: "_Request") -> None:
        if request.lost or not self._reaches(request.process):
            self.seen[f"{request.kind} lost"] += 1
            return
        try:
            outcome = request.carry_out()
        except KafkaError as error:
            self._send_back(request, None, error)
            return
        if isinstance(outcome, asyncio.Future):
            outcome.add_done_callback(
                lambda done: self._send_back(request, done.result(), None), context=self._context
            )
        else:
            self._send_back(request, outcome, None)

    def _send_back(self, request: "_Request", outcome: Any, error: KafkaError | None) -> None:
        if request.unanswered or not self._reaches(request.process):
            self.seen[f"{request.kind} unanswered"] += 1
            return
        self._loop.call_later(request.back, request.end, outcome, error, context=self._context)


@dataclass(slots=True)
class _Request:
    """A request on its way, and what will become of it."""

    kind: str
    process: Process | None
    carry_out: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    there: float
    back: float
    lost: bool = False
    unanswered: bool = False

    def end(self, outcome: Any, error: KafkaError | None) -> None:
        """Let who waits go on, unless it does so already."""
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(outcome)
