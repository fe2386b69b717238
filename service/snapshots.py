"""A symbol's state as records of a compacted topic, and back.

A state may be larger than the broker takes in one record, so it goes in numbered parts under one
generation. Compaction keeps the last record of each key: the keys alternate between two slots, so
that while a new set of parts is being written the one before it stays whole. What is torn,
corrupt, of another format or of other settings is left out, with the reason.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from detectors.state import FORMAT
from service import __version__
from service.task import Snapshot

PART_BYTES = 900_000
"""A part with its headers stays under Kafka's default limit of 1 MiB."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode
_SEPARATOR = b"\x1f"


class Header(Struct, frozen=True):
    """What a part says of itself and of the set that it belongs to.

    ``generation`` is the same in all parts of a set and in no other set of the symbol; ``crc`` is
    the whole payload's CRC-32.
    """

    format: int
    version: str
    settings: str
    generation: str
    part: int
    parts: int
    crc: int


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

    ``problems`` counts reasons.
    """

    snapshots: list[Snapshot] = []
    slots: dict[str, int] = {}
    problems: dict[str, int] = {}


def parts(snapshot: Snapshot, *, slot: int, generation: str, settings: str) -> list[Part]:
    """The records that hold a snapshot, the first part first."""
    payload = _encode(snapshot)
    pieces = [payload[i : i + PART_BYTES] for i in range(0, len(payload), PART_BYTES)]
    crc = zlib.crc32(payload)
    return [
        Part(
            key(snapshot.symbol, slot, number),
            piece,
            [
                (
                    "foreshock.snapshot",
                    msgspec.json.encode(
                        Header(FORMAT, __version__, settings, generation, number, len(pieces), crc)
                    ),
                )
            ],
        )
        for number, piece in enumerate(pieces)
    ]


def key(symbol: str, slot: int, part: int) -> bytes:
    """The compaction key of one part."""
    return _SEPARATOR.join((symbol.encode(), str(slot).encode(), str(part).encode()))


def restore(records: Iterable[Record], settings: str) -> Restored:
    """The newest whole snapshot of each symbol, from a partition's records in offset order."""
    latest: dict[tuple[str, int, int], tuple[Header, bytes]] = {}
    restored = Restored()
    for record in records:
        place = _place(record.key)
        if place is None:
            _count(restored, "foreign record")
            continue
        # Taken out and put back: the order of the dict is that of the newest records.
        latest.pop(place, None)
        if record.value is None:
            continue
        header = _header(record.headers)
        if header is None:
            _count(restored, "foreign record")
        else:
            latest[place] = (header, record.value)
    best: dict[str, tuple[Snapshot, int]] = {}
    for (symbol, slot, _), (header, _) in latest.items():
        if header.part != header.parts - 1:
            continue  # a set is as new as its last part
        outcome = _whole(symbol, slot, header, latest, settings)
        if isinstance(outcome, str):
            _count(restored, outcome)
        else:
            best[symbol] = (outcome, slot)
    restored.snapshots = [snapshot for snapshot, _ in best.values()]
    restored.slots = {symbol: slot for symbol, (_, slot) in best.items()}
    return restored


def _whole(
    symbol: str,
    slot: int,
    header: Header,
    latest: dict[tuple[str, int, int], tuple[Header, bytes]],
    settings: str,
) -> Snapshot | str:
    """The snapshot of a set of parts, or why there is none."""
    if header.format != FORMAT:
        return f"format {header.format} instead of {FORMAT}"
    if header.settings != settings:
        return "other settings"
    # No further than there can be parts: what a header says is not to be counted up to.
    numbers = range(min(header.parts, len(latest)))
    found = [latest.get((symbol, slot, number)) for number in numbers]
    pieces = [
        piece[1]
        for piece in found
        if piece is not None and piece[0].generation == header.generation
    ]
    if len(pieces) < header.parts:
        return "parts missing"
    payload = b"".join(pieces)
    if zlib.crc32(payload) != header.crc:
        return "corrupt"
    try:
        return _decode(payload)
    except msgspec.MsgspecError:
        return "corrupt"


def _place(record_key: bytes | None) -> tuple[str, int, int] | None:
    try:
        symbol, slot, part = (record_key or b"").split(_SEPARATOR)
        return symbol.decode(), int(slot), int(part)
    except ValueError:
        return None


def _header(headers: Sequence[tuple[str, bytes]]) -> Header | None:
    for name, value in headers:
        if name == "foreshock.snapshot":
            try:
                return msgspec.json.decode(value, type=Header)
            except msgspec.MsgspecError:
                return None
    return None


def _count(restored: Restored, problem: str) -> None:
    restored.problems[problem] = restored.problems.get(problem, 0) + 1
