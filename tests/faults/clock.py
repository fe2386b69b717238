"""Virtual time: an event loop that never waits, with processes that can freeze and die.

When nothing is ready, the clock jumps to the next timer. Hours pass in moments, and a run depends
only on its seed. Every callback belongs to the process in whose context it was scheduled. A frozen
or dead process no longer runs its callbacks: nothing is unwound, no ``finally`` block runs, and no
other process is notified, as with SIGSTOP and SIGKILL.
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
"""Start of every run by the wall clock: 2026-01-01."""

STEP_SECONDS = 1e-6
"""Duration of a callback."""

_UPTIME = 10_000.0  # the monotonic clock at the start; code may use 0 for "never"


class Process:
    """A process of the simulated machine.

    ``fuse`` is the number of callbacks after which it dies, or None. ``wall_offset_ns`` is the
    error of its wall clock.
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
    """No progress is possible: every task waits and no timer is set."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0

    def time(self) -> float:
        """Seconds since the start."""
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
        """Resume a frozen process. Everything that became due in the meantime is due now."""
        process.frozen = False
        self._ready.extend(process.parked)  # type: ignore[attr-defined]
        process.parked = []


def wall_ns(loop: VirtualLoop) -> int:
    """The wall clock of the calling process, or of the broker outside a process."""
    process = current_process.get()
    offset = process.wall_offset_ns if process is not None else 0
    return BEGIN_NS + round(loop.now * 1e9) + offset


@contextmanager
def virtual_time(loop: VirtualLoop) -> Iterator[None]:
    """Make the ``time`` module return the loop's time."""
    fakes = {
        "monotonic": lambda: _UPTIME + loop.now,
        "perf_counter": lambda: loop.now,
        "time": lambda: wall_ns(loop) / 1e9,
        "time_ns": lambda: wall_ns(loop),
    }
    with mock.patch.multiple(time, **fakes):
        yield
