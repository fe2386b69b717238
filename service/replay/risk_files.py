"""The streams of a directory that the risk of positions needs, as one sequence in event time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush, merge
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent
from service.errors import OperatorError
from service.mapping.records import AnyDecoder, decode_lines
from service.mapping.topics import mapped_streams
from service.pipeline.rejection import Rejection
from service.pipeline.wire import RISK_INPUTS, RiskInput
from service.replay.files import BatchReader, stream_path
from service.replay.paths import csv_lines, topic_paths
from service.settings.assembly import risk_decoders
from service.settings.types import Settings

MOST_EVENTS = 1 << 40
"""More than the events of a file: the numbers of those of the next file begin above it."""

E = TypeVar("E", bound=Event | RiskInput | AuditEvent)

Refused = Callable[[str, Rejection], None]
"""Takes a stream's name and a record that is no event; its index counts the lines of the file,
without blank ones."""


class Placed(NamedTuple, Generic[E]):
    """An event with the key of its place in the sequence; no two events have the same key."""

    place_ns: int
    sequence: int
    kind: int
    number: int
    event: E


def risk_files(directory: Path, settings: Settings) -> dict[str, Path]:
    """Return the files of the inputs that the risk of positions needs, by input.

    Raises
    ------
    OperatorError
        If a stream or a topic of the mappings has several files.
    """
    mapped = mapped_streams(settings.mappings)
    try:
        found = {name: stream_path(directory, name) for name in RISK_INPUTS if name not in mapped}
    except ValueError as error:
        raise OperatorError(str(error)) from error
    plain = {name: path for name, path in found.items() if path is not None}
    return plain | topic_paths(directory, settings, RISK_INPUTS)


def risk_events(
    directory: Path, settings: Settings, refused: Refused | None = None
) -> Iterator[RiskInput]:
    """Yield the references, margins, positions, accounts, liquidations and funds of a directory.

    The order is that of the pipeline: by ``ts_event``, ``sequence``, stream, place in the file. An
    event that is older than its file's newest by more than ``time.max_disorder_ms`` takes the
    earliest place that is left. Memory holds a few batches of each file. The same files give the
    same sequence. Every stream is optional, and so is every file.

    Parameters
    ----------
    directory
        Directory of the streams; each file may be ``.ndjson``, ``.ndjson.gz`` or ``.ndjson.zst``.
        A stream with mappings comes from the files of their topics.
    settings
        Names of fields, time unit and limits of the records.
    refused
        Called with each record that is no event. Such a record stops nothing.

    Raises
    ------
    OperatorError
        If a stream has several files, or a file cannot be read or is damaged.
    """
    files = risk_files(directory, settings)
    return merged_events(files, risk_decoders(settings, files), settings, refused)


def merged_events(
    files: Mapping[str, Path],
    decoders: Mapping[str, AnyDecoder[E]],
    settings: Settings,
    refused: Refused | None,
) -> Iterator[E]:
    """Yield the events of files, one for each input, in the order of `risk_events`."""
    max_disorder_ns = settings.time.max_disorder_ms * 1_000_000
    streams = [
        in_order(
            decoded_events(name, path, decoders[name], settings, refused),
            max_disorder_ns,
            number * MOST_EVENTS,
        )
        for number, (name, path) in enumerate(files.items())
    ]
    for placed in merge(*streams):
        yield placed.event


def decoded_events(
    name: str,
    path: Path,
    decoder: AnyDecoder[E],
    settings: Settings,
    refused: Refused | None,
) -> Iterator[E]:
    """Yield the events of the file of a stream in the order of the file; see `risk_events`."""
    read = 0
    csv = csv_lines(path, settings)
    try:
        for raw in BatchReader(path, max_line_bytes=settings.wire.max_record_bytes):
            # A file has no timestamps of its own: none of its events may be after now.
            now_ms = time.time_ns() // 1_000_000
            lines = raw if csv is None else csv.messages(raw)
            decoded = decode_lines(decoder, lines, [now_ms] * len(lines), read)
            if refused is not None:
                for its in decoded.rejections:
                    refused(name, Rejection(read + its.index, its.reason, its.detail))
            read += len(lines)
            yield from decoded.events
    except (OSError, RuntimeError) as error:
        raise OperatorError(str(error)) from error


def in_order(
    events: Iterable[E], max_disorder_ns: int, first_number: int = 0
) -> Iterator[Placed[E]]:
    """Sort the events of one file, which are out of order by at most ``max_disorder_ns``.

    ``first_number`` is the number of the first one: several files of a stream have other numbers.
    """
    waiting: list[Placed[E]] = []
    newest_ns = 0
    for number, event in enumerate(events, first_number):
        newest_ns = max(newest_ns, event.ts_event)
        place_ns = max(event.ts_event, newest_ns - max_disorder_ns)
        heappush(waiting, Placed(place_ns, event.sequence or 0, event.kind, number, event))
        while waiting[0].place_ns < newest_ns - max_disorder_ns:
            yield heappop(waiting)
    while waiting:
        yield heappop(waiting)
