"""The demonstration as a program, without a terminal: what it prints, and that it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

COMMAND = Path(sys.executable).with_name("foreshock")
PATIENCE_SECONDS = 180.0
"""What a busy machine may take; what never comes is still told."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "default"}


@contextmanager
def started(arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [COMMAND, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_with(words: str, process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}: {process.stderr.read()}")


def gone(pid: int) -> bool:
    """A process that its parent has waited for; it may take a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not psutil.pid_exists(pid)


def test_it_ends_by_itself_and_accounts_for_every_event(environment: dict[str, str]):
    # As far into the build-up as takes a warning; the cascade itself would come later.
    arguments = ["--seconds", "20", "--speed", "65", "--http-port", "0"]
    with started(arguments, environment) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert err == ""
    counts = re.search(r"([\d,]+) produced: ([\d,]+) scored, ([\d,]+) late, 0 rejected", out)
    assert counts is not None, out
    produced, scored, late = (int(text.replace(",", "")) for text in counts.groups())
    assert produced > 50_000
    assert scored + late == produced
    assert late < produced / 1_000
    assert "[14:00] ground truth, begins: accounts raise their leverage" in out
    assert re.search(r"^\[\d\d:\d\d\] warning: \w+: BTC-PERP: ", out, re.MULTILINE), out
    assert re.search(r"^incidents +[1-9]", out, re.MULTILINE), out
    near = r"^\[\d\d:\d\d\] risk: \S+: a (fall|rise) of [\d.]+% would set off a cascade of "
    assert re.search(near, out, re.MULTILINE), out
    assert "cascade    none yet: increase --seconds or --speed" in out


def test_it_serves_metrics_beside_a_taken_port_and_ends_cleanly_on_ctrl_c(
    environment: dict[str, str], tmp_path: Path
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(["--http-port", str(port)], environment) as process:
            where = line_with("console", process).split(maxsplit=2)
            assert where[2].strip() == f"(port {port} is taken)"
            line_with("warming up", process)
            host = where[1].removeprefix("http://").rstrip("/")
            connection = HTTPConnection(host, timeout=PATIENCE_SECONDS)
            connection.request("GET", "/metrics")
            assert b"foreshock_connected 1.0" in connection.getresponse().read()
            connection.request("GET", "/")
            assert b"<title>Foreshock</title>" in connection.getresponse().read()
            connection.request("GET", "/events?symbol=BTC-PERP")
            feed = connection.getresponse()
            assert feed.readline() == b"event: overview\n"
            overview = json.loads(feed.readline().removeprefix(b"data: "))
            assert overview["partitions"] == 4
            assert overview["service"]["text"].startswith(("warming up", "no events received"))
            connection.close()
            children = psutil.Process(process.pid).children()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert err == ""
    assert "none yet: the demo stopped earlier" in out
    (log,) = tmp_path.glob("foreshock-demo-*.log")
    assert out.splitlines()[-1] == f"log        {log}"
    assert len(children) == 1
    assert gone(children[0].pid)


def test_it_stays_to_be_looked_at_if_asked_to(environment: dict[str, str]):
    arguments = ["--seconds", "2", "--speed", "5", "--http-port", "0", "--keep"]
    with started(arguments, environment) as process:
        url = line_with("console", process).split()[1]
        line_with("market ended", process)
        connection = HTTPConnection(
            url.removeprefix("http://").rstrip("/"), timeout=PATIENCE_SECONDS
        )
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, "it had come to its end"
    assert err == ""
