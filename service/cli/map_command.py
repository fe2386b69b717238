"""``foreshock map``: what sample messages of a venue become."""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.argument_parts import add_command
from service.errors import ConfigurationError, OperatorError

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands
    from service.mapping.decoder import MappedDecoder
    from service.registry.registry import Registry
    from service.settings.types import Settings

_RECORD = ".bin"
"""The ending of a file that has the value of one record as Kafka has it."""

# The command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def add_map(subcommands: "Subcommands") -> None:
    """Add ``foreshock map``."""
    command = add_command(
        subcommands,
        "map",
        show_samples,
        summary="show what messages of your venue become",
        description="Reads sample messages and shows for each the events that it becomes by the "
        "[[mappings]] of a configuration, or that it is ignored, or why it would be a dead letter. "
        "Then it lists the fields that no mapping reads, and the fields of events that no mapping "
        "gives. Needs no Kafka. Exit code 1 if a message would be a dead letter, a field cannot be "
        "read, or an entry has no sample.",
        epilog="""\
SAMPLE is a file with one message per line (.ndjson), one message (.json), CSV (.csv), or the value
of one record in Avro or Protobuf (.bin): its schema comes from the registry. Its name without the
ending is the topic, unless --topic gives it or the mappings read only one.

examples:
  foreshock map foreshock.toml venue.full.ndjson
  foreshock map deploy/venues/bitstamp.toml samples.ndjson --topic bitstamp.live_orders
""",
    )
    command.add_argument("config", metavar="CONFIG", type=Path, help="settings in TOML")
    command.add_argument("samples", metavar="SAMPLE", type=Path, nargs="+", help="file of messages")
    command.add_argument("--topic", metavar="NAME", help="the topic of the messages")
    command.add_argument("--key", metavar="TEXT", help="the key of the records")


def show_samples(arguments: argparse.Namespace) -> int:
    """``foreshock map``."""
    from service.mapping.reader import Batch
    from service.mapping.show import Summary, missing, told
    from service.registry.registry import Registry
    from service.settings.assembly import mapped_decoder
    from service.settings.load import load_settings

    settings = load_settings(arguments.config, os.environ)
    if not settings.mappings:
        raise ConfigurationError(
            f"{arguments.config} has no [[mappings]]; docs/connect.md shows how to write them"
        )
    now_ms = time.time_ns() // 1_000_000
    key = arguments.key.encode() if arguments.key is not None else None
    summary = Summary()
    decoders: dict[str, Any] = {}
    registry = Registry(settings.registry)
    for path in arguments.samples:
        topic = arguments.topic or _topic(path, settings)
        decoder = decoders[topic] = decoders.get(topic) or mapped_decoder(settings, topic)
        if path.suffix == _RECORD:
            decoder = _decoder_of_record(registry, settings, topic, _content(path))
        for number, message in enumerate(_messages(path, settings, topic), 1):
            its = told(decoder, Batch([message], [now_ms], [key], [number]), summary)
            for line in its.lines:
                _say(f"{path.name}:{number:<5} {line}")
    fields = ", ".join(f"{name} ({count})" for name, count in sorted(summary.unused.items()))
    _say(f"\nfields that no mapping reads: {fields or 'none'}")
    unsampled = []
    for decoder in decoders.values():
        for stream, names in missing(decoder):
            _say(f"fields of {stream} that the mapping does not give: {', '.join(names) or 'none'}")
            if not summary.events[stream]:
                unsampled.append(stream)
    counts = ", ".join(f"{count} {stream}" for stream, count in sorted(summary.events.items()))
    _say(
        f"\n{summary.messages} messages: {counts or 'no event'}; {summary.ignored} ignored, "
        f"{summary.refused} rejected, {summary.unread} fields unreadable"
    )
    for stream in dict.fromkeys(unsampled):
        _say(f"no message became one of the {stream}: add a sample, or correct the mapping")
    return 1 if summary.refused or summary.unread or unsampled else 0


def _decoder_of_record(
    registry: "Registry", settings: "Settings", topic: str, value: bytes
) -> "MappedDecoder[Any]":
    """Return the decoder of a record as Kafka has it, with its schema if it needs one.

    Raises OperatorError if the registry gives no answer.
    """
    from service.pipeline.framing import schema_id
    from service.settings.assembly import mapped_decoder

    decoder = mapped_decoder(settings, topic, schemas=registry.schemas)
    number = schema_id(value)

    async def load(number: int) -> None:
        async with registry.running():
            await registry.settle([number], settings.registry.timeout_seconds)
            if not registry.schemas.knows(number):
                raise OperatorError(registry.problem or "the schema registry does not answer")

    if decoder.needs_schemas and number is not None:
        asyncio.run(load(number))
    return decoder


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror or error}") from None


def _topic(path: Path, settings: "Settings") -> str:
    """Return the topic of a sample, by the name of its file or as the only one there is."""
    from service.mapping.topics import entries_of, is_pattern

    name = path.name
    for suffix in (".ndjson", ".json", ".csv", _RECORD):
        name = name.removesuffix(suffix)
    if entries_of(name, settings.mappings):
        return name
    topics = list(dict.fromkeys(topic for entry in settings.mappings for topic in entry.topics))
    if len(topics) == 1:
        return topics[0].replace("*", "x") if is_pattern(topics[0]) else topics[0]
    raise ConfigurationError(
        f"{path}: no mapping reads a topic {name}; the mappings read {', '.join(topics)}. Give the "
        "file that name, or name the topic with --topic"
    )


def _messages(path: Path, settings: "Settings", topic: str) -> Iterator[bytes]:
    from service.mapping.csv_lines import CsvLines
    from service.mapping.topics import columns_of

    content = _content(path)
    if path.suffix == _RECORD:
        yield content
        return
    if path.suffix == ".json":
        try:
            found = json.loads(content)
        except ValueError:
            yield content
            return
        for message in found if isinstance(found, list) else [found]:
            yield json.dumps(message).encode()
        return
    lines = [line for line in content.split(b"\n") if line.strip()]
    if path.suffix == ".csv" and lines:
        lines = CsvLines(columns_of(topic, settings.mappings)).messages(lines)
    yield from lines


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's output
