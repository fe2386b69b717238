"""The risk of liquidations of the venue, by the process that owns partition number 0.

A process that takes over reads the last day of the positions and the last half hour of the
references and signals, and withholds what the topics of risk and alerts show as published.

The watch runs concurrently with the loop of the partitions. Its failures are counted, and it
retries: they never stop the partitions.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.conduct.monitor import ConductMonitor, Published
from detectors.incidents.alerts import Alert
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import STATEMENT_STREAMS, RiskOutput
from detectors.risk_watch.records import RiskRecord
from service.cancellation import close
from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.idleness import BrokerAnswer, Idleness
from service.kafka.owner_loop import POLL_SECONDS, WATCH_PARTITION, watch_while_owner
from service.kafka.reading import readable_end
from service.kafka.risk_letters import OwnRejections, RiskLetters
from service.kafka.risk_topics import (
    MOST_RECORDS,
    POSITIONS_SECONDS,
    decode_inputs,
    decoded,
    feed,
    name_of,
    new_task,
    offsets_since,
    published,
    published_statements,
    records_since,
    seek,
    skip_to,
)
from service.kafka.schema_gate import SchemaGate
from service.kafka.session import Session
from service.kafka.watching.limit_log import PositionLimitLog
from service.pipeline.output import Output, Watcher, opens_or_escalates
from service.pipeline.risk_task import RiskTask
from service.pipeline.wire import REQUIRED_STREAMS, RISK_INPUTS, STREAMS
from service.settings.assembly import (
    risk_decoders,
    risk_topics,
    stream_topics,
    suppression,
    watches_risk,
)
from service.settings.types import Settings

RISK_KEY = -2
"""The key of these alerts in the Alertmanager notifier and the console; no partition has this
number."""

ALERTS_SECONDS = 86_400.0
"""How much of the topic of alerts is read, to see which incidents are open."""

LETTERS_MARGIN_SECONDS = 3_600.0
"""How much longer the dead letters are read back than the records that they are of."""

LONGER_IDLE_SECONDS = 1.5
"""How much longer than elsewhere a topic partition without records holds the others back: signals
come after the records that they sum up."""

ANSWER_SECONDS = 5.0

log = structlog.get_logger("foreshock.risk")

_alerts = msgspec.json.Decoder(Alert)


class RiskWatch:
    """Watches the risk of liquidations while its session owns partition number 0.

    The parameters are those of `MarketWatch`, and ``topics``: the topic of each input that the
    sessions read.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, str],
        session: Session,
        clients: Clients,
        counters: ConsumerCounters,
        connect: Callable[[], AIOKafkaConsumer],
        waits: Callable[[], Iterator[float]],
        watcher: Watcher | None = None,
    ) -> None:
        self._settings = settings
        self._session = session
        self._clients = clients
        self._counters = counters
        self._connect = connect
        self._waits = waits
        self._watcher = watcher
        self._read_by_sessions = {*topics}
        self._has_positions = "positions" in stream_topics(settings, topics)
        self._topics = {name: topics[name] for name in RISK_INPUTS if name in topics}
        self._topics["signals"] = settings.outputs.signals
        self._task: RiskTask | None = None

    @property
    def wanted(self) -> bool:
        """Whether the settings and the topics allow the watch."""
        return watches_risk(self._settings) and self._has_positions

    @property
    def monitor(self) -> RiskMonitor | None:
        """The monitor, once it has read what it needs; None if another process watches."""
        return self._task.monitor if self._task is not None else None

    @property
    def conduct(self) -> ConductMonitor | None:
        """The monitor of the venue's conduct; None if another process watches."""
        return self._task.venue.conduct if self._task is not None else None

    @property
    def missing_inputs(self) -> dict[str, tuple[str, ...]]:
        """The streams that detectors of the venue's conduct need and that no topic has."""
        conduct = self.conduct
        if conduct is None:
            return {}
        return conduct.missing([*stream_topics(self._settings, self._topics), *REQUIRED_STREAMS])

    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """Return the open alerts, as ``OpenAlerts``; empty if another process watches."""
        if not self.wanted or WATCH_PARTITION not in self._session.partitions:
            return {}
        if self._task is None:
            return {RISK_KEY: None}
        return {RISK_KEY: self._task.venue.open_alerts}

    def reconfigure(self, settings: Settings) -> None:
        """Apply new maintenance windows from the next poll on; nothing else is reloadable."""
        self._settings = settings

    async def run(self) -> None:
        """Run forever; watch whenever the session owns the partition number."""
        await watch_while_owner(self._owns, self._watch, self._forget, self._failed, self._waits)

    def _owns(self) -> bool:
        owned = WATCH_PARTITION in self._session.partitions and not self._session.restoring
        return self.wanted and owned

    def _forget(self) -> bool:
        watching, self._task = self._task is not None, None
        return watching

    def _failed(self, error: Exception, wait: float) -> None:
        self._counters.risk_failures += 1
        log.warning(
            "the watch over the risk of liquidations failed, retrying",
            reason=repr(error),
            wait_seconds=round(wait, 2),
        )

    async def _watch(self) -> None:
        reader = self._connect()
        try:
            await reader.start()
            await self._find()
            streams = await self._partitions()
            settings = self._settings
            task = new_task(
                settings,
                streams,
                with_records=bool(settings.outputs.risk),
                suppressed_alarms=self._counters.tally.market.suppressed_alarms,
            )
            task.resume(*await self._published(reader))
            letters = await self._letters(reader)
            ends = await seek(reader, settings, streams, task, time.time())
            inputs = {tp: name_of(stream, tp) for tp, stream in streams.items()}
            schemas = self._clients.schemas
            decode = risk_decoders(settings, self._topics.keys() - {"signals"}, schemas)
            own = OwnRejections(settings, self._read_by_sessions, schemas)
            gate = SchemaGate(reader, self._clients.registry)
            idleness = Idleness(inputs, task.aligner)
            evicted = PositionLimitLog(settings.risk.max_positions)
            log.info(
                "the watch over the risk of liquidations reads", topics=[*self._topics.values()]
            )
            while WATCH_PARTITION in self._session.partitions and not await self._has_grown(
                streams
            ):
                if self._settings is not settings:
                    settings = self._settings
                    task.venue.reconfigure(suppression(settings))
                batches = await reader.getmany(
                    timeout_ms=round(POLL_SECONDS * 1e3), max_records=MOST_RECORDS
                )
                gate.release(lambda _tp: True)
                for tp, read in batches.items():
                    its = decode.get(streams[tp])
                    records = read if its is None else gate.admit(tp, read, its)
                    if not records:
                        continue
                    events, rejections = decode_inputs(streams[tp], records, decode)
                    feed(task, tp, streams[tp], records, events)
                    rejections = own.of(streams[tp], records, rejections)
                    await letters.refuse(tp, records, rejections)
                for tp, name in inputs.items():
                    skip_to(task, name, await reader.position(tp))
                answers = {
                    tp: BrokerAnswer(readable_end(reader, tp), reader.last_poll_timestamp(tp))
                    for tp in streams
                }
                idle_after = settings.time.idle_after_ms / 1e3 + LONGER_IDLE_SECONDS
                idleness.update(answers, idle_after, ANSWER_SECONDS)
                if ends and all(task.aligner.read(inputs[tp]) >= end for tp, end in ends.items()):
                    ends = {}
                    log.info("the risk of liquidations is watched", positions=_positions(task))
                    self._task = task
                await self._publish(task, task.advance())
                evicted.note(task.monitor.holdings.evicted_positions, time.monotonic())
                await asyncio.sleep(0.0)  # the partitions first, also while there is much to read
        finally:
            await close("the reader of positions", reader.stop)

    async def _find(self) -> None:
        """Find which of the topics that no session reads, or not as a whole, are in the cluster."""
        existing = await self._clients.admin.list_topics()
        found = risk_topics(self._settings, existing)
        self._topics |= {name: topic for name, topic in found.items() if name not in STREAMS}

    async def _letters(self, reader: AIOKafkaConsumer) -> RiskLetters:
        """Return what sends dead letters, once it knows those of the records read again."""
        topic = self._settings.outputs.deadletters
        topics = [
            topic for name, topic in self._topics.items() if name not in (*STREAMS, "signals")
        ]
        letters = RiskLetters(self._clients.publisher, self._counters, topics)
        tps = await self._numbers(topic)
        # A dead letter is no older than its record, but for a producer whose clock is ahead.
        seconds = POSITIONS_SECONDS + LETTERS_MARGIN_SECONDS
        await letters.begin(reader, await offsets_since(reader, tps, time.time() - seconds))
        return letters

    async def _partitions(self) -> dict[TopicPartition, str]:
        """Return the stream of each topic partition to read."""
        names = {topic: stream for stream, topic in self._topics.items()}
        described = await self._clients.admin.describe_topics([*names])
        return {
            TopicPartition(its["topic"], entry["partition"]): names[its["topic"]]
            for its in described
            for entry in its["partitions"]
        }

    async def _has_grown(self, streams: Mapping[TopicPartition, str]) -> bool:
        """Return whether a topic has partitions that are not read yet."""
        counts: dict[str, int] = defaultdict(int)
        for tp in streams:
            counts[tp.topic] += 1
        known = await self._clients.publisher.partitions()
        signals = self._settings.outputs.signals
        return known.get(signals, 0) > counts[signals]

    async def _published(
        self, reader: AIOKafkaConsumer
    ) -> tuple[list[RiskRecord], list[Alert], list[Memory], Published]:
        """Return what was published: an hour of risk, a day of alerts, the newest statements."""
        outputs = self._settings.outputs
        records: list[RiskRecord] = []
        memories: list[Memory] = []
        if outputs.risk:
            records, memories = await published(reader, await self._numbers(outputs.risk))
        tps = await self._numbers(outputs.alerts)
        alerts = await records_since(reader, tps, time.time() - ALERTS_SECONDS)
        topics = {
            stream: await self._numbers(topic)
            for stream in STATEMENT_STREAMS
            if (topic := getattr(outputs, stream))
        }
        statements = await published_statements(reader, topics)
        return records, [*decoded(alerts, _alerts)], memories, statements

    async def _numbers(self, topic: str) -> list[TopicPartition]:
        (described,) = await self._clients.admin.describe_topics([topic])
        return [TopicPartition(topic, entry["partition"]) for entry in described["partitions"]]

    async def _publish(self, task: RiskTask, output: RiskOutput) -> None:
        """Send alerts, statements and records, each to the partition number of its symbol."""
        publisher = self._clients.publisher
        owner = self._session.partitions.get(WATCH_PARTITION)
        if owner is None:
            return
        for alert in output.alerts:
            its = Output(alerts=[alert])
            await publisher.publish(task.partitions.get(alert.symbol, 0), its)
            self._clients.on_alert(RISK_KEY, alert)
            if opens_or_escalates(alert):
                self._counters.incidents[alert.detector, alert.severity] += 1
            if self._watcher is not None:
                self._watcher.take(RISK_KEY, its)
        for statement in output.statements:
            await publisher.statement(task.partitions.get(statement.symbol, 0), statement)
        for record in output.records:
            await publisher.risk(task.partitions.get(record.symbol, 0), record)
        for memory in output.memories:
            await publisher.remember(task.partitions.get(memory.symbol, 0), memory)


def _positions(task: RiskTask) -> int:
    return len(task.monitor.holdings.positions)
