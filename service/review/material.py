"""The material of a review: the records of the service's topics, or the lines of files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from detectors.incidents.alerts import Alert
from service.errors import OperatorError
from service.kafka.operator import read_records
from service.outputs.journal import JournalEntry
from service.pipeline.feedback import Feedback
from service.pipeline.feedback import decode as decode_feedback
from service.pipeline.rejection import Rejection
from service.pipeline.written import Record
from service.replay.files import MAX_LINE_BYTES
from service.settings.types import Settings

SOURCES = ("alerts", "feedback", "deadletters", "journal")
"""The topics of a review, by their names in the settings."""

_T = TypeVar("_T")


class Refused(Struct, frozen=True):
    """A dead letter: when it came, in nanoseconds since 1970, of which topic, and why."""

    at: int
    topic: str
    reason: str


class Source(Struct, frozen=True):
    """Where records came from, how many there were, and how many of them were not readable.

    ``oldest`` is the time of the oldest record in nanoseconds since 1970, None without one.
    """

    name: str
    place: str
    records: int
    unreadable: int
    oldest: int | None


class Material(Struct, frozen=True):
    """The records of a review; None for a source that is not there.

    Of the ``feedback`` on an alert, the last counts.
    """

    alerts: list[Alert]
    feedback: list[Feedback]
    dead_letters: list[Refused] | None
    journal: list[JournalEntry] | None
    sources: list[Source]


async def from_topics(settings: Settings, since_ns: int) -> Material:
    """Read the topics; dead letters from ``since_ns`` on, and the others whole.

    An alert may be judged long after it, and the settings in force may have been written long
    before. Raises OperatorError if Kafka does not answer, or refuses.
    """
    since = {"deadletters": since_ns // 1_000_000}
    records = await read_records(settings, SOURCES, since)
    if "feedback" in records:  # a record without a value deletes one for compaction
        records["feedback"] = [r for r in records["feedback"] if r.value is not None]
    sources: list[Source] = []

    def taken(name: str, decode: Callable[[Any], _T], at: Callable[[_T], int]) -> list[_T] | None:
        place = f"topic {getattr(settings.outputs, name)}"
        if name not in records:
            sources.append(Source(name, f"{place} does not exist", 0, 0, None))
            return None
        decoded = _decoded(records[name], decode)
        oldest = min(map(at, decoded), default=None)
        unreadable = len(records[name]) - len(decoded)
        sources.append(Source(name, place, len(records[name]), unreadable, oldest))
        return decoded

    alerts = taken("alerts", lambda r: _alert(r.value or b""), _alert_at)
    feedback = taken("feedback", _judged, _judged_at)
    refused = taken("deadletters", _refused, _refused_at)
    journal = taken("journal", lambda r: _entry(r.value or b""), _entry_at)
    return Material(alerts or [], feedback or [], refused, journal, sources)


def from_files(alerts: Path, feedback: Path | None, journal: Path | None) -> Material:
    """Read files with a JSON record a line. Raises OperatorError if a file cannot be read."""
    sources: list[Source] = []

    def taken(
        name: str, path: Path | None, decode: Callable[[bytes], _T], at: Callable[[_T], int]
    ) -> list[_T] | None:
        if path is None:
            sources.append(Source(name, "not given", 0, 0, None))
            return None
        lines = list(_lines(path, f"--{name}"))
        decoded = _decoded(lines, decode)
        oldest = min(map(at, decoded), default=None)
        place = f"file {path.name}"
        sources.append(Source(name, place, len(lines), len(lines) - len(decoded), oldest))
        return decoded

    found = taken("alerts", alerts, _alert, _alert_at)
    judged = taken("feedback", feedback, _feedback, _judged_at)
    sources.append(Source("deadletters", "not given", 0, 0, None))
    entries = taken("journal", journal, _entry, _entry_at)
    return Material(found or [], judged or [], None, entries, sources)


_alert = msgspec.json.Decoder(Alert).decode
_feedback = msgspec.json.Decoder(Feedback).decode
_entry = msgspec.json.Decoder(JournalEntry).decode


def _alert_at(alert: Alert) -> int:
    return alert.ts_event


def _judged_at(feedback: Feedback) -> int:
    return feedback.judged_at


def _refused_at(refused: Refused) -> int:
    return refused.at


def _entry_at(entry: JournalEntry) -> int:
    return entry.at


def _judged(record: Record) -> Feedback:
    """Return the feedback of a record that the service takes, too."""
    decoded = decode_feedback(0, record)
    if isinstance(decoded, Rejection):
        raise msgspec.ValidationError(decoded.detail)
    return decoded


def _refused(record: Any) -> Refused:
    headers: Mapping[str, bytes] = dict(record.headers)
    topic = headers["foreshock.topic"].decode("utf-8", "replace")
    reason = headers["foreshock.reason"].decode("utf-8", "replace")
    return Refused(record.timestamp * 1_000_000, topic, reason)


def _decoded(records: Iterable[Any], decode: Callable[[Any], _T]) -> list[_T]:
    found = []
    for record in records:
        try:
            found.append(decode(record))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
            continue  # counted by the caller
    return found


def _lines(path: Path, option: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""):
                if line.strip():
                    yield line
    except OSError as error:
        raise OperatorError(f"{option} {path}: cannot read: {error.strerror}") from None
