"""Processes that are restarted when they end, and a market that is produced at a fixed pace."""

import asyncio
import contextlib
import signal
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from confluent_kafka import Producer

from tests.kafka.broker.rig import PARTITIONS, PATIENCE_SECONDS, Event, Service, Venue, until


class Line(NamedTuple):
    """A record to produce; the same in every run, including its timestamp."""

    event: Event
    timestamp_ms: int


def lines(recorded: Iterable[Event], poison_every: int) -> list[Line]:
    """A recording as records, with an undecodable record after every ``poison_every`` events.

    Checks that compare arrival with event time must give the same result in every run. The
    timestamps therefore follow market time, starting at the present.
    """
    result: list[Line] = []
    base_ms = int(time.time() * 1e3)
    first_ns = 0
    for number, event in enumerate(recorded):
        first_ns = first_ns or event.ts_event
        timestamp_ms = base_ms + (event.ts_event - first_ns) // 1_000_000
        result.append(Line(event, timestamp_ms))
        if number % poison_every == 0:
            poison = event._replace(value=f"not JSON, number {number}".encode())
            result.append(Line(poison, timestamp_ms))
    return result


def _partition(key: bytes) -> int:
    """A symbol's partition number, also after partitions have been added."""
    return zlib.crc32(key) % PARTITIONS


class Feed:
    """Produces a market in order, at a fixed pace; it waits while the broker is unavailable.

    Parameters
    ----------
    seconds
        Total duration without delays.
    """

    def __init__(self, kafka: str, venue: Venue, market: Sequence[Line], seconds: float) -> None:
        self._venue = venue
        self._market = market
        self._sent = 0
        self._rate = len(market) / seconds
        self._free = asyncio.Event()
        self._free.set()
        self._turn = asyncio.Lock()
        self._failures: list[object] = []
        self._kafka = kafka
        self._producer = self._connect()

    async def run(self) -> None:
        """Produce everything, and wait for the acknowledgements."""
        while self._sent < len(self._market):
            await asyncio.sleep(0.05)
            async with self._turn:
                stop = min(len(self._market), self._sent + max(1, int(self._rate * 0.05)))
                # Never stop between events of the same time: the rest would be late.
                while stop < len(self._market) and self._at(stop) == self._at(stop - 1):
                    stop += 1
                for event, timestamp_ms in self._market[self._sent : stop]:
                    self._producer.produce(
                        self._venue.topic(event.stream),
                        event.value,
                        event.key,
                        partition=_partition(event.key),
                        timestamp=timestamp_ms,
                        on_delivery=self._delivered,
                    )
                self._producer.poll(0)
                self._sent = stop
        await self._flush()

    async def repeat(self, producer: AIOKafkaProducer, number: int) -> None:
        """Send the last records again with another producer."""
        for event, timestamp_ms in self._market[max(0, self._sent - number) : self._sent]:
            await producer.send(
                self._venue.topic(event.stream),
                event.value,
                key=event.key,
                partition=_partition(event.key),
                timestamp_ms=timestamp_ms,
            )
        await producer.flush()

    def _at(self, number: int) -> int:
        return self._market[number].event.ts_event

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Pause production, after all previous records have been acknowledged."""
        async with self._turn:
            await self._flush()
            yield
            # A topic may have been recreated: its sequence numbers start again.
            self._producer = self._connect()

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._kafka,
                "enable.idempotence": True,
                # A broker may refuse the first batch of a new partition and accept the second. It
                # then takes the repeated first batch for an old one: the batch is lost, but
                # acknowledged.
                "max.in.flight": 1,
                "linger.ms": 5,
                "delivery.timeout.ms": 300_000,
                "reconnect.backoff.max.ms": 500,
                "topic.metadata.refresh.interval.ms": 1_000,
                "log_level": 0,
            }
        )

    async def _flush(self) -> None:
        undelivered = await asyncio.to_thread(self._producer.flush, PATIENCE_SECONDS)
        assert not undelivered
        assert not self._failures, self._failures[:3]

    def _delivered(self, error: object, _message: object) -> None:
        if error is not None:
            self._failures.append(error)


class Fleet:
    """Processes of a venue's service; one that ends is replaced, as by an orchestrator."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.services: list[Service] = []

    @asynccontextmanager
    async def running(self, number: int) -> AsyncIterator[None]:
        """Keep this many processes running; stop them in order at the end."""
        await self.resize(number)
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        for service in self.services:
            await _end(service)

    async def resize(self, number: int, *, kill: bool = False) -> None:
        """Start processes, or end the oldest ones, in order or by a kill."""
        while len(self.services) < number:
            self.services.append(self._venue.start())
        leaving = self.services[: len(self.services) - number]
        self.services = self.services[len(leaving) :]
        for service in leaving:
            if kill:
                service.kill()
            else:
                await _end(service)

    async def owned(self) -> None:
        """Wait until every partition is assigned."""
        await until(self._owned, "every partition is assigned")

    async def _owned(self) -> bool:
        partitions = 0.0
        for service in list(self.services):
            if not service.runs:
                return False
            partitions += (await service.metrics()).total("assigned_partitions")
        return partitions >= PARTITIONS

    async def settled(self) -> None:
        """Wait until all records have been read, released, saved and committed."""
        await until(self._settled, "all records are read and committed")

    async def _settled(self) -> bool:
        try:
            return await self._owned() and await self._venue.uncommitted() == 0
        except KafkaError:
            return False

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.services = [
                service if service.runs else self._venue.start() for service in self.services
            ]


async def _end(service: Service) -> None:
    """Stop a process. Exit code 1 means a slow stop, -SIGTERM a process still starting."""
    service.terminate()
    assert await service.ended() in (0, 1, -signal.SIGTERM), service.log_text()[-3000:]
