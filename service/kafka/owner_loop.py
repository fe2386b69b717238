"""The loop of what one process watches for the whole venue: it retries, and stops nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

WATCH_PARTITION = 0
"""The partition number whose owner watches the venue, and to which market-wide alerts are sent."""

POLL_SECONDS = 0.5
"""The longest wait for records. It is also the interval of looking whether this process is the
owner: ownership is a state that other tasks change, not an event."""


async def watch_while_owner(
    owns: Callable[[], bool],
    watch: Callable[[], Awaitable[None]],
    forget: Callable[[], bool],
    failed: Callable[[Exception, float], None],
    waits: Callable[[], Iterator[float]],
) -> None:
    """Run forever; watch whenever this process is the owner.

    Parameters
    ----------
    owns
        Whether to watch now.
    watch
        Watches until this process is no longer the owner.
    forget
        Drops the state of the watch; returns whether there was one.
    failed
        Told of each failure, and after how many seconds the next attempt follows.
    waits
        Creates the waits between attempts, in seconds. They begin anew after a watch that ran.
    """
    its_waits = waits()
    while True:
        if not owns():
            await asyncio.sleep(POLL_SECONDS)
            continue
        try:
            await watch()
        except Exception as error:  # noqa: BLE001 - the partitions must continue
            if forget():
                its_waits = waits()
            wait = next(its_waits)
            failed(error, wait)
            await asyncio.sleep(wait)
        else:
            forget()
