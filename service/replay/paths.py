"""The files of a directory that a replay reads: those of streams and of topics of the mappings."""

from collections.abc import Collection
from pathlib import Path

import structlog
from msgspec import structs

from service.errors import OperatorError
from service.mapping.csv_lines import CsvLines
from service.mapping.topics import (
    columns_of,
    entries_of,
    input_name,
    mapped_streams,
    topics_of,
    without_timestamps,
)
from service.pipeline.wire import REQUIRED_STREAMS, STREAMS
from service.replay.files import is_csv, stream_path, topic_name
from service.settings.assembly import streams_of
from service.settings.types import Settings

log = structlog.get_logger("foreshock.replay")


def settings_of_files(settings: Settings) -> Settings:
    """Return the settings without the mappings that need the timestamp of a record.

    A file has none. Each mapping that is left out is logged.
    """
    kept = without_timestamps(settings.mappings)
    for number, entry in enumerate(settings.mappings):
        if entry not in kept:
            log.warning(
                "a mapping is left out: it reads @timestamp, and a file has no timestamps of Kafka",
                mapping=f"mappings[{number}]",
                stream=str(entry.stream),
            )
    return structs.replace(settings, mappings=kept)


def csv_lines(path: Path, settings: Settings) -> CsvLines | None:
    """Return what turns the lines of a CSV file into messages; None for other files."""
    if not is_csv(path):
        return None
    return CsvLines(columns_of(topic_name(path) or "", settings.mappings))


def positions_file(settings: Settings) -> str:
    """Return what a directory lacks whose positions are missing."""
    mapped = topics_of("positions", settings.mappings)
    return f"file of the topics of positions: {mapped}" if mapped else "positions.ndjson"


def has_positions(paths: Collection[str], settings: Settings) -> bool:
    """Return whether one of the inputs has positions."""
    return any("positions" in streams_of(settings, name) for name in paths)


def stream_paths(directory: Path, settings: Settings) -> dict[str, Path]:
    """Return the file of each input that is there.

    Inputs are those of ``service.settings.assembly.input_topics``.

    Raises
    ------
    OperatorError
        If a required stream or every topic of the mappings is missing, or one has several files.
    """
    if not directory.is_dir():
        raise OperatorError(f"{directory} is not a directory; name one with orders.ndjson …")
    try:
        mapped = mapped_streams(settings.mappings)
        found = {name: stream_path(directory, name) for name in STREAMS if name not in mapped}
    except ValueError as error:
        raise OperatorError(str(error)) from error
    missing = [f"{name}.ndjson" for name in REQUIRED_STREAMS if found.get(name, name) is None]
    if missing:
        raise OperatorError(
            f"{directory} lacks {', '.join(missing)} (each may also be .ndjson.gz or .ndjson.zst);"
            " orders, cancels and trades are required"
        )
    mapped_paths = topic_paths(directory, settings, STREAMS)
    entries = [entry for entry in settings.mappings if entry.stream in STREAMS]
    if entries and not mapped_paths:
        topics = ", ".join(dict.fromkeys(its for entry in entries for its in entry.topics))
        raise OperatorError(
            f"{directory} has no file of the topics of the mappings: {topics}; name a file "
            "TOPIC.ndjson, TOPIC.csv or TOPIC.dbn (each may also end in .gz or .zst)"
        )
    return {name: path for name, path in found.items() if path is not None} | mapped_paths


def topic_paths(directory: Path, settings: Settings, streams: Collection[str]) -> dict[str, Path]:
    """Return the files of the topics that mappings read for some streams: named after the topic.

    Raises
    ------
    OperatorError
        If a topic has several files.
    """
    entries = [entry for entry in settings.mappings if entry.stream in streams]
    if not entries:
        return {}
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        topic = topic_name(path)
        if topic is None or not entries_of(topic, entries):
            continue
        if input_name(topic) in found:
            raise OperatorError(f"{directory} holds two files of the topic {topic}; keep one")
        found[input_name(topic)] = path
    return found
