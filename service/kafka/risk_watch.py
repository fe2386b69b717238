"""The risk of liquidations of the venue, by the process that owns partition number 0.

It needs the positions of all partitions, and of the books only their summaries. So it reads
positions, margins, references, accounts, liquidations, insurance funds and signals of all
partitions without a group, aligned in event time.
A process that takes over reads the last day of the positions and the last half hour of the
references and signals, and withholds what the topics of risk and alerts show as published.

The watch runs concurrently with the loop of the partitions. Its failures are counted, and it
retries: they never stop the partitions.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.incidents.alerts import Alert
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput
from detectors.risk_watch.records import RiskRecord
from service.cancellation import close
from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.idleness import BrokerAnswer, Idleness
from service.kafka.market_watch import POLL_SECONDS, WATCH_PARTITION
from service.kafka.read_back import read_back
from service.kafka.reading import readable_end
from service.kafka.risk_letters import RiskLetters
from service.kafka.session import Session
from service.kafka.watching.limit_log import PositionLimitLog
from service.outputs.publisher import MEMORY_KEY
from service.pipeline.log_time import usable_ms
from service.pipeline.output import Output, Watcher, opens_or_escalates
from service.pipeline.rejection import Rejection
from service.pipeline.risk_task import RiskTask, SignalBook
from service.pipeline.wire import RISK_INPUTS, RISK_STREAMS, Decoder, RiskInput
from service.settings.assembly import risk_decoders, risk_monitor, suppression, watches_risk
from service.settings.types import Settings

RISK_KEY = -2
"""The key of these alerts in the Alertmanager notifier and the console; no partition has this
number."""

POSITIONS_SECONDS = 86_400.0
RECENT_SECONDS = 1_800.0
"""How much of the positions and margins is read at the start, and of all else, in seconds."""

PUBLISHED_SECONDS = 3_600.0
"""How much of the topic of risk is read, to see what was published."""

LETTERS_MARGIN_SECONDS = 3_600.0
"""How much longer the dead letters are read back than the records that they are of."""

IDLE_SECONDS = 2.0
"""A topic partition without records for so long holds nothing back."""

ANSWER_SECONDS = 5.0
MOST_RECORDS = 5_000

LONG = ("positions", "margins", "accounts", "insurance")
RECENT = ("references", "liquidations", "signals")

log = structlog.get_logger("foreshock.risk")

_signals = msgspec.json.Decoder(SignalBook)
_records = msgspec.json.Decoder(RiskRecord)
_alerts = msgspec.json.Decoder(Alert)
_memories = msgspec.json.Decoder(Memory)


class RiskWatch:
    """Watches the risk of liquidations while its session owns partition number 0.

    The parameters are those of `MarketWatch`, and ``topics``: the topic of each stream that is
    read.
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
        self._topics = {stream: topics[stream] for stream in RISK_INPUTS if stream in topics}
        self._topics["signals"] = settings.outputs.signals
        self._task: RiskTask | None = None

    @property
    def wanted(self) -> bool:
        """Whether the settings and the topics allow the watch."""
        return watches_risk(self._settings) and "positions" in self._topics

    @property
    def monitor(self) -> RiskMonitor | None:
        """The monitor, once it has read what it needs; None if another process watches."""
        return self._task.monitor if self._task is not None else None

    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """Return the open alerts, as ``OpenAlerts``; empty if another process watches."""
        if not self.wanted or WATCH_PARTITION not in self._session.partitions:
            return {}
        monitor = self.monitor
        if monitor is None:
            return {RISK_KEY: None}
        return {RISK_KEY: list(monitor.open_alerts)}

    def reconfigure(self, settings: Settings) -> None:
        """Apply new maintenance windows from the next poll on; nothing else is reloadable."""
        self._settings = settings

    async def run(self) -> None:
        """Run forever; watch whenever the session owns the partition number."""
        waits = self._waits()
        while True:
            if (
                not self.wanted
                or WATCH_PARTITION not in self._session.partitions
                or self._session.restoring
            ):
                # Poll: ownership is a state that other tasks change, not an event.
                await asyncio.sleep(POLL_SECONDS)
                continue
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001 - the partitions must continue
                if self._task is not None:
                    waits = self._waits()
                wait = next(waits)
                self._counters.risk_failures += 1
                log.warning(
                    "the watch over the risk of liquidations failed, retrying",
                    reason=repr(error),
                    wait_seconds=round(wait, 2),
                )
                self._task = None
                await asyncio.sleep(wait)
            self._task = None

    async def _watch(self) -> None:
        reader = self._connect()
        try:
            await reader.start()
            await self._find()
            streams = await self._partitions()
            settings = self._settings
            task = RiskTask(
                [_name(stream, tp) for tp, stream in streams.items()],
                risk_monitor(
                    settings,
                    with_records=bool(settings.outputs.risk),
                    suppressed_alarms=self._counters.tally.market.suppressed_alarms,
                ),
                settings.time.max_disorder_ms * 1_000_000,
                settings.limits.buffered_events,
            )
            task.resume(*await self._published(reader))
            letters = await self._letters(reader)
            ends = await self._seek(reader, streams, task)
            inputs = {tp: _name(stream, tp) for tp, stream in streams.items()}
            decode = risk_decoders(settings)
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
                    task.monitor.suppression = suppression(settings)
                batches = await reader.getmany(
                    timeout_ms=round(POLL_SECONDS * 1e3), max_records=MOST_RECORDS
                )
                for tp, records in batches.items():
                    rejections = _feed(task, tp, streams[tp], records, decode)
                    if streams[tp] in RISK_STREAMS:
                        await letters.refuse(tp, records, rejections)
                for tp, name in inputs.items():
                    read, position = task.aligner.read(name), await reader.position(tp)
                    if position > read:  # offsets without a record
                        task.aligner.feed(name, (), first_offset=read, next_offset=position)
                answers = {
                    tp: BrokerAnswer(readable_end(reader, tp), reader.last_poll_timestamp(tp))
                    for tp in streams
                }
                idleness.update(answers, IDLE_SECONDS, ANSWER_SECONDS)
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
        """Find which of the streams that no session reads exist in the cluster."""
        existing = await self._clients.admin.list_topics()
        for stream in RISK_STREAMS:
            topic = getattr(self._settings.topics, stream)
            if topic and topic in existing:
                self._topics[stream] = topic

    async def _letters(self, reader: AIOKafkaConsumer) -> RiskLetters:
        """Return what sends dead letters, once it knows those of the records read again."""
        topic = self._settings.outputs.deadletters
        topics = [self._topics[its] for its in RISK_STREAMS if its in self._topics]
        letters = RiskLetters(self._clients.publisher, self._counters, topics)
        tps = await self._numbers(topic)
        # A dead letter is no older than its record, but for a producer whose clock is ahead.
        seconds = POSITIONS_SECONDS + LETTERS_MARGIN_SECONDS
        await letters.begin(reader, await _offsets(reader, tps, seconds))
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
    ) -> tuple[list[RiskRecord], list[Alert], list[Memory]]:
        """Return the last hour that was published of risk, and the alerts of the last day."""
        outputs = self._settings.outputs
        records: list[RiskRecord] = []
        memories: list[Memory] = []
        if outputs.risk:
            tps = await self._numbers(outputs.risk)
            # The last hour in which something was published, however long ago.
            newest_ms = await _newest_ms(reader, tps)
            read = await _last(reader, tps, PUBLISHED_SECONDS, newest_ms)
            memories = [*_decoded((its for its in read if _is_memory(its)), _memories)]
            records = [*_decoded((its for its in read if not _is_memory(its)), _records)]
        read = await _last(reader, await self._numbers(outputs.alerts), 86_400.0)
        return records, [*_decoded(read, _alerts)], memories

    async def _numbers(self, topic: str) -> list[TopicPartition]:
        (described,) = await self._clients.admin.describe_topics([topic])
        return [TopicPartition(topic, entry["partition"]) for entry in described["partitions"]]

    async def _seek(
        self, reader: AIOKafkaConsumer, streams: Mapping[TopicPartition, str], task: RiskTask
    ) -> dict[TopicPartition, int]:
        """Position the reader at what the watch needs; return the present ends."""
        reader.assign([*streams])
        firsts: dict[TopicPartition, int] = {}
        for wanted, seconds in ((LONG, POSITIONS_SECONDS), (RECENT, RECENT_SECONDS)):
            tps = [tp for tp, stream in streams.items() if stream in wanted]
            if tps:
                firsts |= await _offsets(reader, tps, seconds)
        for tp, first in firsts.items():
            reader.seek(tp, first)
            task.aligner.feed(_name(streams[tp], tp), (), first_offset=first, next_offset=first)
        reader.resume(*streams)
        return dict(await reader.end_offsets([*streams]))

    async def _publish(self, task: RiskTask, output: RiskOutput) -> None:
        """Send alerts, then records, each to the partition number of its symbol."""
        publisher = self._clients.publisher
        owner = self._session.partitions.get(WATCH_PARTITION)
        if owner is None or not (output.alerts or output.records or output.memories):
            return
        for alert in output.alerts:
            its = Output(alerts=[alert])
            await publisher.publish(task.partitions.get(alert.symbol, 0), its)
            self._clients.on_alert(RISK_KEY, alert)
            if opens_or_escalates(alert):
                self._counters.incidents[alert.detector, alert.severity] += 1
            if self._watcher is not None:
                self._watcher.take(RISK_KEY, its)
        for record in output.records:
            await publisher.risk(task.partitions.get(record.symbol, 0), record)
        for memory in output.memories:
            await publisher.remember(task.partitions.get(memory.symbol, 0), memory)


async def _last(
    reader: AIOKafkaConsumer,
    tps: Sequence[TopicPartition],
    seconds: float,
    until_ms: int | None = None,
) -> list[Any]:
    read = await read_back(reader, await _offsets(reader, tps, seconds, until_ms))
    return [record for batch in read.values() for record in batch]


async def _newest_ms(reader: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> int | None:
    """Return the newest timestamp of the last records; None if there is none."""
    ends = await reader.end_offsets(tps)
    read = await read_back(reader, {tp: max(0, end - 1) for tp, end in ends.items()})
    return max((its.timestamp for batch in read.values() for its in batch), default=None)


async def _offsets(
    reader: AIOKafkaConsumer,
    tps: Sequence[TopicPartition],
    seconds: float,
    until_ms: int | None = None,
) -> dict[TopicPartition, int]:
    """Return the first offset of each topic partition whose record is not older than this.

    Older than so many seconds before ``until_ms``, or before now.
    """
    since_ms = round((until_ms or time.time() * 1e3) - seconds * 1e3)
    ends = await reader.end_offsets(tps)
    found = await reader.offsets_for_times(dict.fromkeys(tps, since_ms))
    return {tp: first.offset if (first := found.get(tp)) else ends[tp] for tp in tps}


def _is_memory(record: Any) -> bool:
    return record.key is not None and bool(record.key.endswith(MEMORY_KEY))


def _name(stream: str, tp: TopicPartition) -> str:
    return f"{stream}/{tp.partition}"


def _positions(task: RiskTask) -> int:
    return len(task.monitor.holdings.positions)


def _feed(
    task: RiskTask,
    tp: TopicPartition,
    stream: str,
    records: Sequence[Any],
    decode: Mapping[str, Decoder[RiskInput]],
) -> list[Rejection]:
    """Decode records and give them to the task; return what is no event."""
    events: list[RiskInput | SignalBook]
    rejections: list[Rejection] = []
    if stream == "signals":
        events = [*_decoded(records, _signals)]
    else:
        now_ns = time.time_ns()
        arrived_ms = [usable_ms(record.timestamp, now_ns) for record in records]
        decoded = decode[stream].decode([record.value for record in records], arrived_ms)
        events, rejections = [*decoded.events], decoded.rejections
    task.feed(
        _name(stream, tp),
        tp.partition,
        events,
        first_offset=records[0].offset,
        next_offset=records[-1].offset + 1,
    )
    return rejections


def _decoded(records: Iterable[Any], decoder: Any) -> Iterator[Any]:
    for record in records:
        try:
            yield decoder.decode(record.value or b"")
        except msgspec.MsgspecError:
            continue  # not a record of Foreshock
