"""One measurement in a separate process, so that its memory and caches are its own.

``run.py`` starts ``python benchmarks/phases.py NAME JSON``. The last printed line is the result, as
JSON.
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer
from bars import measure_bars
from contagion import measure_contagion
from kafka_load import OUTPUTS, input_partitions, topic_name
from load import STREAMS, Load
from memory import peak_memory_bytes
from risk import measure_risk
from stages import measure_stages, record

from service.kafka.clients import consumer_options
from service.logs import configure
from service.replay.engine import replay
from service.replay.files import BatchReader
from service.run import GC_THRESHOLDS, Service
from service.settings.assembly import decoders
from service.settings.types import Settings

ENOUGH_IDLE_SECONDS = 30.0

RISK_SECONDS = 20
"""Seconds of event time that the risk is measured over: each symbol has records twice in them."""


class Task(msgspec.Struct):
    """The data to measure on: a run's topics on a broker, a directory of files, or a load.

    ``symbols`` and ``events_per_symbol_second`` are for a load that is generated in the process,
    ``symbols``, ``accounts`` and ``records`` (positions) for the risk of liquidations.
    """

    records: int
    servers: str = ""
    run: str = ""
    group: str = ""
    directory: str = ""
    warmup_bars: int = 240
    symbols: int = 64
    events_per_symbol_second: float = 100.0
    accounts: int = 10_000


class Result(msgspec.Struct):
    """The result of a phase. Seconds are from the first record to the last."""

    events: int
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    details: dict[str, float] = {}


class Stopwatch:
    """Wall and process time since creation."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def result(self, events: int, details: dict[str, float] | None = None) -> Result:
        """The times until now, and the peak memory of the process."""
        seconds = time.perf_counter() - self.wall
        cpu_seconds = time.process_time() - self.cpu
        return Result(events, seconds, cpu_seconds, peak_memory_bytes(), details or {})


def settings_of(task: Task) -> Settings:
    """The service's settings: all outputs on, everything else at its default."""
    names = {name: topic_name(task.run, name) for name in (*STREAMS, *OUTPUTS)}
    tree = {
        "kafka": {
            "bootstrap_servers": task.servers or "127.0.0.1:9092",
            "group_id": task.group or "bench",
            "start": "earliest",
        },
        "topics": {
            **{stream: names[stream] for stream in STREAMS},
            **dict.fromkeys(("references", "margins", "positions", "statuses"), ""),
        },
        "outputs": {name: names[name] for name in OUTPUTS},
        "detection": {"warmup_bars": task.warmup_bars},
    }
    return msgspec.convert(tree, Settings)


async def drain(task: Task, take: Callable[[str, list[Any]], object] | None) -> Result:
    """Read every record with ``getmany`` as the service does; ``take`` gets the records."""
    settings = settings_of(task)
    consumer = AIOKafkaConsumer(**consumer_options(settings.kafka))
    await consumer.start()
    try:
        partitions = input_partitions(task.run)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        watch = Stopwatch()
        events = 0
        while events < task.records:
            batches = await consumer.getmany(
                timeout_ms=100, max_records=settings.kafka.max_poll_records
            )
            for tp, records in batches.items():
                events += len(records)
                if take is not None:
                    take(tp.topic, records)
        return watch.result(events)
    finally:
        await consumer.stop()


async def drain_and_decode(task: Task) -> Result:
    """The drain, with every record decoded into an event."""
    by_stream = decoders(settings_of(task), dict.fromkeys(STREAMS))
    by_topic = {topic_name(task.run, stream): decoder for stream, decoder in by_stream.items()}

    def take(topic: str, records: list[Any]) -> None:
        by_topic[topic].decode(
            [record.value for record in records], [record.timestamp for record in records]
        )

    return await drain(task, take)


async def whole_service(task: Task) -> Result:
    """The service as ``foreshock run`` runs it, from its first poll to the last record."""
    settings = settings_of(task)
    service = Service(settings, {s: topic_name(task.run, s) for s in STREAMS})
    running = asyncio.create_task(service.run())
    watch = None
    while True:
        await asyncio.sleep(0.005)
        if running.done():
            running.result()
        view = service.view()
        if watch is None and view.connected and not service.health().checks.get("state"):
            watch = Stopwatch()
        read = view.counters.records.total()
        if read >= task.records:
            break
    assert watch is not None
    result = watch.result(read)
    # Records that still wait for alignment are released once their topics are idle.
    deadline = time.monotonic() + ENOUGH_IDLE_SECONDS
    tally = view.counters.tally
    while tally.scored + tally.late < read and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    service.stop()
    await running
    assert tally.scored + tally.late == read, "events are missing"
    published = view.published
    result.peak_memory_bytes = peak_memory_bytes()
    result.details = {
        "late": tally.late,
        "unknown_orders": tally.market.unknown_orders,
        "bars": tally.market.bars,
        "signals": published.signals,
        "alerts": sum(published.alerts.values()),
        "snapshots": published.snapshots,
        "commits": view.counters.commits,
    }
    return result


async def stages(task: Task) -> Result:
    """The process time of each stage, in seconds, as details."""
    settings = settings_of(task)
    polls = await record(settings, input_partitions(task.run), task.records)
    watch = Stopwatch()
    topics = {stream: topic_name(task.run, stream) for stream in STREAMS}
    seconds = await measure_stages(settings, topics, polls)
    return watch.result(task.records, seconds)


def bars(task: Task) -> Result:
    """The cost of a bar of one partition in memory, as details."""
    watch = Stopwatch()
    load = Load(
        task.records, symbols=task.symbols, events_per_symbol_second=task.events_per_symbol_second
    )
    return watch.result(task.records, measure_bars(load, settings_of(task)))


def risk(task: Task) -> Result:
    """The cost of the risk of liquidations, as details."""
    watch = Stopwatch()
    details = measure_risk(task.records, task.symbols, task.accounts, RISK_SECONDS)
    return watch.result(task.records, details)


def contagion(task: Task) -> Result:
    """The cost of the contagion matrix and of a scenario, as details."""
    watch = Stopwatch()
    return watch.result(task.records, measure_contagion(task.symbols, task.accounts))


def read_files(task: Task, decode: bool) -> Result:
    """Read a directory's lines as replay does, and decode them if ``decode``."""
    by_stream = decoders(settings_of(task), dict.fromkeys(STREAMS))
    watch = Stopwatch()
    events = 0
    for stream in STREAMS:
        for lines in BatchReader(Path(task.directory, f"{stream}.ndjson")):
            events += len(lines)
            if decode:
                by_stream[stream].decode(lines, [time.time_ns() // 1_000_000] * len(lines))
    return watch.result(events)


def replay_files(task: Task) -> Result:
    """``foreshock replay`` with alerts and signals written to files."""
    with tempfile.TemporaryDirectory() as folder:
        watch = Stopwatch()
        replay(
            Path(task.directory),
            settings_of(task),
            alerts=Path(folder, "alerts"),
            signals=Path(folder, "signals"),
            summary=Path(folder, "summary"),
            quiet=True,
        )
        summary = json.loads(Path(folder, "summary").read_bytes())
        details = {"bars": summary["bars"], "unknown_orders": summary["unknown_orders"]}
        return watch.result(summary["read"], details)


PHASES: dict[str, Callable[[Task], Result]] = {
    "drain": lambda task: asyncio.run(drain(task, None)),
    "decode": lambda task: asyncio.run(drain_and_decode(task)),
    "service": lambda task: asyncio.run(whole_service(task)),
    "stages": lambda task: asyncio.run(stages(task)),
    "bars": bars,
    "risk": risk,
    "contagion": contagion,
    "read files": lambda task: read_files(task, decode=False),
    "decode files": lambda task: read_files(task, decode=True),
    "replay": replay_files,
}


def main() -> None:
    configure("warning", "json")
    gc.set_threshold(*GC_THRESHOLDS)
    result = PHASES[sys.argv[1]](msgspec.json.decode(sys.argv[2], type=Task))
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
