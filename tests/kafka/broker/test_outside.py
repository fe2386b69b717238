"""Whoever is around the running service: the reader of its log, and who sends it signals."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from deploy.kafka.kafka import free_port
from tests.kafka.broker.rig import REQUIRED, Venue, environment, until

pytestmark = pytest.mark.kafka

ENOUGH = 600
"""So many requests log more than a pipe holds."""


def start(log: int, **settings: str) -> subprocess.Popen[bytes]:
    """The command, which logs to a descriptor."""
    return subprocess.Popen(
        [sys.executable, "-m", "service", "run"], env=environment(**settings), stderr=log
    )


async def get(port: int, path: str) -> int:
    """The status of a GET."""

    def fetch() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            status: int = answer.status
            return status

    return await asyncio.to_thread(fetch)


async def test_a_log_that_nobody_reads_does_not_stop_it(kafka: str, tmp_path: Path):
    async with Venue(kafka, tmp_path, REQUIRED, partitions=1) as venue:
        port = free_port()
        reading, writing = os.pipe()
        process = start(writing, **venue.settings, HTTP__PORT=str(port))
        os.close(writing)
        try:
            await until(lambda: get(port, "/readyz"), "it is ready")
            for _ in range(ENOUGH):
                assert await get(port, "/healthz") == 200
            process.terminate()
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            os.close(reading)


async def test_signals_that_are_repeated_do_not_kill_it(kafka: str, tmp_path: Path):
    async with Venue(kafka, tmp_path, REQUIRED, partitions=1) as venue:
        service = venue.start()
        await service.wait_until("it owns its partition", lambda m: m.count("consumer_lag_records"))
        process = service._process
        # Until it is gone, after its loop has ended too.
        while service.runs:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.001)
        assert await service.ended() == 0
        assert service.log("stopped")
