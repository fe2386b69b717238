"""Replacements of aiokafka's producer and admin client, with the behaviour of version 0.14."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerClosed,
)
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from tests.faults.broker import Broker, Headers
from tests.faults.network import Network

RETRY_SECONDS = 0.1
MAX_REQUEST_BYTES = 1_048_576

Message = tuple[bytes | None, bytes | None, Headers]


class Batch:
    """Records that are sent together; closed when they exceed the maximum size."""

    def __init__(self, max_bytes: int) -> None:
        self.messages: list[Message] = []
        self.futures: list[asyncio.Future[RecordMetadata]] = []
        self.drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self._room = max_bytes

    def append(
        self,
        *,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None = None,  # noqa: ARG002 - aiokafka's interface
        headers: Headers = (),
    ) -> object | None:
        """Add a record; return None if it does not fit."""
        size = len(key or b"") + len(value or b"") + sum(len(n) + len(v) for n, v in headers) + 32
        if self.closed or (self.messages and size > self._room):
            self.closed = True
            return None
        self._room -= size
        self.messages.append((key, value, headers))
        return self


class Producer:
    """An idempotent producer: a record arrives once, however often it is sent.

    Like aiokafka's producer, it never gives up a batch after a retriable error. During a long
    outage futures stay pending, and KafkaTimeoutError is raised when there is no room for more
    records.
    """

    def __init__(
        self,
        broker: Broker,
        network: Network,
        *,
        request_timeout_ms: int,
        acks: str,
        enable_idempotence: bool,
        max_batch_size: int,
        **_: Any,
    ) -> None:
        assert acks == "all"
        assert enable_idempotence
        self._broker = broker
        self._network = network
        self._timeout = request_timeout_ms / 1e3
        self._batch_bytes = max_batch_size
        self._queues: dict[TopicPartition, deque[Batch]] = {}
        self._sequences: dict[TopicPartition, int] = {}
        self._senders: dict[TopicPartition, asyncio.Task[None]] = {}
        self._closed = False
        self._id = -1

    async def start(self) -> None:
        """Connect, and get a producer id."""
        await self._network.request("connect", lambda: None, self._timeout)
        while self._id < 0:
            try:
                self._id = await self._network.request(
                    "init_producer", self._broker.new_producer, self._timeout
                )
            except KafkaError:
                await asyncio.sleep(RETRY_SECONDS)
                if self._network.is_closed:
                    raise

    async def stop(self) -> None:
        """Wait until all sent records have been acknowledged or refused."""
        self._closed = True
        while senders := [task for task in self._senders.values() if not task.done()]:
            await asyncio.wait(senders)

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = 0,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """Queue a record; return a future of its position."""
        assert value is not None or key is not None
        if len(key or b"") + len(value or b"") > MAX_REQUEST_BYTES:
            raise MessageSizeTooLargeError
        if self._broker.on_send is not None:
            self._broker.on_send()
        tp = TopicPartition(topic, partition)
        remaining_seconds = self._timeout
        loop = asyncio.get_running_loop()
        while True:
            if self._closed:
                raise ProducerClosed
            queue = self._queues.setdefault(tp, deque())
            if not queue:
                queue.append(Batch(self._batch_bytes))
            batch = queue[-1]
            if batch.append(key=key, value=value, timestamp=timestamp_ms, headers=headers or ()):
                future: asyncio.Future[RecordMetadata] = loop.create_future()
                batch.futures.append(future)
                self._wake(tp)
                return future
            remaining_seconds = await self._room(batch, remaining_seconds)

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic; here they are known at once."""
        return set(range(self._broker.partitions(topic)))

    def create_batch(self) -> Batch:
        """An empty batch to fill."""
        return Batch(self._batch_bytes)

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> "asyncio.Future[RecordMetadata]":
        """Queue a batch after the previous one has left; return a future of its first record."""
        tp = TopicPartition(topic, partition)
        remaining_seconds = self._timeout
        while True:
            if self._closed:
                raise ProducerClosed
            queue = self._queues.setdefault(tp, deque())
            if not queue:
                break
            remaining_seconds = await self._room(queue[-1], remaining_seconds)
        batch.closed = True
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        batch.futures.append(future)
        queue.append(batch)
        self._wake(tp)
        return future

    async def _room(self, batch: Batch, remaining_seconds: float) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.wait([batch.drained], timeout=remaining_seconds)
        remaining_seconds -= loop.time() - began
        if remaining_seconds <= 0:
            raise KafkaTimeoutError
        return remaining_seconds

    def _wake(self, tp: TopicPartition) -> None:
        if tp not in self._senders:
            self._senders[tp] = asyncio.get_running_loop().create_task(self._deliver(tp))

    async def _deliver(self, tp: TopicPartition) -> None:
        queue = self._queues[tp]
        await asyncio.sleep(0)
        while queue:
            batch = queue.popleft()
            batch.closed = True
            if not batch.drained.done():
                batch.drained.set_result(None)
            sequence = self._sequences[tp] = self._sequences.get(tp, -1) + 1
            await self._deliver_batch(tp, batch, sequence)
        del self._senders[tp]

    async def _deliver_batch(self, tp: TopicPartition, batch: Batch, sequence: int) -> None:
        while True:
            try:
                offset = await self._network.request(
                    f"produce {tp.topic.rpartition('.')[2]}",
                    lambda: self._broker.produce(self._id, sequence, tp, batch.messages),
                    self._timeout,
                )
            except KafkaError as error:
                if error.retriable and not self._network.is_closed:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for future in batch.futures:
                    if not future.done():
                        future.set_exception(type(error)())
                return
            for i, future in enumerate(batch.futures):
                if not future.done():
                    future.set_result(
                        RecordMetadata(tp.topic, tp.partition, tp, offset + i, -1, 0, 0)
                    )
            return


class Admin:
    """The admin client, as far as the service uses it; it never retries."""

    def __init__(
        self, broker: Broker, network: Network, *, request_timeout_ms: int, **_: Any
    ) -> None:
        self._broker = broker
        self._network = network
        self._timeout = request_timeout_ms / 1e3

    async def start(self) -> None:
        """Connect."""
        await self._network.request("connect", lambda: None, self._timeout)

    async def close(self) -> None:
        """Disconnect."""

    async def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        """The partitions of topics."""

        def described() -> list[dict[str, Any]]:
            return [
                {
                    "topic": topic,
                    "partitions": [{"partition": n} for n in range(self._broker.partitions(topic))],
                }
                for topic in topics
            ]

        metadata: list[dict[str, Any]] = await self._network.request(
            "metadata", described, self._timeout
        )
        return metadata

    async def list_consumer_group_offsets(
        self, _group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's offsets; -1 if there is none."""
        offsets: dict[TopicPartition, OffsetAndMetadata] = await self._network.request(
            "offsets", lambda: self._broker.group_offsets(partitions), self._timeout
        )
        return offsets
