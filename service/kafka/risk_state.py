"""The state of the risk as the topics tell it, for a command beside a service that runs."""

import sys
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from detectors.risk_watch.monitor import RiskMonitor
from service.describe import moment
from service.errors import OperatorError
from service.kafka.cluster.topics import Topic
from service.kafka.operator import consumer, find_topics, require
from service.kafka.risk_topics import (
    MOST_RECORDS,
    decode_inputs,
    feed,
    name_of,
    new_task,
    published,
    seek,
    skip_to,
)
from service.kafka.schemas_of import loaded
from service.mapping.topics import topics_of
from service.pipeline.risk_task import RiskTask
from service.registry.registry import Registry
from service.settings.assembly import risk_decoders, risk_topics, stream_topics, watches_risk
from service.settings.types import Settings

_FOR_EVER_NS = sys.maxsize

SCHEMA_SECONDS = 30.0
"""How long the command waits for schemas of a registry, in seconds."""


class _Times(Struct):
    """The event times of what was read, in nanoseconds."""

    first: int = _FOR_EVER_NS
    last: int = 0


async def monitor_of_topics(settings: Settings, at_ns: int | None) -> tuple[int, RiskMonitor]:
    """Return a moment, and the monitor of the risk as the topics tell it up to then.

    It reads what a process reads that takes the watch over: the day before of the positions, the
    half hour before of the references and signals, and what was learned up to the moment.

    Parameters
    ----------
    settings
        The settings.
    at_ns
        The moment in nanoseconds of event time; None: the end of the topics.

    Raises
    ------
    OperatorError
        If the settings or the topics do not allow it, the moment is not within them, no broker
        answers, or the broker refuses.
    """
    if not watches_risk(settings):
        raise OperatorError(
            "a scenario needs risk.enabled = true, and names for topics.positions and "
            "outputs.signals"
        )
    found = await find_topics(settings)
    signals = settings.outputs.signals
    inputs = risk_topics(settings, found)
    if "positions" not in stream_topics(settings, inputs):
        _require_positions(settings, found)
    require(found, signals, "outputs.signals")
    topics = {**inputs, "signals": signals}
    streams = {tp: stream for stream, its in topics.items() for tp in _partitions(found, its)}
    now = time.time()
    before = now if at_ns is None else min(now, at_ns / 1e9)
    task = new_task(settings, streams, with_records=False)
    times = _Times()
    until = _FOR_EVER_NS if at_ns is None else at_ns
    async with consumer(settings) as reader:
        risk = settings.outputs.risk
        if risk in found:
            records, memories = await published(reader, _partitions(found, risk))
            task.resume(
                [its for its in records if its.ts_event <= until],
                [],
                [its for its in memories if its.ts_event <= until],
            )
        ends = await seek(reader, settings, streams, task, before)
        registry = Registry(settings.registry)
        async with registry.running():
            await _read(reader, settings, streams, ends, task, until, times, registry)
    _check(at_ns, times)
    monitor = task.monitor
    monitor.close_until(task.aligner.watermark_ns if at_ns is None else at_ns)
    monitor.go_live()
    return monitor.closed_ns if at_ns is None else at_ns, monitor


def _require_positions(settings: Settings, found: Mapping[str, Topic]) -> None:
    """Raise OperatorError: no topic has positions."""
    mapped = topics_of("positions", settings.mappings)
    if not mapped:
        require(found, settings.topics.positions, "topics.positions")
    raise OperatorError(f"no topic of the mappings of positions exists: {mapped}")


def _partitions(found: Mapping[str, Topic], name: str) -> list[TopicPartition]:
    return [TopicPartition(name, number) for number in range(found[name].partitions)]


async def _read(
    reader: AIOKafkaConsumer,
    settings: Settings,
    streams: Mapping[TopicPartition, str],
    ends: Mapping[TopicPartition, int],
    task: RiskTask,
    until_ns: int,
    times: _Times,
    registry: Registry,
) -> None:
    """Give the task what the topics have up to their ends; of it, the events up to a moment."""
    decoders = risk_decoders(settings, {*streams.values()} - {"signals"}, registry.schemas)
    unread = dict(ends)
    while unread:
        for tp, batch in (await reader.getmany(timeout_ms=200, max_records=MOST_RECORDS)).items():
            records = [record for record in batch if record.offset < ends[tp]]
            if not records:
                continue
            if (its := decoders.get(streams[tp])) is not None:
                usable = await loaded(registry, its, records, SCHEMA_SECONDS)
                if len(usable) < len(records):
                    raise OperatorError(f"the schema registry does not answer: {registry.problem}")
            events, _ = decode_inputs(streams[tp], records, decoders)
            for event in events:
                times.first = min(times.first, event.ts_event)
                times.last = max(times.last, event.ts_event)
            wanted = [event for event in events if event.ts_event <= until_ns]
            feed(task, tp, streams[tp], records, wanted)
        for tp, end in [*unread.items()]:
            name, position = name_of(streams[tp], tp), await reader.position(tp)
            skip_to(task, name, min(position, end))
            if position >= end:
                # The others need not wait for it: nothing of it is left.
                task.aligner.set_idle(name)
                del unread[tp]
        task.advance()


def _check(at_ns: int | None, times: _Times) -> None:
    if not times.last:
        raise OperatorError(
            "the topics have no record of the last day that a scenario could be computed from"
        )
    if at_ns is not None and not times.first <= at_ns <= times.last:
        bound, word = (times.first, "begins") if at_ns < times.first else (times.last, "ends")
        raise OperatorError(
            f"--at is {moment(at_ns, day=True)} UTC: what the topics have of it {word} at "
            f"{moment(bound, day=True)} UTC"
        )
