"""A task that is ended ends, also where its cancellation is lost."""

import asyncio
import contextlib

from service.cancellation import cancel_and_wait


async def forever():
    await asyncio.Event().wait()


async def again_and_again():
    """Tries again after every error, and a failing clean-up stands in for its cancellation."""
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


async def once_deaf():
    with contextlib.suppress(asyncio.CancelledError):
        await forever()
    await forever()


async def test_a_cancellation_that_is_lost_is_repeated():
    tasks = [asyncio.create_task(its()) for its in (forever, again_and_again, once_deaf)]
    await asyncio.sleep(0)
    await asyncio.wait_for(cancel_and_wait(*tasks, again_seconds=0.01), 5.0)
    assert all(task.cancelled() for task in tasks)


async def test_what_has_ended_already_is_no_matter():
    async def failing():
        raise ValueError

    done = asyncio.create_task(failing())
    await asyncio.wait({done})
    await cancel_and_wait(done)
    await cancel_and_wait()
    assert isinstance(done.exception(), ValueError)
