"""A symbol's state as records of a compacted topic, and back.

A state may be larger than the broker takes in one record, so it goes in numbered parts under one
generation. Compaction keeps the last record of each key: the keys alternate between two slots, so
that while a new set of parts is being written the one before it stays whole. What is torn,
corrupt, of another format or of other settings is left out, with the reason.

The newest snapshot of a symbol is the one that is furthest in event time, not the last one written:
an owner that was replaced without knowing may have written late.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from detectors.state import FORMAT
from service import __version__
from service.pipeline.task import Snapshot

PART_BYTES = 900_000
"""A part with its headers stays under Kafka's default limit of 1 MiB."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode
_SEPARATOR = b"\x1f"
_SLOTS = (0, 1)

Problem = Literal[
    "foreign_record", "older_format", "newer_format", "other_settings", "parts_missing", "corrupt"
]
"""Why something on the snapshots topic was left out."""

_SUPERSEDING: tuple[Problem, ...] = ("older_format", "newer_format", "other_settings")
"""Whole sets of another version or of other settings: commits went on with them, so that a set from
before them, as a version that was rolled back finds, lacks what happened since."""


class Header(Struct, frozen=True):
    """What a part says of itself and of the set that it belongs to.

    ``generation`` is the same in all parts of a set and in no other set of the symbol; ``crc`` is
    the whole payload's CRC-32; ``watermark_ns`` is how far in event time the state is.
    """

    format: int
    version: str
    settings: str
    generation: str
    part: int
    parts: int
    crc: int
    watermark_ns: int = 0


class Part(NamedTuple):
    """One record of the snapshots topic."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Record(Protocol):
    """What is read of a record of the snapshots topic."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Restored(Struct):
    """What a partition of the topic held: whole snapshots, their slots, and why others were not.

    ``most_parts`` is how many parts a set of the symbol was seen to have, in either slot. ``began``
    is the place among the records where each symbol's snapshot begins. ``problems``
    counts reasons; ``formats`` are the other formats that were met, and the versions of the service
    that wrote them. ``damaged`` are the symbols of which something newer than what is used was
    there, or something where nothing can be used: the group's offsets may count on it.
    """

    snapshots: list[Snapshot] = []
    slots: dict[str, int] = {}
    most_parts: dict[str, int] = {}
    began: dict[str, int] = {}
    problems: dict[Problem, int] = {}
    formats: dict[int, str] = {}
    damaged: list[str] = []


class _Set(NamedTuple):
    """All parts of one generation, and the places of its first and last among the records."""

    header: Header
    slot: int
    began: int
    written: int
    pieces: list[bytes]


class _Seen(Struct):
    """What the records say of one symbol: its whole sets, and where one was overwritten."""

    sets: list[_Set] = []
    spoiled: int = -1


def parts(snapshot: Snapshot, *, slot: int, generation: str, settings: str) -> list[Part]:
    """The records that hold a snapshot, the first part first."""
    payload = _encode(snapshot)
    pieces = [payload[i : i + PART_BYTES] for i in range(0, len(payload), PART_BYTES)]
    crc, watermark_ns = zlib.crc32(payload), snapshot.position.watermark_ns
    headers = [
        Header(FORMAT, __version__, settings, generation, number, len(pieces), crc, watermark_ns)
        for number in range(len(pieces))
    ]
    return [
        Part(
            key(snapshot.symbol, slot, header.part),
            piece,
            [("foreshock.snapshot", msgspec.json.encode(header))],
        )
        for header, piece in zip(headers, pieces, strict=True)
    ]


def key(symbol: str, slot: int, part: int) -> bytes:
    """The compaction key of one part."""
    return _SEPARATOR.join((symbol.encode(), str(slot).encode(), str(part).encode()))


def keys(symbol: str, most_parts: int) -> list[bytes]:
    """The compaction keys of all of a symbol's parts: the first ones, which decide, come first."""
    return [key(symbol, slot, part) for part in range(most_parts) for slot in _SLOTS]


def restore(records: Iterable[Record], settings: str) -> Restored:
    """The newest whole snapshot of each symbol, from a partition's records in offset order."""
    restored = Restored()
    problems: set[tuple[str, int, Problem]] = set()
    for symbol, seen in _gather(records, restored).items():
        by_age = sorted(seen.sets, key=lambda its: (its.header.watermark_ns, its.written))
        newest_usable = superseded = -1
        for its in reversed(by_age):
            outcome = _usable(its, symbol, settings)
            if isinstance(outcome, Snapshot):
                if its.written < superseded:
                    continue
                restored.snapshots.append(outcome)
                restored.slots[symbol] = its.slot
                restored.began[symbol] = its.began
                newest_usable = its.written
                break
            problems.add((symbol, its.slot, outcome))
            seen.spoiled = max(seen.spoiled, its.written)
            if its.header.format != FORMAT:
                restored.formats[its.header.format] = its.header.version
            if outcome in _SUPERSEDING:
                superseded = max(superseded, its.written)
                # So that what it makes worthless is overwritten first.
                restored.slots.setdefault(symbol, its.slot)
        if seen.spoiled > newest_usable:
            restored.damaged.append(symbol)
    for _, _, problem in problems:
        _count(restored, problem)
    return restored


def why_left_out(restored: Restored) -> list[str]:
    """What was left out, in words; empty where all was used."""
    written = ", ".join(
        f"format {its} (of version {version})" for its, version in sorted(restored.formats.items())
    )
    words: dict[Problem, str] = {
        "foreign_record": "no part of a snapshot: something else writes to this topic",
        "older_format": f"of an older format: {written}; this version reads format {FORMAT}",
        "newer_format": f"of a newer format: {written}; this version reads format {FORMAT}",
        "other_settings": "saved under other settings of what is detected",
        "parts_missing": "not whole: the writing was interrupted; the one before it is used",
        "corrupt": "damaged: the checksum or the content is wrong",
    }
    return [f"{count} {words[problem]}" for problem, count in sorted(restored.problems.items())]


def _gather(records: Iterable[Record], restored: Restored) -> dict[str, _Seen]:
    """The whole sets of each symbol, also those whose place a later one has taken."""
    found: dict[str, _Seen] = {}
    incomplete: dict[tuple[str, int, str], tuple[int, list[bytes]]] = {}
    for number, record in enumerate(records):
        place = _place(record.key)
        header = _header_at(place, record)
        if place is None or (header is None and record.value is not None):
            _count(restored, "foreign_record")
        if place is None:
            continue
        symbol, slot, part = place
        if record.value is None:
            if part == 0:
                found.pop(symbol, None)  # both slots are deleted at once
            continue
        restored.most_parts[symbol] = max(part + 1, restored.most_parts.get(symbol, 0))
        seen = found.setdefault(symbol, _Seen())
        if header is None:
            seen.spoiled = number
            continue
        began, pieces = incomplete.setdefault((symbol, slot, header.generation), (number, []))
        if part == len(pieces):
            pieces.append(record.value)
        if part == header.parts - 1:
            if len(pieces) == header.parts:
                seen.sets.append(_Set(header, slot, began, number, pieces))
            else:
                _count(restored, "parts_missing")
    return found


def _usable(its: _Set, symbol: str, settings: str) -> Snapshot | Problem:
    """The snapshot of a whole set, or why it cannot be used."""
    if its.header.format != FORMAT:
        return "older_format" if its.header.format < FORMAT else "newer_format"
    if its.header.settings != settings:
        return "other_settings"
    payload = b"".join(its.pieces)
    if zlib.crc32(payload) != its.header.crc:
        return "corrupt"
    try:
        snapshot = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "corrupt"
    return snapshot if snapshot.symbol == symbol else "corrupt"


def _place(record_key: bytes | None) -> tuple[str, int, int] | None:
    try:
        symbol, slot, part = (record_key or b"").split(_SEPARATOR)
        place = symbol.decode(), int(slot), int(part)
    except ValueError:
        return None
    # Only what ``key`` writes: other spellings of a number would be taken for the same part.
    is_ours = place[1] in _SLOTS and place[2] >= 0 and key(*place) == record_key
    return place if is_ours else None


def _header_at(place: tuple[str, int, int] | None, record: Record) -> Header | None:
    """What a record says of itself, None where it is no part or not the one its key names."""
    header = _header(record.headers) if place is not None else None
    return header if place and header is not None and header.part == place[2] else None


def _header(headers: Sequence[tuple[str, bytes]]) -> Header | None:
    for name, value in headers:
        if name == "foreshock.snapshot":
            try:
                return msgspec.json.decode(value, type=Header)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return None
    return None


def _count(restored: Restored, problem: Problem) -> None:
    restored.problems[problem] = restored.problems.get(problem, 0) + 1
