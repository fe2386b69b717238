"""Encodes the state of a symbol as records of a compacted topic, and decodes these records.

A state may exceed the size limit of a record, so it is split into numbered parts of one generation.
Compaction keeps the last record of each key. The keys alternate between two slots: while a new set
of parts is being written, the previous set stays complete. A set that is incomplete, corrupt, of
another format or of other settings is left out, with the reason.

The newest snapshot of a symbol is the one that is furthest in event time, not the one written last:
a member that was replaced without knowing it may have written late.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from detectors.state import FORMAT
from detectors.symbol import SymbolMonitor
from service import __version__
from service.pipeline.snapshot import Snapshot

PART_BYTES = 900_000
"""The size of a part: with its headers, it stays below Kafka's default limit of 1 MiB."""

MAX_PARTS = 4_096
"""The largest number of parts of a snapshot: more than ten million resting orders need. A key with
a higher part is foreign."""

MAX_KEY_BYTES = 512
"""The largest size of a key: more than a symbol of 64 characters, a slot and a part need."""

MAX_GROUPS = 20
"""The largest number of other groups, and of other formats, that a restoration reports."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode
_SEPARATOR = b"\x1f"
_SLOTS = (0, 1)

Problem = Literal[
    "foreign_record",
    "other_group",
    "older_format",
    "newer_format",
    "other_settings",
    "parts_missing",
    "corrupt",
]
"""Why a record or a set on the snapshots topic was left out."""

_SUPERSEDING: tuple[Problem, ...] = ("older_format", "newer_format", "other_settings")
"""The problems of complete sets of another version or of other settings. Commits continued after
such a set. So an older set, as a rolled-back version finds it, lacks what happened since."""


class Header(Struct, frozen=True):
    """The header of a part: describes the part and its set.

    ``generation`` is the same in all parts of a set, and in no other set of the symbol. ``crc`` is
    the CRC-32 of the whole payload. ``watermark_ns`` is the event time that the state has reached.
    ``group`` is the consumer group of the state; None if an earlier version wrote it.
    """

    format: int
    version: str
    settings: str
    generation: str
    part: int
    parts: int
    crc: int
    watermark_ns: int = 0
    group: str | None = None


class Part(NamedTuple):
    """One record of the snapshots topic."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Record(Protocol):
    """The attributes that are read of a record of the snapshots topic."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Restored(Struct):
    """The content of a partition of the topic: complete snapshots, and why others were left out.

    ``slots`` holds the slot of each symbol's snapshot. ``most_parts`` is the largest number of
    parts in any set of the symbol, in either slot. ``first_index`` is the index of the record at
    which each symbol's snapshot begins. ``problems`` counts the reasons. ``formats`` holds the
    other formats, and the service versions that wrote them. ``damaged`` names the symbols with
    unusable records newer than the snapshot in use, or with no usable snapshot at all: the group's
    offsets may rely on such records. ``groups`` names the other consumer groups that write to the
    topic. ``monitors`` holds the monitors made from the snapshots, if ``restore`` got ``revive``.
    """

    snapshots: list[Snapshot] = []
    slots: dict[str, int] = {}
    most_parts: dict[str, int] = {}
    first_index: dict[str, int] = {}
    problems: dict[Problem, int] = {}
    formats: dict[int, str] = {}
    groups: list[str] = []
    monitors: dict[str, SymbolMonitor] = {}
    damaged: list[str] = []


class _Set(NamedTuple):
    """All parts of one generation, and the indexes of its first and last record."""

    header: Header
    slot: int
    first_index: int
    last_index: int
    pieces: list[bytes]


class _SymbolRecords(Struct):
    """The records of one symbol: its complete sets, and the index of the last unusable record."""

    sets: list[_Set] = []
    last_unusable: int = -1


def parts(
    snapshot: Snapshot, *, slot: int, generation: str, settings: str, group: str | None = None
) -> list[Part]:
    """Return the records that hold a snapshot, the first part first."""
    payload = _encode(snapshot)
    pieces = [payload[i : i + PART_BYTES] for i in range(0, len(payload), PART_BYTES)]
    crc, watermark_ns = zlib.crc32(payload), snapshot.position.watermark_ns
    headers = [
        Header(
            FORMAT, __version__, settings, generation, part, len(pieces), crc, watermark_ns, group
        )
        for part in range(len(pieces))
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
    """Return the compaction key of one part."""
    return _SEPARATOR.join((symbol.encode(), str(slot).encode(), str(part).encode()))


def keys(symbol: str, most_parts: int) -> list[bytes]:
    """Return the compaction keys of all parts of a symbol; the decisive first parts come first."""
    return [key(symbol, slot, part) for part in range(most_parts) for slot in _SLOTS]


def other_groups(records: Iterable[Record], group: str | None) -> list[str]:
    """Return the consumer groups other than ``group`` that wrote some of these records."""
    if group is None:
        return []
    found = dict.fromkeys(
        header.group
        for record in records
        if (header := _header(record.headers)) is not None and header.group not in (None, group)
    )
    return [name for name in found if name is not None][:MAX_GROUPS]


def restore(
    records: Sequence[Record],
    settings: str,
    group: str | None = None,
    revive: Callable[[Snapshot], SymbolMonitor] | None = None,
) -> Restored:
    """Return the newest complete snapshot of each symbol, from records in offset order.

    Parameters
    ----------
    records
        The records of one partition of the snapshots topic.
    settings
        The hash of the settings. Snapshots with another hash are left out.
    group
        The consumer group. Snapshots of other groups are left out. None accepts every group.
    revive
        Makes a monitor from a snapshot. If it fails, the snapshot is corrupt.
    """
    restored = Restored()
    restored.groups = other_groups(records, group)
    problems: set[tuple[str, int, Problem]] = set()
    for symbol, symbol_records in _gather(records, restored).items():
        oldest_first = sorted(
            symbol_records.sets,
            key=lambda candidate: (candidate.header.watermark_ns, candidate.last_index),
        )
        newest_usable = superseded = -1
        for candidate in reversed(oldest_first):
            outcome = _decode_set(candidate, symbol, settings, group)
            if isinstance(outcome, Snapshot):
                outcome = _revived(outcome, revive, restored)
            if isinstance(outcome, Snapshot):
                if candidate.last_index < superseded:
                    continue
                restored.snapshots.append(outcome)
                restored.slots[symbol] = candidate.slot
                restored.first_index[symbol] = candidate.first_index
                newest_usable = candidate.last_index
                break
            problems.add((symbol, candidate.slot, outcome))
            if outcome == "other_group":
                continue
            symbol_records.last_unusable = max(symbol_records.last_unusable, candidate.last_index)
            _note_format(restored, candidate.header)
            if outcome in _SUPERSEDING:
                superseded = max(superseded, candidate.last_index)
                # The next snapshot then overwrites an older set, which is worthless now.
                restored.slots.setdefault(symbol, candidate.slot)
        if symbol_records.last_unusable > newest_usable:
            restored.damaged.append(symbol)
    for _, _, problem in problems:
        _count(restored, problem)
    return restored


def describe_problems(restored: Restored) -> list[str]:
    """Describe what was left out; empty if everything was used."""
    written = ", ".join(
        f"format {other} (of version {version})"
        for other, version in sorted(restored.formats.items())
    )
    descriptions: dict[Problem, str] = {
        "foreign_record": "not part of a snapshot: another program writes to this topic",
        "other_group": f"of another consumer group ({', '.join(restored.groups)})",
        "older_format": f"of an older format: {written}; this version reads format {FORMAT}",
        "newer_format": f"of a newer format: {written}; this version reads format {FORMAT}",
        "other_settings": "saved under other detection settings",
        "parts_missing": "incomplete: the write was interrupted; the previous snapshot is used",
        "corrupt": "corrupt: the checksum or the content is wrong",
    }
    return [
        f"{count} {descriptions[problem]}" for problem, count in sorted(restored.problems.items())
    ]


def _gather(records: Iterable[Record], restored: Restored) -> dict[str, _SymbolRecords]:
    """Return the complete sets of each symbol, also those that a later set has overwritten."""
    found: dict[str, _SymbolRecords] = {}
    incomplete: dict[tuple[str, int, str], tuple[int, list[bytes]]] = {}
    for number, record in enumerate(records):
        parsed = _parse_key(record.key)
        header = _header_at(parsed, record)
        if parsed is None or (header is None and record.value is not None):
            _count(restored, "foreign_record")
        if parsed is None:
            continue
        symbol, slot, part = parsed
        if record.value is None:
            if part == 0:
                found.pop(symbol, None)  # both slots are deleted together
            continue
        restored.most_parts[symbol] = max(part + 1, restored.most_parts.get(symbol, 0))
        symbol_records = found.setdefault(symbol, _SymbolRecords())
        if header is None:
            symbol_records.last_unusable = number
            continue
        first_index, pieces = incomplete.setdefault((symbol, slot, header.generation), (number, []))
        if part == len(pieces):
            pieces.append(record.value)
        if part == header.parts - 1:
            if len(pieces) == header.parts:
                symbol_records.sets.append(_Set(header, slot, first_index, number, pieces))
            else:
                _count(restored, "parts_missing")
    return found


def _decode_set(
    candidate: _Set, symbol: str, settings: str, group: str | None
) -> Snapshot | Problem:
    """Return the snapshot of a complete set, or why it is not usable."""
    if None not in (group, candidate.header.group) and candidate.header.group != group:
        return "other_group"
    if candidate.header.format != FORMAT:
        return "older_format" if candidate.header.format < FORMAT else "newer_format"
    if candidate.header.settings != settings:
        return "other_settings"
    payload = b"".join(candidate.pieces)
    if zlib.crc32(payload) != candidate.header.crc:
        return "corrupt"
    try:
        snapshot = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "corrupt"
    return snapshot if snapshot.symbol == symbol else "corrupt"


def _revived(
    snapshot: Snapshot, revive: Callable[[Snapshot], SymbolMonitor] | None, restored: Restored
) -> Snapshot | Problem:
    """Make a monitor from a snapshot; return why not if its content is inconsistent."""
    if revive is None:
        return snapshot
    try:
        restored.monitors[snapshot.symbol] = revive(snapshot)
    except Exception:  # noqa: BLE001 - any failure means that the snapshot is not usable
        return "corrupt"
    return snapshot


def _parse_key(record_key: bytes | None) -> tuple[str, int, int] | None:
    if record_key is not None and len(record_key) > MAX_KEY_BYTES:
        return None
    try:
        symbol, slot, part = (record_key or b"").split(_SEPARATOR)
        parsed = symbol.decode(), int(slot), int(part)
    except ValueError:
        return None
    # Accept only keys that ``key`` writes: another spelling of a number would pass for the same
    # part.
    is_ours = parsed[1] in _SLOTS and 0 <= parsed[2] < MAX_PARTS and key(*parsed) == record_key
    return parsed if is_ours else None


def _header_at(parsed: tuple[str, int, int] | None, record: Record) -> Header | None:
    """Return the header of a record; None if the record is not the part that its key names."""
    header = _header(record.headers) if parsed is not None else None
    return header if parsed and header is not None and header.part == parsed[2] else None


def _header(headers: Sequence[tuple[str, bytes]]) -> Header | None:
    for name, value in headers:
        if name == "foreshock.snapshot":
            try:
                return msgspec.json.decode(value, type=Header)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return None
    return None


def _note_format(restored: Restored, header: Header) -> None:
    if header.format != FORMAT and len(restored.formats) < MAX_GROUPS:
        restored.formats[header.format] = header.version


def _count(restored: Restored, problem: Problem) -> None:
    restored.problems[problem] = restored.problems.get(problem, 0) + 1
