"""What becomes of a record that is refused: a dead letter that always fits."""

from typing import NamedTuple

from service.pipeline.rejection import Rejection

ROOMS = (1_048_576 - 256, 65_536, 4_096, 0)
"""How many bytes a dead letter may have with its key and headers, most first.

The first is Kafka's default limit of 1 MiB, less the framing. The others are for a topic that takes
less. The last leaves only the place and the reason.
"""

_FRAMING = 10  # bytes a header: more than the lengths that frame it
_RECORD = (
    64  # bytes: more than what frames a record, and than the header that it may be given still
)
_DETAIL_BYTES = 1_024


class DeadLetter(NamedTuple):
    """A record of the dead-letter topic."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def dead_letter(
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    rejection: Rejection,
    key: bytes | None,
    value: bytes | None,
    room: int = ROOMS[0],
) -> DeadLetter:
    """The dead letter of a refused record.

    Key and value are the record's own, byte for byte, as far as there is room: first the value is
    cut to its beginning, then a key that takes more than half of the room, in the end both are left
    out, and the detail too. ``foreshock.size`` is the size that the value had;
    ``foreshock.key_size`` is the key's, given only where the key was cut.

    Parameters
    ----------
    room
        How many bytes the dead letter may have; see ``ROOMS``.
    """
    raw = b"" if value is None else value
    headers = [
        ("foreshock.topic", topic.encode()),
        ("foreshock.partition", str(partition).encode()),
        ("foreshock.offset", str(offset).encode()),
        ("foreshock.timestamp_ms", str(timestamp_ms).encode()),
        ("foreshock.reason", rejection.reason.encode()),
        ("foreshock.detail", rejection.detail.encode()[:_DETAIL_BYTES] if room else b""),
        ("foreshock.size", str(len(raw)).encode()),
    ]
    left = max(0, room - _RECORD - sum(len(name) + len(text) + _FRAMING for name, text in headers))
    if key is not None and len(key) > left // 2:
        headers.append(("foreshock.key_size", str(len(key)).encode()))
        left = max(0, left - _RECORD)
        key = key[: left // 2]
    return DeadLetter(key, raw[: left - len(key or b"")], headers)
