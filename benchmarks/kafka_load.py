"""The load in Kafka, and in files for replay."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from aiokafka import TopicPartition
from confluent_kafka import Producer
from load import STREAMS, Load, Record, generate, symbol_name

PARTITIONS = 12
OUTPUTS = (
    "alerts",
    "signals",
    "killswitch",
    "deadletters",
    "snapshots",
    "feedback",
    "journal",
    "risk",
    "commands",
    "switchlog",
    "liquidation_records",
    "parameter_changes",
)


def topic_name(run: str, name: str) -> str:
    """A topic of one run. One broker can hold the loads of several runs."""
    return f"{run}.{name}"


def input_partitions(run: str) -> list[TopicPartition]:
    """Every partition that holds the load of a run."""
    return [TopicPartition(topic_name(run, s), n) for s in STREAMS for n in range(PARTITIONS)]


class Message(NamedTuple):
    """A record of a stream (by number), its partition, key and value."""

    stream: int
    partition: int
    key: bytes
    value: bytes


def addressed(records: Iterable[Record]) -> Iterator[Message]:
    """Send each symbol's records, in every stream, to the same partition number."""
    for record in records:
        key = symbol_name(record.symbol).encode()
        yield Message(record.stream, record.symbol % PARTITIONS, key, record.value)


def produce(servers: str, run: str, messages: Iterable[Message]) -> None:
    """Produce messages as they come, uncompressed.

    Raises SystemExit if a message is not delivered.
    """
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,  # otherwise a retry changes the order
            "linger.ms": 50,
            "batch.size": 131_072,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    topics = [topic_name(run, stream) for stream in STREAMS]

    def delivered(error: object, _message: object) -> None:
        if error is not None:  # raised by poll and flush
            raise SystemExit(f"cannot produce the load: {error}")

    for number, message in enumerate(messages):
        if number % 1_000 == 0:
            producer.poll(0)
        while True:
            try:
                producer.produce(
                    topics[message.stream],
                    message.value,
                    message.key,
                    partition=message.partition,
                    on_delivery=delivered,
                )
                break
            except BufferError:
                producer.poll(0.1)
    if undelivered := producer.flush(60):
        raise SystemExit(f"cannot produce the load: {undelivered:,} records undelivered after 60 s")


def write_files(directory: Path, load: Load) -> None:
    """Write a load as files for ``foreshock replay``."""
    directory.mkdir(parents=True)
    files = [(directory / f"{stream}.ndjson").open("wb") for stream in STREAMS]
    for record in generate(load):
        files[record.stream].write(record.value + b"\n")
    for file in files:
        file.close()
