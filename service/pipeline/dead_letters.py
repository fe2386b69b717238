"""Dead letters: refused records, cut to a size that the topic accepts."""

from typing import NamedTuple

from service.pipeline.rejection import Rejection

ROOMS = (1_048_576 - 256, 65_536, 4_096, 0)
"""The sizes to which a dead letter is cut, in bytes with its key and headers, the largest first.

The first is Kafka's default limit of 1 MiB, minus framing. The others are for topics with a lower
limit. The last leaves only the place of the record and the reason.
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
    """Return the dead letter of a refused record.

    Key and value are those of the record, byte for byte. If they do not fit, the value is cut, then
    a key longer than half of ``room``. With ``room`` 0, both and the detail are left out.
    ``foreshock.size`` is the original size of the value. ``foreshock.key_size`` is the original
    size of the key; it is present only if the key is cut.

    Parameters
    ----------
    room
        The largest size of the dead letter, in bytes; see ``ROOMS``.
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
