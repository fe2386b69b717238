"""Virtual time: an event loop that never waits, and processes in it that can freeze and die.

When nothing is ready the clock jumps to the next timer, so hours pass in moments and a run depends
on nothing but its seed. Every callback belongs to the process in whose context it was scheduled.
A process that is frozen, or dead, no longer runs its callbacks: nothing of it is unwound, no
``finally`` runs and nobody is told, as with SIGSTOP and SIGKILL.
"""

import asyncio
import heapq
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unittest import mock

BEGIN_NS = 1_767_225_600_000_000_000
"""When every run begins, by the wall clock: 2026-01-01."""

STEP_SECONDS = 1e-6
"""What a callback takes."""

_UPTIME = 10_000.0  # the monotonic clock at the beginning; a process may think 0 is "never"


class Process:
    """A process of the simulated machine.

    ``fuse`` counts the callbacks down after which it dies, None where it is not to.
    ``wall_offset_ns`` is by how much its wall clock is wrong.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.dead = False
        self.fuse: int | None = None
        self.wall_offset_ns = 0
        self.parked: list[asyncio.Handle] = []


current_process: ContextVar[Process | None] = ContextVar("current_process", default=None)


class StalledError(Exception):
    """Nothing can happen any more: everybody waits and no timer is set."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                raise StalledError
            self.now = max(self.now, timers[0].when())
        while timers and timers[0].when() <= self.now:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            process = handle._context.get(current_process)
            if process is not None:
                if process.fuse is not None:
                    process.fuse -= 1
                    process.dead = process.dead or process.fuse < 0
                if process.frozen or process.dead:
                    process.parked.append(handle)
                    continue
            self.steps += 1
            self.now += STEP_SECONDS
            handle._run()

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on: all that became due meanwhile is due now."""
        process.frozen = False
        self._ready.extend(process.parked)  # type: ignore[attr-defined]
        process.parked = []


def wall_ns(loop: VirtualLoop) -> int:
    """The wall clock of the process that asks; the broker's where none does."""
    process = current_process.get()
    offset = process.wall_offset_ns if process is not None else 0
    return BEGIN_NS + round(loop.now * 1e9) + offset


@contextmanager
def virtual_time(loop: VirtualLoop) -> Iterator[None]:
    """Let the ``time`` module tell the loop's time."""
    fakes = {
        "monotonic": lambda: _UPTIME + loop.now,
        "perf_counter": lambda: loop.now,
        "time": lambda: wall_ns(loop) / 1e9,
        "time_ns": lambda: wall_ns(loop),
    }
    with mock.patch.multiple(time, **fakes):
        yield
