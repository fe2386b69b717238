"""Cancellation of tasks that may ignore a single request, and clean-ups that may fail."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

RETRY_SECONDS = 2.0

log = structlog.get_logger("foreshock")


async def close(what: str, clean_up: Callable[[], Awaitable[object]]) -> None:
    """Run a clean-up, and log its exception instead of raising it.

    aiokafka cancels its own tasks while it closes, and may raise their CancelledError although
    nobody cancelled the caller. Only a cancellation of the caller is raised here.
    """
    closing = asyncio.ensure_future(clean_up())
    try:
        await asyncio.wait({closing})
    finally:
        closing.cancel()
    error = asyncio.CancelledError() if closing.cancelled() else closing.exception()
    if error is not None:
        log.warning("a clean-up failed", of=what, reason=repr(error))


def is_cancelled() -> bool:
    """Return whether the current task was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def cancel_and_wait(*tasks: asyncio.Task[None], retry_seconds: float = RETRY_SECONDS) -> None:
    """Cancel tasks until they have ended.

    One cancellation may not be enough. An error in a clean-up replaces it, and the task then tries
    again. A library may lose it: before Python 3.12, `asyncio.wait_for` does if its awaitable is
    done at that moment. So the cancellation is repeated every ``retry_seconds``.
    """
    remaining = set(tasks)
    while remaining:
        for task in remaining:
            task.cancel()
        _, remaining = await asyncio.wait(remaining, timeout=retry_seconds)
