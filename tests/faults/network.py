"""The network between clients and broker: delays, loss, and unknown outcomes.

A request that has left its process arrives, even if the process dies. A request whose answer is
lost has been carried out and is reported as timed out. Group requests of a process use one
connection and arrive in the order of sending.
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

GROUP_REQUESTS = ("join", "heartbeat", "commit", "leave")


class Disturbance:
    """The current disturbance of one kind of request.

    ``lost`` and ``unanswered`` are probabilities. ``slow_seconds`` is the maximum extra delay of a
    request. ``refusals`` are the errors of the next requests.
    """

    def __init__(self) -> None:
        self.lost = 0.0
        self.unanswered = 0.0
        self.slow_seconds = 0.0
        self.refusals: list[KafkaError] = []


class Network:
    """Carries requests to the broker, and answers back."""

    def __init__(self, loop: VirtualLoop, context: Context, rng: random.Random) -> None:
        self._loop = loop
        self._context = context
        self._rng = rng
        self.is_down = False
        self.is_closed = False
        self.cut_off: set[Process] = set()
        self.disturbances: dict[str, Disturbance] = {}
        self.counts: Counter[str] = Counter()
        self._last_arrival: dict[Process | None, float] = {}

    async def request(self, kind: str, carry_out: Callable[[], Any], timeout_seconds: float) -> Any:
        """Carry out a request at the broker; return its answer. Raises KafkaError."""
        if self.is_closed:
            raise KafkaConnectionError
        process = current_process.get()
        if not self.reaches(process):
            self.counts["unreachable"] += 1
            if self._rng.random() < 0.5:
                await asyncio.sleep(self._rng.uniform(0.001, 0.1))
                raise KafkaConnectionError
            await asyncio.sleep(timeout_seconds)
            raise RequestTimedOutError
        request = self._new_request(kind, process, carry_out)
        disturbance = self.disturbances.get(kind)
        if disturbance is not None and disturbance.refusals:
            self.counts[f"{kind} refused"] += 1
            refusal = disturbance.refusals.pop()
            await asyncio.sleep(request.forward_seconds + request.return_seconds)
            raise refusal
        self._loop.call_later(request.forward_seconds, self._arrive, request, context=self._context)
        expire = self._loop.call_later(timeout_seconds, request.end, None, RequestTimedOutError())
        try:
            return await request.answer
        finally:
            expire.cancel()

    def reaches(self, process: Process | None) -> bool:
        """Whether what a process sends arrives."""
        return not self.is_down and process not in self.cut_off

    def _new_request(
        self, kind: str, process: Process | None, carry_out: Callable[[], Any]
    ) -> "_Request":
        forward_seconds, return_seconds = (
            self._rng.uniform(*LATENCY_SECONDS),
            self._rng.uniform(*LATENCY_SECONDS),
        )
        request = _Request(
            kind, process, carry_out, self._loop.create_future(), forward_seconds, return_seconds
        )
        disturbance = self.disturbances.get(kind)
        if disturbance is not None:
            request.forward_seconds += self._rng.uniform(0, disturbance.slow_seconds)
            request.lost = self._rng.random() < disturbance.lost
            request.unanswered = self._rng.random() < disturbance.unanswered
        if kind in GROUP_REQUESTS:
            now = self._loop.time()
            arrival = max(
                now + request.forward_seconds, self._last_arrival.get(process, 0.0) + 1e-6
            )
            self._last_arrival[process] = arrival
            request.forward_seconds = arrival - now
        return request

    def _arrive(self, request: "_Request") -> None:
        if request.lost or not self.reaches(request.process):
            self.counts[f"{request.kind} lost"] += 1
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
        if request.unanswered or not self.reaches(request.process):
            self.counts[f"{request.kind} unanswered"] += 1
            return
        self._loop.call_later(
            request.return_seconds, request.end, outcome, error, context=self._context
        )


@dataclass(slots=True)
class _Request:
    """A request in flight, and its outcome."""

    kind: str
    process: Process | None
    carry_out: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    forward_seconds: float
    return_seconds: float
    lost: bool = False
    unanswered: bool = False

    def end(self, outcome: Any, error: KafkaError | None) -> None:
        """Resolve the request, unless it is resolved already."""
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(outcome)
