"""Cancellation of tasks that may ignore a single request."""

import asyncio

RETRY_SECONDS = 2.0


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
