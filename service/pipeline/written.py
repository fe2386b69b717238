"""The records that operators write, one JSON object each: decoded, or refused with a sentence."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from service.describe import shown_safely
from service.pipeline.rejection import Explainer, Reason, Rejection

MAX_RECORD_BYTES = 65_536
"""The largest size of a record. One with a text of the largest length is far smaller."""


class Record(Protocol):
    """The attributes that are read of a record; ``timestamp`` in milliseconds since 1970."""

    key: bytes | None
    value: bytes | None
    timestamp: int


_T = TypeVar("_T", bound=Struct)


class Reader(Generic[_T]):
    """Decodes the records of a topic that operators write to.

    Parameters
    ----------
    kind
        The type of the records.
    key
        Returns the key that a record must have.
    expectation
        What the key must be, and why, in words; ``{}`` stands for the key.
    """

    def __init__(self, kind: type[_T], key: Callable[[_T], str], expectation: str) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._explainer = Explainer(kind, {}, "ns", 60)
        self._key = key
        self._expectation = expectation

    def read(self, index: int, record: Record) -> _T | Rejection:
        """Return the content of a record, or why it has none. ``index`` is the rejection's."""
        raw = record.value or b""
        if len(raw) > MAX_RECORD_BYTES:
            detail = f"the record has {len(raw)} bytes; it must have at most {MAX_RECORD_BYTES}"
            return Rejection(index, "too_large", detail)
        if not raw:
            return Rejection(index, "empty", "the record is empty; it must be a JSON object")
        reason: Reason
        try:
            content = self._decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason, detail = self._explainer.explain(raw, error, 0)
            return Rejection(index, reason, detail)
        key = self._key(content)
        if record.key != key.encode():
            shown = shown_safely((record.key or b"").decode("utf-8", "backslashreplace"))
            expected = self._expectation.format(shown_safely(key))
            return Rejection(index, "wrong_key", f"the key is {shown}; it must be {expected}")
        return content
