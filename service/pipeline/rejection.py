"""Why a record is no event: a reason for the metric and a sentence for the person who mends it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from detectors.market_data.events import EARLIEST_NS, LATEST_NS, Event
from service.describe import expected, shown_safely

Reason = Literal[
    "empty",
    "too_large",
    "not_utf8",
    "not_json",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "wrong_length",
    "not_printable",
    "reserved_symbol",
    "out_of_range",
    "unknown_side",
    "unknown_order_type",
    "too_old",
    "in_the_future",
]
"""Every reason for which a record is refused; few and fixed, so that they can label a metric."""

TimeUnit = Literal["ns", "us", "ms", "s"]
NANOSECONDS: Mapping[TimeUnit, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""The length of each time unit that ``ts_event`` may come in."""

MAX_AHEAD_SECONDS = 60
"""How far ahead of the clock an event may be dated, unless it is set otherwise."""

_AT = " - at `$."
_MISSING = re.compile(r"missing required field `(?P<field>.+)`")
_BYTE = re.compile(r"\(byte (\d+)\)")
_AROUND = 20  # bytes of context on either side of where the JSON breaks


class Rejection(Struct, frozen=True):
    """A record that is no event: its place in the batch, the reason, and what would be right."""

    index: int
    reason: Reason
    detail: str


class Explainer:
    """Explains the refusals of one stream.

    Parameters
    ----------
    event
        The class that the records are decoded into.
    fields
        The stream's mapped fields: our name to the venue's.
    time_unit
        The unit of ``ts_event`` on the wire.
    max_ahead_seconds
        How far ahead of the clock an event may be dated.
    """

    def __init__(
        self,
        event: type[Event],
        fields: Mapping[str, str],
        time_unit: TimeUnit,
        max_ahead_seconds: int,
    ) -> None:
        self._time_unit: TimeUnit = time_unit
        self._max_ahead_seconds = max_ahead_seconds
        self._ours = {theirs: ours for ours, theirs in fields.items()}
        self._time_field = fields.get("ts_event", "ts_event")
        self._symbol_field = fields.get("symbol", "symbol")
        self._types = {f.encode_name: f.type for f in msgspec.structs.fields(event)}

    def explain(self, value: bytes, error: Exception, now_ns: int) -> tuple[Reason, str]:
        """The reason and the sentence for a record that raised ``error`` when it was decoded."""
        message = str(error)
        complaint, at, field = message.rpartition(_AT)  # the last: before it may stand raw input
        if at:
            return self._explain_field(value, field.removesuffix("`"), complaint, now_ns)
        if missing := _MISSING.search(message):
            return "missing_field", self.missing(missing["field"])
        if isinstance(error, UnicodeDecodeError):
            return "not_utf8", f"{_text(error.object)} is not UTF-8, as all text must be"
        if isinstance(error, RecursionError):
            return "not_json", "nested too deeply; an event is one flat JSON object"
        if isinstance(error, msgspec.ValidationError):
            return "not_an_object", f"{_text(value)} is not a JSON object with fields"
        return "not_json", _malformed(value, message)

    def _explain_field(
        self, value: bytes, field: str, complaint: str, now_ns: int
    ) -> tuple[Reason, str]:
        raw = _raw_field(value, field)
        reason = self._reason(field, complaint, raw)
        if reason == "missing_field":
            return reason, self.missing(field)
        if reason in ("too_old", "in_the_future"):
            return reason, self.misdated(_text(raw), now_ns)
        return reason, f"{self._name(field)} is {_text(raw)}; {self._right(field)}"

    def missing(self, field: str) -> str:
        """The sentence for a field that is absent or null; ``field`` by the venue's name."""
        return f"{self._name(field)} is missing; {self._right(field)}"

    def unprintable(self, symbol: str) -> str:
        """The sentence for a symbol with characters that cannot be shown."""
        return (
            f"{self._name(self._symbol_field)} is {shown_safely(symbol)}; control characters, "
            "invisible ones and those that turn the direction of text are not taken in a symbol"
        )

    def reserved(self, symbol: str) -> str:
        """The sentence for a symbol that means something else in what goes out."""
        return (
            f"{self._name(self._symbol_field)} is {shown_safely(symbol)}; in alerts that is "
            "the whole market, so no symbol can have this name"
        )

    def misdated(self, value: str, now_ns: int) -> str:
        """The sentence for a time out of bounds, with a guess at the unit it is in."""
        sentence = f"{self._name(self._time_field)} is {value} {self._time_unit}"
        number = _integer(value)
        if number is not None and 0 <= number * NANOSECONDS[self._time_unit] <= LATEST_NS:
            sentence += f" ({_timestamp(number * NANOSECONDS[self._time_unit])})"
        sentence += (
            f"; it must lie between the year 2000 and {self._max_ahead_seconds} s from now by this "
            f"machine's clock, {_timestamp(now_ns)}"
        )
        latest_ns = now_ns + self._max_ahead_seconds * 1_000_000_000
        for unit, scale in NANOSECONDS.items():
            if number is not None and EARLIEST_NS <= number * scale <= latest_ns:
                return f'{sentence}. It looks like {unit}: set wire.time_unit = "{unit}"'
        return sentence

    def _name(self, field: str) -> str:
        """The venue's name for a field, and ours where it is another."""
        ours = self._ours.get(field, field)
        return field if ours == field else f"{field} ({ours})"

    def _right(self, field: str) -> str:
        if self._ours.get(field, field) == "ts_event":
            return f"it must be a whole number of {self._time_unit} since 1970"
        return f"it must be {expected(self._types[field])}"

    def _reason(self, field: str, complaint: str, raw: bytes) -> Reason:
        ours = self._ours.get(field, field)
        if raw == b"null":
            return "missing_field"
        if complaint.startswith("Invalid enum value"):
            return "unknown_side" if ours == "side" else "unknown_order_type"
        if "got `" in complaint:
            return "wrong_type"
        if "of length" in complaint:
            return "wrong_length"
        if ours == "ts_event":
            return "too_old" if ">=" in complaint else "in_the_future"
        return "out_of_range"


def _malformed(value: bytes, message: str) -> str:
    what = message.removeprefix("JSON is malformed: ").removeprefix("Input data was ")
    if place := _BYTE.search(message):
        byte = int(place[1])
        what += f", near {_text(value[max(0, byte - _AROUND) : byte + _AROUND])}"
    return f"not JSON: {what}"


def _raw_field(value: bytes, field: str) -> bytes:
    """The JSON text of a top-level field."""
    try:
        found = msgspec.json.decode(value, type=dict[str, msgspec.Raw]).get(field)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return b"?"
    return b"?" if found is None else bytes(found)


def _text(value: bytes) -> str:
    return shown_safely(value[:1_000].decode("utf-8", "backslashreplace"))


def _integer(text: str) -> int | None:
    """The whole number that a JSON number or string spells.

    >>> _integer('"1340285400"'), _integer("1e9")
    (1340285400, None)
    """
    digits = text.strip('"')
    return int(digits) if digits.isascii() and digits.removeprefix("-").isdigit() else None


def _timestamp(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
