"""One simulated world: a broker, a venue that writes to it, and instances of the service.

The service is the real one: ``service.run.Service`` and everything below it. Only aiokafka's
clients and the clock are replaced.
"""

import asyncio
import logging
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import msgspec
import structlog
from aiokafka import TopicPartition

import service.kafka.session
import service.run
from service.pipeline.task import PartitionTask
from service.settings.types import (
    DetectionSettings,
    KafkaSettings,
    LimitSettings,
    OutputSettings,
    Settings,
    StateSettings,
    TimeSettings,
    WireSettings,
)
from tests.faults.broker import Broker
from tests.faults.clients import Admin, Producer
from tests.faults.clock import Process, VirtualLoop, current_process, virtual_time
from tests.faults.consumer import Consumer
from tests.faults.markets import MAX_AHEAD_SECONDS, PARTITIONS, Sent
from tests.faults.network import Network

STREAMS = ("orders", "cancels", "trades", "statuses")
TOPICS = {stream: f"market.{stream}" for stream in STREAMS}
OUTPUTS = ("alerts", "signals", "killswitch", "switchlog", "deadletters", "snapshots")
MAX_FAILURES = 20
RESTART_SECONDS = (0.5, 4.0)

SETTINGS = Settings(
    kafka=KafkaSettings(
        start="earliest",
        max_poll_records=60,
        session_timeout_seconds=6.0,
        request_timeout_seconds=3.0,
        fetch_wait_seconds=0.5,
    ),
    time=TimeSettings(bar_seconds=0.4, idle_after_ms=16_000),
    detection=DetectionSettings(warmup_bars=15, false_alarms_per_day=1_000.0, quiet_seconds=3.0),
    limits=LimitSettings(buffered_events=100),
    # Not simulated: operators, whose verdicts do not depend on the order of a restart.
    outputs=OutputSettings(
        feedback="", journal="", commands="", risk="", liquidation_records="", parameter_changes=""
    ),
    wire=WireSettings(max_ahead_seconds=MAX_AHEAD_SECONDS),
    state=StateSettings(snapshot_seconds=3.0, commit_seconds=2.0, warmup_window_seconds=3_600.0),
)


class Instance:
    """A slot for the service. A new process starts there whenever the previous one has ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.wanted = False
        self.process: Process | None = None
        self.service: service.run.Service | None = None
        self.task: asyncio.Task[None] | None = None
        self.tasks: list[PartitionTask] = []
        self.lives = 0

    @property
    def alive(self) -> bool:
        """Whether its process is running, even if frozen."""
        return (
            self.process is not None
            and not self.process.dead
            and self.task is not None
            and not self.task.done()
        )


class World:
    """All parts of a run."""

    def __init__(self, seed: int, market: list[Sent]) -> None:
        self.rng = random.Random(seed)
        self.market = market
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self._unhandled)
        outside = copy_context()
        self.broker = Broker(self.loop, outside, list(TOPICS.values()))
        self.network = Network(self.loop, outside, random.Random(seed + 1))
        for topic in (*TOPICS.values(), *(f"foreshock.{name}" for name in OUTPUTS)):
            self.broker.create(topic, PARTITIONS)
        self.instances = [Instance(number) for number in range(3)]
        self.ended: list[Instance] = []
        self.trace: list[str] = []
        self.failures: list[str] = []
        self.written = 0
        self.kill_at_alert: list[int] = []
        self.lost: set[tuple[TopicPartition, int]] = set()
        self.reported_lost: set[tuple[TopicPartition, int]] = set()
        self.background_tasks: list[asyncio.Task[None]] = []
        self.counts: Counter[str] = Counter()
        self._processes: list[Process] = []

    def log(self, message: str) -> None:
        """Add a message to the trace, with the time."""
        self.trace.append(f"{self.loop.now:9.3f}  {message}")

    def record_fault(self, kind: str, message: str) -> None:
        """Add a fault to the trace, and count it."""
        self.counts[kind] += 1
        self.log(message)

    def fail(self, message: str) -> None:
        """Record a broken guarantee."""
        if len(self.failures) < MAX_FAILURES:
            self.log(f"BROKEN: {message}")
            self.failures.append(message)

    def _unhandled(self, _loop: object, context: dict[str, Any]) -> None:
        if "never retrieved" in context["message"] or "destroyed" in context["message"]:
            return  # from an abandoned session or a killed process
        self.fail(f"unhandled: {context['message']} {context.get('exception')!r}")

    # Instances.

    def launch(self, instance: Instance) -> None:
        """Start a process that runs the service."""
        instance.lives += 1
        instance.wanted = True
        name = f"{instance.number}.{instance.lives}"
        process = instance.process = Process(name)
        self._processes.append(process)
        owner_record = Instance(
            instance.number
        )  # the record of this process, kept when the next one starts
        instance.tasks = owner_record.tasks
        context = copy_context()
        context.run(current_process.set, process)
        instance.service = context.run(service.run.Service, SETTINGS, TOPICS, PARTITIONS)
        instance.task = self.loop.create_task(instance.service.run(), context=context)
        self.log(f"start {name}")

    def alert_published(self, partition: int) -> None:
        """An alert has reached its topic: kill its publisher, if such a kill is due."""
        for instance in self.instances if self.kill_at_alert else ():
            service = instance.service
            if not instance.alive or service is None or instance.process is None:
                continue
            if service._session is not None and partition in service._session.partitions:
                steps = self.kill_at_alert.pop()
                name = instance.process.name
                self.record_fault(
                    "killed at an alert", f"kill {name} {steps} steps after its alert"
                )
                instance.process.fuse = steps
                return

    async def supervise(self, instance: Instance) -> None:
        """Restart an instance whenever it has ended and is wanted."""
        while True:
            await asyncio.sleep(0.25)
            if instance.task is not None and instance.task.done():
                error = instance.task.exception()
                if error is not None:
                    self.log(f"{instance.process.name} ended: {error!r}")  # type: ignore[union-attr]
                    if not isinstance(error, (OSError, service.run.KafkaError)):
                        self.fail(f"the service ended: {error!r}")
                        self.trace += traceback.format_exception(error)
                instance.task = None
            if not instance.alive and instance.wanted:
                instance.task = None
                await asyncio.sleep(self.rng.uniform(*RESTART_SECONDS))
                # It may have been removed and added in the meantime, and be running already.
                if instance.wanted and not instance.alive:
                    self.launch(instance)

    def register_task(self, task: PartitionTask) -> None:
        """Record the instance process that uses a task."""
        process = current_process.get()
        for instance in self.instances:
            if instance.process is process:
                instance.tasks.append(task)

    # The venue.

    async def write(self, reconnect: Callable[[str], float] | None = None) -> None:
        """Write the market: each record at its time, or as soon as its producer reaches the broker.

        Every topic has a producer. ``reconnect`` returns the time in seconds that the producer of a
        topic needs after the broker's return.
        """
        wait = reconnect or (lambda _: self.rng.uniform(0, 5))

        async def produce(stream: str) -> None:
            for record in self.market:
                if record.stream != stream:
                    continue
                await asyncio.sleep(max(0.0, record.at - self.loop.now))
                while self.network.is_down:
                    while self.network.is_down:  # noqa: ASYNC110 - free in virtual time
                        await asyncio.sleep(0.05)
                    await asyncio.sleep(wait(stream))
                self.append(record)

        await asyncio.gather(*map(produce, STREAMS))

    def append(self, record: Sent) -> None:
        """Write a record of the market, and the offsets without a record that follow it."""
        tp = TopicPartition(TOPICS[record.stream], record.partition)
        self.broker.append(tp, record.key, record.value, at=record.at)
        self.broker.skip(tp, record.gap)
        self.written += 1

    # Running.

    def run_scenario(self, scenario: Callable[["World"], Any]) -> None:
        """Run a scenario to its end in virtual time, then shut everything down."""
        with self._replaced_clients(), virtual_time(self.loop):
            try:
                self.loop.run_until_complete(scenario(self))
            except Exception as error:  # noqa: BLE001 - reported with the trace
                self.fail(f"the simulation ended: {error!r}")
                self.trace.append(traceback.format_exc())
            finally:
                self._shut_down()

    def _shut_down(self) -> None:
        self.network.is_closed = True
        self.loop.set_exception_handler(lambda *_: None)
        for process in self._processes:
            process.dead, process.fuse = False, None
            self.loop.thaw(process)
        for _ in range(20):
            tasks = asyncio.all_tasks(self.loop)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=20))
        self.loop.close()

    @contextmanager
    def _replaced_clients(self) -> Iterator[None]:
        def fetch_limit() -> int:
            return self.rng.choice((1, 5, 40, 300))

        def make_task(*args: Any, **kwargs: Any) -> PartitionTask:
            made = original(*args, **kwargs)
            self.register_task(made)
            return made

        original = service.kafka.session.partition_task
        waits = SimpleNamespace(Random=lambda: self.rng)
        with (
            mock.patch.object(
                service.run,
                "AIOKafkaConsumer",
                partial(Consumer, self.broker, self.network, fetch_limit),
            ),
            mock.patch.object(
                service.run, "AIOKafkaProducer", partial(Producer, self.broker, self.network)
            ),
            mock.patch.object(
                service.run, "AIOKafkaAdminClient", partial(Admin, self.broker, self.network)
            ),
            mock.patch.object(service.run, "random", waits),
            # The original would query a real network.
            mock.patch.object(service.run, "explain", _explain),
            mock.patch.object(service.kafka.session, "partition_task", make_task),
            self._captured_log(),
        ):
            yield

    @contextmanager
    def _captured_log(self) -> Iterator[None]:
        def capture(_: object, level: str, event: dict[str, Any]) -> Any:
            if event["event"].startswith("a symbol is set aside"):
                self.fail(f"the core failed: {event}")
            if event["event"].startswith("records are lost"):
                tp = TopicPartition(event["topic"], event["partition"])
                offsets = range(event["from_offset"], event["to_offset"])
                self.reported_lost.update((tp, offset) for offset in offsets)
            if event["event"] != "alert":
                process = current_process.get()
                name = process.name if process is not None else "?"
                rest = {key: value for key, value in event.items() if key != "event"}
                self.log(f"  {name} {level}: {event['event']} {rest}")
            raise structlog.DropEvent

        before = structlog.get_config()
        structlog.configure(processors=[capture], cache_logger_on_first_use=False)
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            structlog.configure(**before)


async def _explain(_settings: Settings, error: BaseException) -> str:
    return repr(error)


def settled(world: World) -> bool:
    """Whether the current owners have read everything that was written."""
    if world.written < len(world.market) or not world.broker.group.stable:
        return False
    read: dict[Any, int] = {}
    for instance in world.instances:
        session = instance.service._session if instance.alive and instance.service else None
        if session is None:
            continue
        if not session.joined or session.restoring or session._saving:
            return False
        for partition in session.partitions.values():
            read.update(partition.read())
            if partition.task.changed() or partition.task._saving:
                return False
    ends = {
        TopicPartition(topic, number): 0
        for topic in TOPICS.values()
        for number in range(PARTITIONS)
    }
    return all(read.get(tp, -1) == world.broker.end(tp) for tp in ends)


def decoded(value: bytes | None) -> Any:
    """A record's JSON."""
    return msgspec.json.decode(value) if value is not None else None
