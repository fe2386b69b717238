"""Turns a venue's own files into a recording: one plain file per stream, for every command."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from service.errors import OperatorError
from service.mapping.topics import entries_of, input_name, mapped_streams
from service.output_files import OutputFile
from service.pipeline.rejection import Rejection
from service.pipeline.wire import ALL_STREAMS, REQUIRED_STREAMS
from service.replay.files import STREAM_NAMES, EventWriter, stream_path, topic_name
from service.replay.paths import settings_of_files, topic_paths
from service.replay.risk_files import merged_events
from service.settings.assembly import all_decoders
from service.settings.types import Settings

REJECTED = "rejected.ndjson"
"""The file of the messages that became no event, beside the streams."""

_encode = msgspec.json.Encoder().encode


class Rejected(Struct, frozen=True):
    """A message that became no event: the name of its file, its number from 1, and why."""

    file: str
    number: int
    reason: str
    detail: str


class Imported(Struct):
    """What was written: events by stream, the number of rejected messages, and the first one."""

    events: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    first: Rejected | None = None


def import_files(
    source: Path,
    out: Path,
    settings: Settings,
    *,
    topic: str | None = None,
    compression: str = "none",
) -> Imported:
    """Write the events of a venue's files as a recording, each stream in event-time order.

    Messages that are no events go to `REJECTED`. Quantities stay as they are: a replay of the
    recording needs the same ``[quantities]``.

    Parameters
    ----------
    source
        A directory with files named after the topics of the mappings, or one such file. Streams
        without mappings come from their own files.
    out
        The directory to write; it must not have a recording yet.
    settings
        The settings with the mappings.
    topic
        The topic of the messages of one file, if its name is another.

    Raises
    ------
    OperatorError
        If no file has messages that the settings read, a file cannot be read or written, or the
        directory has a recording already.
    """
    settings = settings_of_files(settings)
    paths = _paths(source, settings, topic)
    found = Imported()
    try:
        with EventWriter(out, compression) as writer:
            rejected = OutputFile(REJECTED, out / REJECTED)
            try:

                def refuse(name: str, rejection: Rejection) -> None:
                    its = Rejected(
                        paths[name].name, rejection.index + 1, rejection.reason, rejection.detail
                    )
                    found.first = found.first or its
                    found.rejected += 1
                    rejected.write(_encode(its) + b"\n")

                for event in merged_events(paths, all_decoders(settings, paths), settings, refuse):
                    writer.write(_plain(event))
            finally:
                rejected.close()
    except (OSError, RuntimeError) as error:
        raise OperatorError(str(error)) from error
    found.events = {name: count for name, count in writer.counts.items() if count}
    # A stream that is there and empty is not one that the venue does not have.
    empty = [
        stream_path(out, its) for its in ALL_STREAMS.keys() - found.events - {*REQUIRED_STREAMS}
    ]
    for path in (*empty, *([] if found.rejected else [out / REJECTED])):
        if path is not None:
            path.unlink()
    return found


def _paths(source: Path, settings: Settings, topic: str | None) -> dict[str, Path]:
    """Return the files to read, by input."""
    if source.is_dir():
        mapped = mapped_streams(settings.mappings)
        try:
            plain = {its: stream_path(source, its) for its in ALL_STREAMS if its not in mapped}
        except ValueError as error:
            raise OperatorError(str(error)) from error
        found = {name: path for name, path in plain.items() if path is not None}
        found |= topic_paths(source, settings, ALL_STREAMS)
    elif not source.exists():
        raise OperatorError(f"{source} does not exist; name a file or a directory")
    else:
        name = topic or topic_name(source) or ""
        found = {input_name(name): source} if entries_of(name, settings.mappings) else {}
    if not found:
        topics = ", ".join(
            dict.fromkeys(its for entry in settings.mappings for its in entry.topics)
        )
        raise OperatorError(
            f"{source} is no file of the topics of the mappings ({topics or 'there are none'}) and "
            "has none; name a file TOPIC.ndjson, TOPIC.csv or TOPIC.dbn (each may also end in .gz "
            "or .zst), or the topic of one file with --topic"
        )
    return found


def _plain(event: Any) -> Any:
    """Return the event under Foreshock's names of the fields."""
    cls = ALL_STREAMS[STREAM_NAMES[event.kind]]
    return event if type(event) is cls else cls(**msgspec.structs.asdict(event))
