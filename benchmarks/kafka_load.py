"""The load in Kafka, and in files for replay."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aiokafka import TopicPartition
from confluent_kafka import Producer
from load import STREAMS, Load, Record, generate, symbol_name

PARTITIONS = 12
OUTPUTS = ("alerts", "signals", "killswitch", "deadletters", "snapshots")


def topic_name(run: str, name: str) -> str:
    """A topic of one run: loads of several runs may be in one broker."""
    return f"{run}.{name}"


def input_partitions(run: str) -> list[TopicPartition]:
    """Every partition that the load of a run is in."""
    return [TopicPartition(topic_name(run, s), n) for s in STREAMS for n in range(PARTITIONS)]


def produce(servers: str, run: str, load: Load) -> None:
    """Produce a load, uncompressed, each symbol's events to the same partition number."""
    keys = [symbol_name(number).encode() for number in range(load.symbols)]
    produce_records(servers, run, generate(load), keys)


def produce_records(
    servers: str, run: str, records: Iterable[Record], keys: Sequence[bytes]
) -> None:
    """Produce records as they come; ``keys`` are the symbols' names."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,  # without it a retry changes the order
            "linger.ms": 50,
            "batch.size": 131_072,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    topics = [topic_name(run, stream) for stream in STREAMS]
    failures: list[object] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failures.append(error)

    for number, record in enumerate(records):
        if number % 10_000 == 0:
            producer.poll(0)
        while True:
            try:
                producer.produce(
                    topics[record.stream],
                    record.value,
                    keys[record.symbol],
                    partition=record.symbol % PARTITIONS,
                    on_delivery=delivered,
                )
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60) or failures:
        raise SystemExit(f"the load could not be produced: {failures[:1]}")


def write_files(directory: Path, load: Load) -> None:
    """Write a load as ``foreshock replay`` reads it."""
    directory.mkdir(parents=True)
    files = [(directory / f"{stream}.ndjson").open("wb") for stream in STREAMS]
    for record in generate(load):
        files[record.stream].write(record.value + b"\n")
    for file in files:
        file.close()
