"""The streams of a directory that the risk of positions needs, as one sequence in event time."""

import time
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush, merge
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent
from service.errors import OperatorError
from service.mapping.records import AnyDecoder, decode_lines
from service.pipeline.rejection import Rejection
from service.pipeline.wire import RiskInput
from service.replay.files import BatchReader, stream_path
from service.settings.assembly import risk_decoders
from service.settings.types import Settings

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


def risk_files(directory: Path) -> dict[str, Path]:
    """Return the files of the streams that the risk of positions needs, by stream.

    Raises
    ------
    OperatorError
        If a stream has several files.
    """
    try:
        found = {name: stream_path(directory, name) for name in risk_decoders(Settings())}
    except ValueError as error:
        raise OperatorError(str(error)) from error
    return {name: path for name, path in found.items() if path is not None}


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
    settings
        Names of fields, time unit and limits of the records.
    refused
        Called with each record that is no event. Such a record stops nothing.

    Raises
    ------
    OperatorError
        If a stream has several files, or a file cannot be read or is damaged.
    """
    decoders = risk_decoders(settings)
    max_disorder_ns = settings.time.max_disorder_ms * 1_000_000
    streams = [
        in_order(decoded_events(name, path, decoders[name], settings, refused), max_disorder_ns)
        for name, path in risk_files(directory).items()
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
    try:
        for lines in BatchReader(path, max_line_bytes=settings.wire.max_record_bytes):
            # A file has no timestamps of its own: none of its events may be after now.
            now_ms = time.time_ns() // 1_000_000
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
