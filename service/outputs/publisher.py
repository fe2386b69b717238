"""Sends the output to Kafka: alerts, signals, kill switches, dead letters and snapshots.

Each record is sent to the partition number that it came from. A record counts as published only
after the broker has acknowledged it. ``flush`` waits for this, and raises any failure.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, ProducerClosed, RecordListTooLargeError
from aiokafka.structs import RecordMetadata
from msgspec import Struct, field

from detectors.closing import Signal
from detectors.incidents.alerts import Alert
from detectors.kill_switch.machine import Cause
from detectors.kill_switch.switch import KillSwitch
from detectors.kill_switch.switch import encode as encode_switch
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.output import STATEMENT_STREAMS, Statement
from detectors.risk_watch.records import RiskRecord
from service.outputs.delays import Delays
from service.outputs.journal import JournalEntry
from service.pipeline.commands import Command
from service.pipeline.dead_letters import ROOMS, DeadLetter
from service.pipeline.feedback import Feedback
from service.pipeline.output import Output
from service.pipeline.snapshots import Part
from service.pipeline.switches import key_of
from service.settings.types import OutputSettings

MAX_UNACKNOWLEDGED = 10_000
"""The number of sends in flight above which publishing waits for the broker."""

MEMORY_KEY = b"|memory"
"""How the key of a memory on the topic of risk ends; those of records end with a side."""

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("foreshock.publish")


def is_memory(key: bytes | None) -> bool:
    """Whether a record of the topic of risk is what a watch keeps for its successor, by its key.

    >>> is_memory(b"BTC-PERP|memory"), is_memory(b"BTC-PERP|long"), is_memory(None)
    (True, False, False)
    """
    return key is not None and key.endswith(MEMORY_KEY)


def _no_statements() -> Counter[str]:
    return Counter(dict.fromkeys(STATEMENT_STREAMS, 0))


class Published(Struct):
    """Counters of the sent records, for the metrics; they only grow.

    ``dead_letter_size`` is the index in ``ROOMS`` of the largest dead letter that the broker has
    not refused. ``statements`` counts the records of each of `STATEMENT_STREAMS`, ``switches``
    those of kill switches by cause, and ``switch_delays`` how long after its moment a transition
    was acknowledged.
    """

    alerts: dict[str, int] = {}
    signals: int = 0
    dead_letters: int = 0
    snapshots: int = 0
    risk_records: int = 0
    statements: Counter[str] = field(default_factory=_no_statements)
    errors: int = 0
    dead_letter_size: int = 0
    switches: Counter[Cause] = field(default_factory=Counter)
    switch_delays: Delays = field(default_factory=Delays)


class Publisher:
    """Sends records to the output topics, and tracks their acknowledgements.

    Parameters
    ----------
    producer
        A started producer that waits for all in-sync replicas.
    outputs
        The names of the output topics.
    published
        The counters to increment.
    """

    def __init__(
        self, producer: AIOKafkaProducer, outputs: OutputSettings, published: Published
    ) -> None:
        self._producer = producer
        self._outputs = outputs
        self._unacknowledged: set[asyncio.Future[RecordMetadata]] = set()
        self._failure: BaseException | None = None
        self._published = published

    async def publish(
        self, partition: int, output: Output
    ) -> list[tuple[Alert, asyncio.Future[RecordMetadata]]]:
        """Send alerts and signals; return the alerts with futures that give their offsets."""
        sent = []
        for alert in output.alerts:
            future = await self._send(
                self._outputs.alerts, partition, alert.symbol.encode(), _encode(alert)
            )
            self._published.alerts[alert.status] = self._published.alerts.get(alert.status, 0) + 1
            sent.append((alert, future))
            log.info(
                "alert",
                alert_id=alert.alert_id,
                symbol=alert.symbol,
                detector=alert.detector,
                severity=alert.severity,
                status=alert.status,
                update=alert.update,
                reason=alert.reason,
                summary=alert.summary,
            )
        if self._outputs.signals and output.signals:
            await self._send_signals(partition, output.signals)
        return sent

    async def switch(self, partition: int, record: KillSwitch) -> asyncio.Future[RecordMetadata]:
        """Send a record of a kill switch, and its copy for the log."""
        key, value = key_of(record, partition), encode_switch(record)
        if record.cause != "heartbeat":
            await self.log_switches(partition, [(key, value)])
        future = await self._send(self._outputs.killswitch, partition, key, value)
        self._published.switches[record.cause] += 1
        if record.cause == "transition":
            future.add_done_callback(partial(self._told, record.ts_event))
            log.warning(
                "kill switch",
                symbol=record.symbol,
                state=record.state,
                reason=record.reason,
                until=record.until,
            )
        return future

    def _told(self, ts_event: int, future: asyncio.Future[RecordMetadata]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._published.switch_delays.add(max(0.0, (time.time_ns() - ts_event) / 1e9))

    async def lift(self, partition: int, symbol: str) -> asyncio.Future[RecordMetadata]:
        """Delete the kill switch of a symbol that is no longer watched."""
        return await self._send(self._outputs.killswitch, partition, symbol.encode(), None)

    async def log_switches(self, partition: int, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Send records of kill switches to their log, as keys and values."""
        if self._outputs.switchlog:
            for key, value in records:
                await self._send(self._outputs.switchlog, partition, key, value)

    async def command(self, command: Command) -> None:
        """Send a command of an operator, and wait for the acknowledgement. Raises KafkaError."""
        key = command.symbol.encode()
        await self._producer.send_and_wait(self._outputs.commands, _encode(command), key=key)

    async def dead_letter(self, partition: int, make: Callable[[int], DeadLetter]) -> None:
        """Send a dead letter. ``make`` returns it for a largest size in bytes.

        If the broker refuses the dead letter because of its size, the session fails, like after any
        send without an acknowledgement. All later dead letters are smaller. So this one can be sent
        when its record is read again.
        """
        size = self._published.dead_letter_size
        if size == len(ROOMS):
            self._published.errors += 1  # the broker refuses even its place and reason
            return
        letter, topic = make(ROOMS[size]), self._outputs.deadletters
        if size == 0:
            future = await self._send(topic, partition, letter.key, letter.value, letter.headers)
        else:
            # Send it alone: several together may be as large as one that was refused.
            batch = self._producer.create_batch()
            key, value, headers = letter
            batch.append(key=key, value=value, timestamp=None, headers=headers)
            future = await self._send_batch(topic, partition, batch)
        future.add_done_callback(partial(self._refused, size))
        self._published.dead_letters += 1

    def _refused(self, size: int, future: asyncio.Future[RecordMetadata]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, _TOO_LARGE) and self._published.dead_letter_size == size:
            self._published.dead_letter_size = size + 1
            log.warning(
                "the broker refuses a dead letter for its size: dead letters are cut further",
                topic=self._outputs.deadletters,
                bytes_at_most=[*ROOMS, 0][size + 1],
                remedy="raise max.message.bytes of the topic to 1048588",
            )

    async def snapshot(
        self, partition: int, parts: Sequence[Part]
    ) -> list[asyncio.Future[RecordMetadata]]:
        """Send the parts of a snapshot."""
        futures = [
            await self._send(self._outputs.snapshots, partition, part.key, part.value, part.headers)
            for part in parts
        ]
        self._published.snapshots += 1
        return futures

    async def forget(self, partition: int, keys: Sequence[bytes]) -> None:
        """Delete snapshots."""
        for key in keys:
            await self._send(self._outputs.snapshots, partition, key, None)

    async def risk(self, partition: int, record: RiskRecord) -> None:
        """Send how near one side of a symbol is to a run of liquidations."""
        if self._outputs.risk:
            key = f"{record.symbol}|{record.side}".encode()
            await self._send(self._outputs.risk, partition, key, _encode(record))
            self._published.risk_records += 1

    async def statement(self, partition: int, statement: Statement) -> None:
        """Send a record of a liquidation or of a margin change."""
        topic: str = getattr(self._outputs, statement.stream)
        if topic:
            key = statement.key.encode()
            await self._send(topic, partition, key, _encode(statement.record))
            self._published.statements[statement.stream] += 1

    async def remember(self, partition: int, memory: Memory) -> None:
        """Send the memory of a symbol's risk, once all that was sent before is acknowledged."""
        if self._outputs.risk:
            if self._unacknowledged:
                await asyncio.wait([*self._unacknowledged])
            key = memory.symbol.encode() + MEMORY_KEY
            await self._send(self._outputs.risk, partition, key, _encode(memory))

    async def feedback(self, feedback: Feedback) -> None:
        """Send what an operator judged, and wait for the acknowledgement. Raises KafkaError.

        A failure is the operator's to see; the session goes on.
        """
        key = feedback.alert_id.encode()
        await self._producer.send_and_wait(self._outputs.feedback, _encode(feedback), key=key)

    async def journal(self, entry: JournalEntry) -> None:
        """Send an entry of the journal, and wait for the acknowledgement. Raises KafkaError."""
        if self._outputs.journal:
            key = entry.instance.encode()
            await self._producer.send_and_wait(self._outputs.journal, _encode(entry), key=key)

    async def partitions(self) -> dict[str, int]:
        """Return the partition count of each output topic, as far as the producer knows it."""
        topics = [topic for topic in msgspec.structs.asdict(self._outputs).values() if topic]
        return {topic: len(await self._producer.partitions_for(topic)) for topic in topics}

    def unacknowledged(self) -> list[asyncio.Future[RecordMetadata]]:
        """Return the sends that are in flight now."""
        return list(self._unacknowledged)

    async def flush(self) -> None:
        """Wait until every send is acknowledged. Raises KafkaError if a send failed."""
        await self.drain()
        if self._failure is not None:
            raise self._failure

    async def drain(self) -> None:
        """Wait until no send is in flight, whether it was acknowledged or failed."""
        while self._unacknowledged:
            await asyncio.wait(self._unacknowledged)

    async def _send_signals(self, partition: int, signals: Sequence[Signal]) -> None:
        """Send signals as ready-made batches: a fraction of the cost of single sends."""
        batch = self._producer.create_batch()
        for signal in signals:
            key, value = signal.symbol.encode(), _encode(signal)
            if batch.append(key=key, value=value, timestamp=None) is None:
                await self._send_batch(self._outputs.signals, partition, batch)
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        await self._send_batch(self._outputs.signals, partition, batch)
        self._published.signals += len(signals)

    async def _send_batch(
        self, topic: str, partition: int, batch: object
    ) -> asyncio.Future[RecordMetadata]:
        await self._wait_for_room()
        future: asyncio.Future[RecordMetadata] = await self._producer.send_batch(
            batch, topic, partition=partition
        )
        self._track(future)
        return future

    async def _send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        await self._wait_for_room()
        future: asyncio.Future[RecordMetadata] = await self._producer.send(
            topic, value, key=key, partition=partition, headers=headers
        )
        self._track(future)
        return future

    async def _wait_for_room(self) -> None:
        if self._failure is not None:
            raise self._failure
        if len(self._unacknowledged) >= MAX_UNACKNOWLEDGED:
            await asyncio.wait(self._unacknowledged, return_when=asyncio.FIRST_COMPLETED)

    def _track(self, future: asyncio.Future[RecordMetadata]) -> None:
        self._unacknowledged.add(future)
        future.add_done_callback(self._acknowledged)

    def _acknowledged(self, future: asyncio.Future[RecordMetadata]) -> None:
        self._unacknowledged.discard(future)
        # A CancelledError would look like a cancellation of the session.
        failure = ProducerClosed() if future.cancelled() else future.exception()
        if failure is not None:
            self._published.errors += 1
            self._failure = self._failure or failure
