"""A cancelled task ends, even if its cancellation is lost once."""

import asyncio
import contextlib

from service.cancellation import cancel_and_wait


async def forever():
    await asyncio.Event().wait()


async def retrying():
    """Retries after every error; a failing clean-up replaces its cancellation."""
    failures = 0
    while True:
        try:
            try:
                await forever()
            finally:
                failures += 1
                if failures < 3:
                    raise ValueError
        except ValueError:
            continue


async def ignoring_once():
    with contextlib.suppress(asyncio.CancelledError):
        await forever()
    await forever()


async def test_a_cancellation_that_is_lost_is_repeated():
    tasks = [asyncio.create_task(coroutine()) for coroutine in (forever, retrying, ignoring_once)]
    await asyncio.sleep(0)
    await asyncio.wait_for(cancel_and_wait(*tasks, retry_seconds=0.01), 5.0)
    assert all(task.cancelled() for task in tasks)


async def test_finished_tasks_are_ignored():
    async def failing():
        raise ValueError

    done = asyncio.create_task(failing())
    await asyncio.wait({done})
    await cancel_and_wait(done)
    await cancel_and_wait()
    assert isinstance(done.exception(), ValueError)
