"""CPU time of the service's stages: the same session over recorded polls, stage by stage.

The polls of a drain are kept in memory and given to a real session, which publishes, saves and
commits to a real broker. Only its consumer is a recording, so that nothing but the session and its
producer runs. The measured time is process time, without nested stages. The clock is read a few
dozen times per poll and per bar, never per event.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from detectors.closing import Columns
from detectors.incidents.symbol_incidents import Incidents
from detectors.judging.tail import Tails
from detectors.market_data.large_orders import LargeOrders
from detectors.market_data.leverage_baselines import LeverageBaselines
from detectors.scorer import Scorers
from detectors.symbol import SymbolMonitor
from service.kafka.clients import Clients, consumer_options, producer_options
from service.kafka.cluster.connection import client_options
from service.kafka.counters import ConsumerCounters
from service.kafka.session import Session
from service.outputs.publisher import Published, Publisher
from service.pipeline.align import Aligner
from service.pipeline.task import PartitionTask
from service.pipeline.wire import Decoder
from service.settings.types import Settings

Polls = list[dict[TopicPartition, list[Any]]]

TIMED: Mapping[str, tuple[tuple[type, str], ...]] = {
    "decode": ((Decoder, "decode"),),
    "align": ((Aligner, "feed"), (Aligner, "release")),
    "book": ((PartitionTask, "advance"),),
    "bars": (
        (SymbolMonitor, "end_bar"),
        (SymbolMonitor, "conclude"),
        (SymbolMonitor, "measure"),
        (Columns, "sum_up"),
        (LeverageBaselines, "learn"),
        (LargeOrders, "close_bar"),
    ),
    "features": ((Scorers, "measure"), (Scorers, "readings")),
    "model": ((Scorers, "step_many"),),
    "tail": ((Tails, "learn_many"),),
    "incidents": ((Incidents, "step"), (Incidents, "resolve")),
    "publish": ((Publisher, "publish"),),
    "snapshot": ((Session, "_save"), (Session, "_commit")),
}
"""The functions of each stage. Coroutines among them wait only for the producer."""


class Stages:
    """Process time by stage, without nested stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running = ["loop"]
        self._since = time.process_time()

    def _switch(self) -> None:
        now = time.process_time()
        stage = self._running[-1]
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count the enclosed time as part of a stage."""
        self._switch()
        self._running.append(stage)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function with its time counted; a coroutine function remains one."""
        if asyncio.iscoroutinefunction(function):

            async def waiting(*args: Any, **kwargs: Any) -> Any:
                with self.of(stage):
                    return await function(*args, **kwargs)

            return waiting

        def calling(*args: Any, **kwargs: Any) -> Any:
            with self.of(stage):
                return function(*args, **kwargs)

        return calling

    def instrument(self) -> None:
        """Time every function of TIMED from now on, in this process."""
        for stage, functions in TIMED.items():
            for owner, name in functions:
                setattr(owner, name, self.timed(getattr(owner, name), stage))


class Recording:
    """A consumer that is assigned all partitions and returns recorded polls."""

    def __init__(self, polls: Polls, stages: Stages) -> None:
        self._polls = iter(polls)
        self._stages = stages
        self._inputs = sorted({tp for poll in polls for tp in poll})
        self.session: Session | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._listener: Any = None

    def subscribe(self, *, listener: Any, **_topics: Any) -> None:
        """Store the listener for the assignment."""
        self._listener = listener

    async def getmany(self, **_options: Any) -> dict[TopicPartition, list[Any]]:
        """The next recorded poll; the first call makes the assignment."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            await listener.on_partitions_assigned(self._inputs)
            return {}
        with self._stages.of("publish"):
            await asyncio.sleep(0)  # lets the producer run
        poll = next(self._polls, None)
        if poll is None:
            assert self.session is not None
            self.session.stop()
            return {}
        self._positions |= {tp: records[-1].offset + 1 for tp, records in poll.items() if records}
        return poll

    def highwater(self, _tp: TopicPartition) -> None:
        """Unknown: no topic is considered idle."""

    def last_stable_offset(self, _tp: TopicPartition) -> None:
        """As highwater."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        """Those that were recorded."""
        return {tp.partition for tp in self._inputs if tp.topic == topic}

    def last_poll_timestamp(self, _tp: TopicPartition) -> None:
        """As highwater."""

    async def position(self, tp: TopicPartition) -> int:
        """Behind the last record that was polled."""
        return self._positions[tp]

    def pause(self, *_tps: TopicPartition) -> None:
        """Nothing: everything is in memory already."""

    def resume(self, *_tps: TopicPartition) -> None:
        """Nothing, as for pause."""

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Set the position; the recording starts at its beginning."""
        self._positions[tp] = offset

    async def commit(self, _offsets: object) -> None:
        """Nothing: no consumer continues from it."""


async def record(settings: Settings, partitions: list[TopicPartition], records: int) -> Polls:
    """The polls of a drain."""
    consumer = AIOKafkaConsumer(**consumer_options(settings.kafka))
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        polls: Polls = []
        while records > 0:
            poll = await consumer.getmany(
                timeout_ms=100, max_records=settings.kafka.max_poll_records
            )
            polls.append(poll)
            records -= sum(map(len, poll.values()))
        return polls
    finally:
        await consumer.stop()


async def measure_stages(
    settings: Settings, topics: Mapping[str, str], polls: Polls
) -> dict[str, float]:
    """Process seconds of each stage for the recorded polls; the rest of the loop is "loop"."""
    options = client_options(settings.kafka)
    producer = AIOKafkaProducer(**producer_options(settings.kafka))
    reader = AIOKafkaConsumer(**consumer_options(settings.kafka))
    admin = AIOKafkaAdminClient(**options)
    for client in (producer, reader, admin):
        await client.start()
    try:
        stages = Stages()
        consumer = Recording(polls, stages)
        publisher = Publisher(producer, settings.outputs, Published())
        clients = Clients(consumer, reader, admin, publisher)
        consumer.session = Session(settings, topics, clients, ConsumerCounters())
        stages.instrument()
        await consumer.session.run()
        return stages.seconds
    finally:
        await producer.stop()
        await reader.stop()
        await admin.close()
