"""From a broken record to the page that is sent: the real programs, with the deployed files."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer

from deploy.kafka.kafka import free_port
from tests.deploy.monitoring import DEPLOY, asked_metrics
from tests.kafka_server import unavailable

FORESHOCK = Path(sys.executable).with_name("foreshock")


@contextmanager
def running(command: list[str | Path], log: Path, **environment: str) -> Iterator[None]:
    """A program that is stopped at the end; what it says goes into a file."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (loopback)
        text: str = answer.read().decode()
        return text


def within(seconds: float, attempt: Callable[[], Any], logs: Path) -> Any:
    """The first true result of an attempt; connections may be refused meanwhile."""
    deadline = time.monotonic() + seconds
    result = None
    while time.monotonic() < deadline:
        try:
            if result := attempt():
                return result
        except OSError:
            pass
        time.sleep(0.2)
    said = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs.glob("*.log"))
    pytest.fail(f"not within {seconds} s; last: {result}\n{said}", pytrace=False)


def prometheus_files(folder: Path, foreshock: int, alertmanager: int) -> Path:
    """The deployed configuration, with loopback addresses in place of the containers' names."""
    shutil.copy(DEPLOY / "prometheus" / "foreshock.rules.yml", folder)
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{foreshock}"]
    managers = configuration["alerting"]["alertmanagers"][0]["static_configs"][0]
    managers["targets"] = [f"127.0.0.1:{alertmanager}"]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    return file


def service_environment(kafka: str, prefix: str, port: int) -> dict[str, str]:
    """Settings with which the service has the broker's topics of one prefix to itself."""
    environment = {
        "FORESHOCK_KAFKA__BOOTSTRAP_SERVERS": kafka,
        "FORESHOCK_KAFKA__GROUP_ID": prefix,
        "FORESHOCK_HTTP__PORT": str(port),
    }
    for name in ("orders", "cancels", "trades", "references", "margins", "positions"):
        environment[f"FORESHOCK_TOPICS__{name.upper()}"] = f"{prefix}.{name}"
    for name in ("alerts", "signals", "killswitch", "deadletters", "snapshots"):
        environment[f"FORESHOCK_OUTPUTS__{name.upper()}"] = f"{prefix}.foreshock.{name}"
    return environment


async def produce(kafka: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(topic, value, key=b"BTC-PERP")


@pytest.mark.kafka
def test_a_broken_record_becomes_an_alert_and_every_metric_asked_for_is_there(
    kafka: str, tmp_path: Path
):
    for tool in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(tool) is None:
            unavailable(f"{tool} is not installed")
    prefix = uuid.uuid4().hex[:8]
    service, prometheus, alertmanager = free_port(), free_port(), free_port()
    environment = service_environment(kafka, prefix, service)
    subprocess.run([FORESHOCK, "topics", "--create"], env={**os.environ, **environment}, check=True)
    alertmanager_command: list[str | Path] = [
        "prometheus-alertmanager",
        f"--config.file={DEPLOY / 'alertmanager' / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{alertmanager}",
        "--cluster.listen-address=",
    ]
    prometheus_command: list[str | Path] = [
        "prometheus",
        f"--config.file={prometheus_files(tmp_path, service, alertmanager)}",
        f"--storage.tsdb.path={tmp_path / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{prometheus}",
    ]
    up = f"http://127.0.0.1:{prometheus}/api/v1/query?query=up%7Bjob%3D%22foreshock%22%7D==1"
    alerts = f"http://127.0.0.1:{alertmanager}/api/v2/alerts"

    with (
        running([FORESHOCK, "run"], tmp_path / "foreshock.log", **environment),
        running(alertmanager_command, tmp_path / "alertmanager.log"),
        running(prometheus_command, tmp_path / "prometheus.log"),
    ):
        within(30, lambda: json.loads(get(up))["data"]["result"], tmp_path)
        asyncio.run(produce(kafka, f"{prefix}.orders", b"not JSON"))
        (alert,) = within(30, lambda: json.loads(get(alerts)), tmp_path)
        exposition = get(f"http://127.0.0.1:{service}/metrics")

    assert alert["labels"]["alertname"] == "ForeshockDeadLetters"
    assert alert["labels"]["topic"] == f"{prefix}.orders"
    assert alert["labels"]["reason"] == "not_json"
    assert alert["receivers"] == [{"name": "operations"}]
    exported = re.findall(r"^# TYPE (\w+) ", exposition, flags=re.MULTILINE)
    assert asked_metrics() <= set(exported)
