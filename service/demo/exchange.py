"""The simulated exchange as the demonstration sees it: a process to start, follow and end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO

import msgspec

from service.demo.plan import Plan
from service.demo.producer import Progress, Task
from service.errors import OperatorError
from service.settings.types import Settings

_END_SECONDS = 3.0

_decode = msgspec.json.Decoder(Progress).decode


class Exchange:
    """A running exchange, whose market stands still until it is opened."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._commands = process.stdin
        self._reports = process.stdout

    async def open(self, listen: Callable[[Progress], None], dealt_with: Callable[[], int]) -> None:
        """Start the market's clock, and listen until the market ends.

        Parameters
        ----------
        listen
            Called with how far the market has come, a few times a second.
        dealt_with
            Tells how many records have been dealt with: the market waits for a slow machine.

        Raises
        ------
        OperatorError
            The exchange ended before its market did.
        """
        self._tell(dealt_with())
        done = False
        async for line in self._reports:
            progress = _decode(line)
            done = progress.done
            listen(progress)
            if not done:
                self._tell(dealt_with())
        if not done:
            raise OperatorError("the simulated exchange ended before its time; the log says why")

    def _tell(self, records: int) -> None:
        self._commands.write(b"%d\n" % records)


@asynccontextmanager
async def simulated_exchange(
    plan: Plan, settings: Settings, log: IO[str]
) -> AsyncIterator[Exchange]:
    """Start an exchange that produces into ``settings``' Kafka; it ends with this context."""
    task = Task(
        settings.kafka.bootstrap_servers,
        settings.topics,
        plan.scenario.name,
        plan.seed,
        plan.start_ns,
        plan.market_seconds,
        plan.speed,
    )
    # -P: nothing in the current directory is taken for a module of ours. A session of its own:
    # Ctrl-C comes to us alone, and the exchange ends when its input does, whatever befalls us.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "service.demo.producer", msgspec.json.encode(task).decode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    exchange = Exchange(process)
    try:
        yield exchange
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, which ends it; what does not end is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        # What it still has to tell is read, or it could not end.
        await asyncio.wait_for(process.communicate(), _END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
