"""The metadata of a committed offset: what was published and saved up to the commit."""

import msgspec
from msgspec import Struct


class CommitMetadata(Struct, frozen=True):
    """The content of the metadata of a committed offset.

    ``newest_ns``: the newest event time of the topic at the offset. ``evidence``: the evidence of
    its log timestamps at the offset (``service.pipeline.log_time``). ``last_ns``: the event time
    that counts at the offset once all topics are idle. ``signals_until_ns``: the
    signals of bars that end by this time are published. ``alerts_offset``: alerts that a restart
    might raise again are at or after this offset of the alerts topic. ``snapshots_offset``: the
    newest snapshot of each symbol is at or after this offset of the snapshots topic. ``begun_at``:
    snapshots before this offset of the snapshots topic contain nothing of the input topic, because
    the input topic was added or created again after them; -1 means all existing snapshots.
    ``saved_symbols``: the number of symbols with a snapshot. ``refused``: the records at or after
    the offset that have a dead letter already, as distances from the offset: an event that still
    waits holds the offset back, and a restart reads them again.
    """

    newest_ns: int = 0
    signals_until_ns: int = 0
    alerts_offset: int = 0
    snapshots_offset: int = 0
    begun_at: int = 0
    saved_symbols: int = 0
    evidence: tuple[int, ...] = ()
    last_ns: int = 0
    refused: tuple[int, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CommitMetadata).decode


def encode_metadata(commit_metadata: CommitMetadata) -> str:
    """Encode the metadata of a committed offset."""
    return _encode(commit_metadata).decode()


def decode_metadata(metadata: str | None) -> CommitMetadata | None:
    """Decode the metadata of a committed offset; None if Foreshock did not write it."""
    try:
        return _decode(metadata or "")
    except msgspec.MsgspecError:
        return None
