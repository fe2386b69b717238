"""Shared parts of the end-to-end tests: a venue on a real broker, the service as a process.

Every venue has its own topics and consumer group, so the tests can share one broker. The service is
the real command. The tests observe it only through its metrics, log, exit code and topics.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka.kafka import free_port
from service.kafka.cluster.inspection import create_missing
from service.settings.load import load_settings

STREAMS = ("orders", "cancels", "trades", "references", "margins", "positions", "statuses")
REQUIRED = STREAMS[:3]
OUTPUTS = (
    "alerts", "signals", "killswitch", "deadletters", "snapshots", "feedback", "journal",
    "risk",
    "commands", "switchlog", "liquidation_records", "parameter_changes",
)  # fmt: skip
PARTITIONS = 12
PATIENCE_SECONDS = 180.0
"""Maximum wait on a busy machine; a condition that never holds is still reported."""

DETECTION = {
    # A short warm-up and a large budget, so that minutes of market time give many alerts.
    "DETECTION__WARMUP_BARS": "20",
    "DETECTION__FALSE_ALARMS_PER_DAY": "1000",
    "DETECTION__QUIET_SECONDS": "10",
}
PACE = {
    # Small polls, frequent commits and snapshots: a kill can interrupt every stage of the work.
    "KAFKA__MAX_POLL_RECORDS": "100",
    "KAFKA__SESSION_TIMEOUT_SECONDS": "6",
    "KAFKA__START": "earliest",
    "STATE__SNAPSHOT_SECONDS": "1",
    "STATE__COMMIT_SECONDS": "0.2",
    "LOG__FORMAT": "json",
}

Alert = dict[str, Any]


class Event(NamedTuple):
    """A line of a recording."""

    stream: str
    ts_event: int
    key: bytes
    value: bytes


def events(directory: Path) -> list[Event]:
    """The events of a recording, in event-time order."""
    recorded = []
    for stream in STREAMS:
        path = directory / f"{stream}.ndjson"
        for line in path.read_bytes().splitlines() if path.exists() else []:
            event = json.loads(line)
            recorded.append(Event(stream, event["ts_event"], event["symbol"].encode(), line))
    return sorted(recorded, key=lambda event: event.ts_event)


def identity(alert: Alert) -> tuple[Any, ...]:
    """The key by which two runs' alerts are compared."""
    return tuple(
        alert[name] for name in ("alert_id", "status", "severity", "update", "ts_event", "score")
    )


def repeats(alerts: Iterable[Alert]) -> list[tuple[str, str, str, int]]:
    """The alerts that were published more than once."""
    counts = Counter((a["alert_id"], a["status"], a["severity"], a["update"]) for a in alerts)
    return [key for key, count in counts.items() if count > 1]


def environment(**settings: str) -> dict[str, str]:
    """Variables for the settings, without any other FORESHOCK_ variables."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("FORESHOCK_")
    }
    return inherited | {f"FORESHOCK_{name}": value for name, value in settings.items()}


def foreshock(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


async def until(
    condition: Callable[[], Awaitable[Any]], description: str, *, seconds: float = PATIENCE_SECONDS
) -> Any:
    """Wait for a true result. Refused connections count as false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if result := await condition():
                return result
        except OSError:
            pass
        await asyncio.sleep(0.05)
    pytest.fail(f"not reached within {seconds} s: {description}", pytrace=False)


class Metrics:
    """One scrape."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.samples = [sample for family in families for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum over a metric's label sets that match these labels."""
        return sum(sample.value for sample in self._matching(name, labels))

    def count(self, name: str) -> int:
        """The number of a metric's label sets."""
        return len(self._matching(name, {}))

    def _matching(self, name: str, labels: Mapping[str, str]) -> list[Any]:
        full = f"foreshock_{name}"
        return [s for s in self.samples if s.name == full and labels.items() <= s.labels.items()]


class Service:
    """The command ``foreshock run`` as a process."""

    def __init__(self, log: Path, port: int, variables: Mapping[str, str]) -> None:
        self.port = port
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "run"],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def metrics(self) -> Metrics:
        """The current metrics; the service must be running."""
        if self._process.poll() is not None:
            pytest.fail(f"the service ended:\n{self.log_text()[-3000:]}", pytrace=False)
        return Metrics(text_string_to_metric_families(await self.get("/metrics")))

    async def get(self, path: str) -> str:
        """The body of the answer to a GET."""
        return await self._fetch(path, None)

    async def post(self, path: str, body: bytes) -> str:
        """The body of the answer to a POST of JSON."""
        return await self._fetch(path, body)

    async def _fetch(self, path: str, body: bytes | None) -> str:
        def fetch() -> str:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(
                urllib.request.Request(url, body, headers), timeout=5
            ) as answer:
                text: str = answer.read().decode()
                return text

        return await asyncio.to_thread(fetch)

    async def wait_until(
        self, description: str, condition: Callable[[Metrics], Any], **limit: float
    ) -> None:
        """Wait until the metrics fulfil a condition."""

        async def holds() -> bool:
            return bool(condition(await self.metrics()))

        try:
            await until(holds, description, **limit)
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure.msg}\n{self.log_text()[-3000:]}", pytrace=False)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    async def ended(self) -> int:
        """Wait for the exit code."""
        return await asyncio.to_thread(self._process.wait, PATIENCE_SECONDS)

    async def stop(self) -> None:
        """Send SIGTERM; the service must stop in order, with everything saved.

        Its exit code is not 0 if the stop exceeds the service's own time limit.
        """
        self.terminate()
        code = await self.ended()
        assert code == 0, self.log_text()[-3000:]

    def kill(self) -> None:
        """Send SIGKILL if it is still running."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Send SIGSTOP: it stops executing, without notice to other processes."""
        self._process.send_signal(signal.SIGSTOP)

    def reload(self) -> None:
        """Send SIGHUP: it reloads its configuration."""
        self._process.send_signal(signal.SIGHUP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def runs(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def log_text(self) -> str:
        """Its complete output."""
        return self._log.read_text()

    def log(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        whole = self.log_text().rpartition("\n")[0]  # the process may be writing the last line
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


def caught_up(streams: Sequence[str]) -> Callable[[Metrics], bool]:
    """Whether a service owns every partition and has read all records that it knows of."""

    def condition(metrics: Metrics) -> bool:
        return (
            metrics.count("consumer_lag_records") == len(streams) * PARTITIONS
            and metrics.total("consumer_lag_records") == 0
        )

    return condition


class Venue:
    """A venue with its own topics and services; the context ends the services."""

    def __init__(
        self,
        kafka: str,
        folder: Path,
        streams: Sequence[str] = STREAMS,
        *,
        partitions: int = PARTITIONS,
        **settings: str,
    ) -> None:
        self.kafka = kafka
        self.streams = streams
        self.partitions = partitions
        self.prefix = uuid.uuid4().hex[:8]
        self._folder = folder
        self._stack = AsyncExitStack()
        self._services: list[Service] = []
        self.settings = {
            **DETECTION,
            **PACE,
            "KAFKA__BOOTSTRAP_SERVERS": kafka,
            "KAFKA__GROUP_ID": self.prefix,
            **{f"TOPICS__{name.upper()}": self.topic(name) for name in REQUIRED},
            **{
                f"TOPICS__{name.upper()}": self.topic(name) if name in streams else ""
                for name in STREAMS[3:]
            },
            **{f"OUTPUTS__{name.upper()}": self.topic(name) for name in OUTPUTS},
            **settings,
        }

    def topic(self, name: str) -> str:
        """A topic of this venue."""
        return f"{self.prefix}.{name}"

    async def __aenter__(self) -> Self:
        await self._create_missing()
        # A retry after a failure of the broker must not write twice.
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka, linger_ms=20, enable_idempotence=True
        )
        self._producer = await self._stack.enter_async_context(producer)
        return self

    async def _create_missing(self) -> None:
        settings = load_settings(None, environment(**self.settings))
        await create_missing(settings, self.partitions, None)

    async def __aexit__(self, *_: object) -> None:
        for service in self._services:
            service.kill()
        await self._stack.aclose()

    def start(self, **settings: str) -> Service:
        """Start the command; return before it is ready."""
        port = free_port()
        log = self._folder / f"service-{self.prefix}-{len(self._services)}.log"
        variables = environment(**{**self.settings, "HTTP__PORT": str(port), **settings})
        service = Service(log, port, variables)
        self._services.append(service)
        return service

    async def produce(self, records: Iterable[Event], *, ahead_ms: int = 0) -> int:
        """Send the records of this venue's streams; return their number.

        ``ahead_ms``: how far their timestamps are ahead of the clock.
        """
        at = time.time_ns() // 1_000_000 + ahead_ms if ahead_ms else None
        futures = [
            await self._producer.send(
                self.topic(event.stream), event.value, key=event.key, timestamp_ms=at
            )
            for event in records
            if event.stream in self.streams
        ]
        await asyncio.gather(*futures)
        return len(futures)

    async def send(self, stream: str, key: bytes, value: bytes | None) -> Any:
        """Send one record with any content; return its position."""
        return await self._producer.send_and_wait(self.topic(stream), value, key=key)

    async def recreate(self, name: str) -> None:
        """Delete a topic, and create it again as soon as it is deleted."""
        topic = self.topic(name)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([topic])

            async def deleted() -> bool:
                return topic not in await admin.list_topics()

            await until(deleted, f"{topic} is deleted")
        finally:
            await admin.close()
        await self._create_missing()

    async def ends(self, *names: str) -> dict[TopicPartition, int]:
        """The end offsets of the inputs, or of these topics."""
        tps = [
            TopicPartition(self.topic(name), number)
            for name in names or self.streams
            for number in range(self.partitions)
        ]
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka) as consumer:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
        return ends

    async def records(self, name: str) -> list[Any]:
        """All current records of a topic."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        async with consumer:
            tps = [TopicPartition(self.topic(name), number) for number in range(self.partitions)]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            records: list[Any] = []
            for tp in tps:
                while await consumer.position(tp) < ends[tp]:
                    for batch in (await consumer.getmany(timeout_ms=200)).values():
                        records += batch
            return records

    async def alerts(self) -> list[Alert]:
        """All current alerts of the topic."""
        return [json.loads(record.value) for record in await self.records("alerts")]

    async def wait_for_alerts(self, expected: Iterable[Alert]) -> None:
        """Wait until the alerts topic holds all of these alerts."""
        identities = set(map(identity, expected))

        async def published() -> bool:
            return identities <= set(map(identity, await self.alerts()))

        await until(published, "every expected alert is on the topic")

    async def uncommitted(self) -> int:
        """The number of input records after the group's offsets."""
        return await uncommitted(self.kafka, self.prefix, await self.ends())


async def uncommitted(kafka: str, group: str, ends: Mapping[TopicPartition, int]) -> int:
    """The number of records between a group's offsets and these ends."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return sum(end - (committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
