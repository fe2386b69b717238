"""The files of all streams as one sequence in event time."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from pathlib import Path

from detectors.audit.disorder import watched
from detectors.audit.outcome import Tally
from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from service.errors import OperatorError
from service.pipeline.wire import ALL_STREAMS
from service.replay.files import stream_path
from service.replay.risk_files import MOST_EVENTS, Refused, decoded_events, in_order
from service.settings.assembly import audit_decoders
from service.settings.types import Settings

Recorded = Event | RiskEvent | AuditEvent
"""An event of any stream."""


def audited_files(directory: Path) -> dict[str, Path]:
    """Return the files of the streams in a directory, by stream.

    Raises
    ------
    OperatorError
        If there is none, or a stream has several.
    """
    try:
        found = {name: stream_path(directory, name) for name in ALL_STREAMS}
    except ValueError as error:
        raise OperatorError(str(error)) from error
    present = {name: path for name, path in found.items() if path is not None}
    if not present:
        expected = ", ".join(f"{name}.ndjson" for name in ALL_STREAMS)
        raise OperatorError(
            f"{directory} holds no stream; put at least one of {expected} there "
            "(each may also end in .gz or .zst)"
        )
    return present


def audited_events(
    files: Mapping[str, Sequence[Path]],
    settings: Settings,
    disorder: dict[str, Tally],
    refused: Refused | None = None,
) -> Iterator[Recorded]:
    """Yield the events of all streams, in the order of `service.replay.risk_files.risk_events`.

    Parameters
    ----------
    files
        The files of each stream. Several of a stream are as the partitions of a topic: each is in
        order by itself.
    settings, refused
        As for `service.replay.risk_files.risk_events`.
    disorder
        Gets a tally for each stream: its events, of which a breach is older than the one before it
        in the file.

    Raises
    ------
    OperatorError
        If a file is damaged.
    """
    known = audit_decoders(settings)
    max_disorder_ns = settings.time.max_disorder_ms * 1_000_000
    streams = []
    for name, paths in files.items():
        disorder[name] = Tally()
        for number, path in enumerate(paths):
            events = decoded_events(name, path, known[name], settings, refused)
            in_file = watched(name, events, disorder[name])
            streams.append(in_order(in_file, max_disorder_ns, number * MOST_EVENTS))
    for placed in merge(*streams):
        yield placed.event
