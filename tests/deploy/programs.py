"""The real Prometheus and Alertmanager with the deployed files, and somebody whom they call."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from aiohttp import ClientError, ClientSession, web

from tests.deploy.monitoring import DEPLOY
from tests.kafka_server import unavailable

RECEIVERS = ("on-call", "operations", "quiet")


class Program:
    """A program that is started, and stopped at the end; what it says goes into a file."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        if shutil.which(command[0]) is None:
            unavailable(f"{command[0]} is not installed")
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, env=os.environ
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def alertmanager(
    folder: Path, port: int, webhook: str, *arguments: str, name: str = "am"
) -> Program:
    """Alertmanager with the deployed configuration: only its times are shorter, and it can call."""
    configuration = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    _hasten(configuration["route"])
    for receiver in configuration["receivers"]:
        receiver["webhook_configs"] = [{"url": f"{webhook}/{receiver['name']}"}]
    own = (f"--storage.path={folder / name}", *(arguments or ["--cluster.listen-address="]))
    return _configured("prometheus-alertmanager", folder, name, port, configuration, own)


def _configured(
    program: str,
    folder: Path,
    name: str,
    port: int,
    configuration: dict[str, Any],
    arguments: Iterable[str],
) -> Program:
    """A program that takes a configuration and serves on a loopback port."""
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump(configuration))
    common = (f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}")
    return Program([program, *common, *arguments], folder / f"{name}.log")


def _hasten(route: dict[str, Any]) -> None:
    """Seconds become tenths, minutes seconds: nobody wants to wait for a test."""
    shorter = {"5s": "500ms", "1m": "1s", "30s": "1s"}
    for name in ("group_wait", "group_interval"):
        if name in route:
            route[name] = shorter.get(route[name], route[name])
    for inner in route.get("routes", ()):
        _hasten(inner)


def prometheus(
    folder: Path, port: int, foreshocks: Iterable[int], alertmanager_port: int
) -> Program:
    """Prometheus with the deployed files, and loopback addresses for the containers' names."""
    rules = (DEPLOY / "prometheus" / "foreshock.rules.yml").read_text()
    # What is asked of a whole day may be asked more often: nobody wants to wait for a test.
    (folder / "foreshock.rules.yml").write_text(rules.replace("interval: 1m", "interval: 5s"))
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = [f"127.0.0.1:{number}" for number in foreshocks]
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = targets
    managers = configuration["alerting"]["alertmanagers"][0]["static_configs"][0]
    managers["targets"] = [f"127.0.0.1:{alertmanager_port}"]
    own = (f"--storage.tsdb.path={folder / 'prometheus'}",)
    return _configured("prometheus", folder, "prometheus", port, configuration, own)


class Notification:
    """What a receiver was sent, and when (Unix seconds)."""

    def __init__(self, receiver: str, sent: dict[str, Any]) -> None:
        self.receiver = receiver
        self.at = time.time()
        self.status: str = sent["status"]
        self.alerts: list[dict[str, Any]] = sent["alerts"]

    def told(self, status: str = "firing") -> set[tuple[str | None, str]]:
        """Symbol (or alert, where it is not about a symbol) and severity of what it tells of."""
        return {
            (a["labels"].get("symbol", a["labels"]["alertname"]), a["labels"]["severity"])
            for a in self.alerts
            if a["status"] == status
        }


class Pager:
    """Receives what Alertmanager sends."""

    def __init__(self) -> None:
        self.url = ""
        self.notifications: list[Notification] = []

    def of(self, receiver: str) -> list[Notification]:
        """What one receiver got."""
        return [n for n in self.notifications if n.receiver == receiver]

    async def post(self, request: web.Request) -> web.Response:
        sent = json.loads(await request.read())
        self.notifications.append(Notification(request.match_info["receiver"], sent))
        return web.Response()


@asynccontextmanager
async def pager() -> AsyncIterator[Pager]:
    """A webhook for each receiver."""
    its = Pager()
    app = web.Application()
    app.router.add_post("/{receiver}", its.post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        its.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield its
    finally:
        await runner.cleanup()


async def get_json(url: str) -> Any:
    """What stands at a URL; None while nobody answers."""
    try:
        async with ClientSession() as session, session.get(url) as answer:
            return await answer.json()
    except (ClientError, ValueError):
        return None


async def alerts_at(port: int) -> dict[tuple[str | None, str], dict[str, Any]]:
    """What an Alertmanager holds as active, by symbol (or name) and severity."""
    found = await get_json(f"http://127.0.0.1:{port}/api/v2/alerts") or []
    return {
        (a["labels"].get("symbol", a["labels"]["alertname"]), a["labels"]["severity"]): a
        for a in found
    }


async def within(seconds: float, attempt: Callable[[], Any], logs: Path) -> Any:
    """The first true result of an attempt, which may be a coroutine's."""
    deadline = time.monotonic() + seconds
    result = None
    while time.monotonic() < deadline:
        result = attempt()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return result
        await asyncio.sleep(0.05)
    pytest.fail(f"not within {seconds} s; last: {result}\n{_said(logs)}", pytrace=False)


def _said(logs: Path) -> str:
    return "\n".join(f"{log.name}:\n{log.read_text()[-1500:]}" for log in logs.glob("*.log"))
