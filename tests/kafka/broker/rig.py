"""What the end-to-end tests share: a venue's topics on a real broker, and the service as a process.

Every venue has topics and a consumer group of its own, so the tests share one broker and do not
meet. The service is the real command; it is watched through what it gives everybody: its metrics,
its log, its exit code and its topics.
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

STREAMS = ("orders", "cancels", "trades", "references", "margins", "positions")
REQUIRED = STREAMS[:3]
OUTPUTS = ("alerts", "signals", "killswitch", "deadletters", "snapshots")
PARTITIONS = 12
PATIENCE_SECONDS = 180.0
"""What a busy machine may take for anything; what never comes is still told."""

DETECTION = {
    # Soon and readily, so that minutes of market time give many alerts.
    "DETECTION__WARMUP_BARS": "20",
    "DETECTION__FALSE_ALARMS_PER_DAY": "1000",
    "DETECTION__QUIET_SECONDS": "10",
}
PACE = {
    # Small polls, frequent commits and snapshots: a kill finds every stage of the work under way.
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
    """What a recording holds, in event-time order."""
    found = []
    for stream in STREAMS:
        path = directory / f"{stream}.ndjson"
        for line in path.read_bytes().splitlines() if path.exists() else []:
            event = json.loads(line)
            found.append(Event(stream, event["ts_event"], event["symbol"].encode(), line))
    return sorted(found, key=lambda event: event.ts_event)


def identity(alert: Alert) -> tuple[Any, ...]:
    """What makes two runs' alerts the same."""
    return tuple(alert[name] for name in ("alert_id", "status", "severity", "ts_event", "score"))


def repeats(alerts: Iterable[Alert]) -> list[tuple[str, str, str]]:
    """What was published more than once."""
    counts = Counter((a["alert_id"], a["status"], a["severity"]) for a in alerts)
    return [key for key, count in counts.items() if count > 1]


def environment(**settings: str) -> dict[str, str]:
    """Variables for the settings, and nothing else of ours that may be set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FORESHOCK_")}
    return kept | {f"FORESHOCK_{name}": value for name, value in settings.items()}


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
    condition: Callable[[], Awaitable[Any]], what: str, *, seconds: float = PATIENCE_SECONDS
) -> Any:
    """Wait for a true result; connections may be refused meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if result := await condition():
                return result
        except OSError:
            pass
        await asyncio.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}", pytrace=False)


class Metrics:
    """One scrape."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.samples = [sample for family in families for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum over a metric's label sets that agree with the given labels."""
        return sum(sample.value for sample in self._matching(name, labels))

    def count(self, name: str) -> int:
        """How many label sets a metric has."""
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
        """What /metrics says now; it must be running."""
        if self._process.poll() is not None:
            pytest.fail(f"the service ended:\n{self.said()[-3000:]}", pytrace=False)
        return Metrics(text_string_to_metric_families(await self.get("/metrics")))

    async def get(self, path: str) -> str:
        """The body of a GET."""

        def fetch() -> str:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                text: str = answer.read().decode()
                return text

        return await asyncio.to_thread(fetch)

    async def reaches(self, what: str, condition: Callable[[Metrics], Any], **limit: float) -> None:
        """Wait until the metrics fulfil a condition."""

        async def holds() -> bool:
            return bool(condition(await self.metrics()))

        try:
            await until(holds, what, **limit)
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure.msg}\n{self.said()[-3000:]}", pytrace=False)

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    async def ended(self) -> int:
        """The exit code, once there is one."""
        return await asyncio.to_thread(self._process.wait, PATIENCE_SECONDS)

    async def stop(self) -> None:
        """SIGTERM; it must end in order, with everything saved.

        It says by its exit code if that took longer than it gives itself.
        """
        self.terminate()
        code = await self.ended()
        assert code == 0, self.said()[-3000:]

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it stands still, and nobody is told."""
        self._process.send_signal(signal.SIGSTOP)

    def hang_up(self) -> None:
        """SIGHUP: it reads its configuration again."""
        self._process.send_signal(signal.SIGHUP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def runs(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """All that it wrote."""
        return self._log.read_text()

    def log(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


def caught_up(streams: Sequence[str]) -> Callable[[Metrics], bool]:
    """Whether a service owns every partition and has read all that it has heard of."""

    def condition(metrics: Metrics) -> bool:
        return (
            metrics.count("consumer_lag_records") == len(streams) * PARTITIONS
            and metrics.total("consumer_lag_records") == 0
        )

    return condition


class Venue:
    """Topics of its own, and the services that watch them; a context that ends them all."""

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
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, linger_ms=20)
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
        """Start the command; it need not be up yet."""
        port = free_port()
        log = self._folder / f"service-{self.prefix}-{len(self._services)}.log"
        variables = environment(**{**self.settings, "HTTP__PORT": str(port), **settings})
        service = Service(log, port, variables)
        self._services.append(service)
        return service

    async def produce(self, records: Iterable[Event]) -> int:
        """Send what belongs to this venue's streams; how many records that were."""
        futures = [
            await self._producer.send(self.topic(event.stream), event.value, key=event.key)
            for event in records
            if event.stream in self.streams
        ]
        await asyncio.gather(*futures)
        return len(futures)

    async def send(self, stream: str, key: bytes, value: bytes | None) -> Any:
        """Send one record, whatever is in it; where it stands."""
        return await self._producer.send_and_wait(self.topic(stream), value, key=key)

    async def recreate(self, name: str) -> None:
        """Delete a topic, and make it again as soon as it is gone."""
        topic = self.topic(name)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([topic])

            async def gone() -> bool:
                return topic not in await admin.list_topics()

            await until(gone, f"{topic} is deleted")
        finally:
            await admin.close()
        await self._create_missing()

    async def ends(self, *names: str) -> dict[TopicPartition, int]:
        """The offset that the next record of each input, or of these topics, would get."""
        tps = [
            TopicPartition(self.topic(name), number)
            for name in names or self.streams
            for number in range(self.partitions)
        ]
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka) as consumer:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
        return ends

    async def records(self, name: str) -> list[Any]:
        """Everything that a topic holds now."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        async with consumer:
            tps = [TopicPartition(self.topic(name), number) for number in range(self.partitions)]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            found: list[Any] = []
            for tp in tps:
                while await consumer.position(tp) < ends[tp]:
                    for batch in (await consumer.getmany(timeout_ms=200)).values():
                        found += batch
            return found

    async def alerts(self) -> list[Alert]:
        """What the topic of alerts holds now."""
        return [json.loads(record.value) for record in await self.records("alerts")]

    async def has_alerted(self, expected: Iterable[Alert]) -> None:
        """Wait until the topic of alerts holds all of these."""
        wanted = set(map(identity, expected))

        async def told() -> bool:
            return wanted <= set(map(identity, await self.alerts()))

        await until(told, "every expected alert is on the topic")

    async def uncommitted(self) -> int:
        """How many records of the inputs stand after the group's offsets."""
        return await uncommitted(self.kafka, self.prefix, await self.ends())


async def uncommitted(kafka: str, group: str, ends: Mapping[TopicPartition, int]) -> int:
    """How many records stand before these ends and after a group's offsets."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return sum(end - (committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
