"""Ending tasks for good."""

import asyncio

AGAIN_SECONDS = 2.0


async def cancel_and_wait(*tasks: asyncio.Task[None], again_seconds: float = AGAIN_SECONDS) -> None:
    """Cancel tasks until they have ended.

    One cancellation may not be enough: an error in a clean-up takes its place and is answered by
    trying again, and a library may lose it (`asyncio.wait_for` does before Python 3.12 where what
    it waits for is done at that moment). Then it is repeated after ``again_seconds``.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_seconds)
