"""What is kept with a committed offset beside it: how far the world has been told."""

import msgspec
from msgspec import Struct


class CommitMetadata(Struct, frozen=True):
    """What is kept with a committed offset, as its metadata.

    ``newest_ns``: the topic's newest event time at the offset. ``signals_until_ns``: signals of
    bars that end by then are out. ``alerts_offset``: alerts that a restart might raise again stand
    at or after this offset of the alerts topic. ``snapshots_offset``: each symbol's newest snapshot
    stands at or after this offset of the snapshots topic. ``begun_at``: snapshots before this
    offset know nothing of the input topic, which came or was made again after them; -1 for all that
    there are. ``saved_symbols`` have a snapshot.
    """

    newest_ns: int = 0
    signals_until_ns: int = 0
    alerts_offset: int = 0
    snapshots_offset: int = 0
    begun_at: int = 0
    saved_symbols: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CommitMetadata).decode


def metadata(note: CommitMetadata) -> str:
    """A note as a committed offset's metadata."""
    return _encode(note).decode()


def decode_metadata(metadata: str | None) -> CommitMetadata | None:
    """The note of a committed offset, None where somebody else committed it."""
    try:
        return _decode(metadata or "")
    except msgspec.MsgspecError:
        return None
