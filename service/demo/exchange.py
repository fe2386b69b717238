"""The simulated exchange as a child process of the demo: start, progress, stop."""

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
    """A running exchange. Its market does not move until `open`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._commands = process.stdin
        self._reports = process.stdout

    async def open(self, listen: Callable[[Progress], None], processed: Callable[[], int]) -> None:
        """Start the market's clock, and read progress reports until the market ends.

        Parameters
        ----------
        listen
            Called with the market's progress several times per second.
        processed
            Returns the number of processed records. The market waits for a slow machine.

        Raises
        ------
        OperatorError
            If the exchange ends before its market does.
        """
        self._send_processed(processed())
        done = False
        async for line in self._reports:
            progress = _decode(line)
            done = progress.done
            listen(progress)
            if not done:
                self._send_processed(processed())
        if not done:
            raise OperatorError("the simulated exchange ended early; see the log for the cause")

    def _send_processed(self, records: int) -> None:
        self._commands.write(b"%d\n" % records)


@asynccontextmanager
async def simulated_exchange(
    plan: Plan, settings: Settings, log: IO[str]
) -> AsyncIterator[Exchange]:
    """Start an exchange that produces to ``settings``' Kafka. It ends with this context."""
    task = Task(
        settings.kafka.bootstrap_servers,
        settings.topics,
        plan.scenario.name,
        plan.seed,
        plan.start_ns,
        plan.market_seconds,
        plan.speed,
    )
    # -P: do not import modules from the current directory. A separate session: Ctrl-C reaches only
    # this process, and the exchange ends when its input closes, even if this process crashes.
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
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close the process's input, which ends it. Kill it if it does not end."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        # Drain its output, or it could not end.
        await asyncio.wait_for(process.communicate(), _END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
