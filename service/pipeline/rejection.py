"""Why a record is not a valid event: a reason for the metric, and a sentence with the fix."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct, inspect

from detectors.market_data.events import EARLIEST_NS, LATEST_NS
from service.describe import expected, shown_safely

Reason = Literal[
    "empty",
    "too_large",
    "not_utf8",
    "not_json",
    "no_schema_id",
    "unknown_schema",
    "unusable_schema",
    "not_of_schema",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "wrong_length",
    "not_printable",
    "reserved_symbol",
    "out_of_range",
    "unknown_side",
    "unknown_order_type",
    "unknown_state",
    "unknown_verdict",
    "unknown_value",
    "unordered_tiers",
    "unknown_action",
    "wrong_key",
    "too_old",
    "in_the_future",
    "set_aside",
]
"""Every reason to refuse a record. The set is small and fixed, so that it can label a metric."""

TimeUnit = Literal["ns", "us", "ms", "s"]
NANOSECONDS: Mapping[TimeUnit, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""The length in nanoseconds of each time unit of ``ts_event``."""

PRICES: Mapping[str, tuple[str, ...]] = {
    "orders": ("price",),
    "trades": ("price",),
    "references": ("mark_price", "index_price", "last_price"),
    "positions": ("entry_price", "liquidation_price"),
    "liquidations": ("price", "mark_price", "index_price", "bankruptcy_price"),
    "acks": ("trigger_price",),
}
"""The prices of each stream. They are positive, unless the symbol is one of
``instruments.allow_nonpositive_prices``."""

_PRICE_FIELDS = frozenset(field for fields in PRICES.values() for field in fields)
_NONPOSITIVE = "for symbols with such prices, set instruments.allow_nonpositive_prices"

MAX_AHEAD_SECONDS = 60
"""How far after its record's timestamp an event may be dated by default, in seconds."""

_UNKNOWN: Mapping[str, Reason] = {
    "side": "unknown_side",
    "type": "unknown_order_type",
    "state": "unknown_state",
    "verdict": "unknown_verdict",
    "action": "unknown_action",
}
"""The reasons for an unknown name in these fields; in the other fields it is ``unknown_value``."""

_AT = " - at `$."
_ITEM = re.compile(r"(?P<field>.+?)\[(?P<number>\d+)\](?:\.(?P<name>.+))?")
_MISSING = re.compile(r"missing required field `(?P<field>.+)`")
_BYTE = re.compile(r"\(byte (\d+)\)")
_AROUND = 20  # bytes of context on either side of where the JSON breaks


class Rejection(Struct, frozen=True):
    """A record that is not a valid event: its index in the batch, the reason, and the fix."""

    index: int
    reason: Reason
    detail: str


class Explainer:
    """Explains why records of one stream are refused.

    Parameters
    ----------
    event
        The class that the records are decoded into.
    fields
        The mapped fields of the stream: Foreshock's name to the venue's name.
    time_unit
        The unit of ``ts_event`` in the records.
    max_ahead_seconds
        How far after its record's timestamp in the log an event may be dated, in seconds.
    """

    def __init__(
        self,
        event: type[Struct],
        fields: Mapping[str, str],
        time_unit: TimeUnit,
        max_ahead_seconds: int,
    ) -> None:
        self._time_unit: TimeUnit = time_unit
        self._max_ahead_seconds = max_ahead_seconds
        self._own_names = {venue_name: own_name for own_name, venue_name in fields.items()}
        self._time_field = fields.get("ts_event", "ts_event")
        self._symbol_field = fields.get("symbol", "symbol")
        self._types = {f.encode_name: f.type for f in msgspec.structs.fields(event)}
        self._items = {name: item for name, of in self._types.items() if (item := item_type(of))}

    def explain(self, value: bytes, error: Exception, arrived_ns: int) -> tuple[Reason, str]:
        """Return the reason and the sentence for a record whose decoding raised ``error``."""
        message = str(error)
        complaint, at, field = message.rpartition(_AT)  # the last one: raw input may precede it
        if at:
            return self._explain_field(value, field.removesuffix("`"), complaint, arrived_ns)
        if missing := _MISSING.search(message):
            return "missing_field", self.missing(missing["field"])
        if isinstance(error, UnicodeDecodeError):
            return "not_utf8", f"{_text(error.object)} is not UTF-8; all text must be UTF-8"
        if isinstance(error, RecursionError):
            return "not_json", "nested too deeply; an event is one flat JSON object"
        if isinstance(error, msgspec.ValidationError):
            return "not_an_object", f"{_text(value)} is not a JSON object with fields"
        return "not_json", _malformed(value, message)

    def _explain_field(
        self, value: bytes, field: str, complaint: str, arrived_ns: int
    ) -> tuple[Reason, str]:
        if (at := _ITEM.fullmatch(field)) and at["field"] in self._items:
            return self._explain_item(value, at, complaint)
        raw = _raw_field(value, field)
        if raw == b"null":
            return "missing_field", self.missing(field)
        reason = reason_of(self._own_names.get(field, field), complaint)
        if reason in ("too_old", "in_the_future"):
            return reason, self.misdated(_text(raw), arrived_ns)
        sentence = f"{self._name(field)} is {_text(raw)}; {self._expectation(field)}"
        if (
            reason == "out_of_range"
            and self._own_names.get(field, field) in _PRICE_FIELDS
            and ">=" in complaint
        ):
            sentence += f"; {_NONPOSITIVE}"
        return reason, sentence

    def _explain_item(self, value: bytes, at: re.Match[str], complaint: str) -> tuple[Reason, str]:
        """Explain a complaint about an item of a list: which item, and which field of it."""
        field, number, name = at["field"], int(at["number"]), at["name"]
        item = _raw_item(_raw_field(value, field), number)
        place = f"{self._name(field)}[{number}]"
        types = {f.encode_name: f.type for f in msgspec.structs.fields(self._items[field])}
        if missing := _MISSING.search(complaint):
            name = missing["field"]
            return "missing_field", f"{place}.{name} is missing; it must be {expected(types[name])}"
        if name is None:
            return "wrong_type", f"{place} is {_text(item)}; it must be an object"
        raw = _raw_field(item, name)
        must_be = f"it must be {expected(types[name])}"
        if raw == b"null":
            return "missing_field", f"{place}.{name} is missing; {must_be}"
        reason: Reason = "wrong_type" if "got `" in complaint else "out_of_range"
        return reason, f"{place}.{name} is {_text(raw)}; {must_be}"

    def unordered(self, field: str, sentence: str) -> str:
        """Return the sentence for tiers that break a rule, see ``tiers_problem``."""
        name, _, rest = field.partition("[")
        theirs = {ours: its for its, ours in self._own_names.items()}.get(name, name)
        return f"{self._name(theirs)}[{rest} {sentence}"

    def nonpositive(self, field: str, price: float) -> str:
        """Return the sentence for a refused price; ``field`` is Foreshock's name."""
        theirs = {ours: name for name, ours in self._own_names.items()}.get(field, field)
        return f"{self._name(theirs)} is {price:g}; it must be a number above 0; {_NONPOSITIVE}"

    def missing(self, field: str) -> str:
        """Return the sentence for an absent or null field; ``field`` is the venue's name."""
        return f"{self._name(field)} is missing; {self._expectation(field)}"

    def unprintable(self, field: str, name: str) -> str:
        """Return the sentence for a name with characters that cannot be displayed.

        ``field`` is the venue's name of the field, a symbol or an account.
        """
        what = "an account" if self._own_names.get(field, field) == "account" else "a symbol"
        return (
            f"{self._name(field)} is {shown_safely(name)}; {what} must not have "
            "control characters, invisible characters, or characters that change the text direction"
        )

    def reserved(self, symbol: str) -> str:
        """Return the sentence for a symbol that has another meaning in the output."""
        return (
            f"{self._name(self._symbol_field)} is {shown_safely(symbol)}; in alerts, this name "
            "means the whole market, so no symbol may have it"
        )

    def misdated(self, value: str, arrived_ns: int) -> str:
        """Return the sentence for a time out of range, with a guess of the unit of the value."""
        sentence = f"{self._name(self._time_field)} is {value} {self._time_unit}"
        number = _integer(value)
        if number is not None and 0 <= number * NANOSECONDS[self._time_unit] <= LATEST_NS:
            sentence += f" ({_timestamp(number * NANOSECONDS[self._time_unit])})"
        sentence += (
            f"; it must be between the year 2000 and {self._max_ahead_seconds} s after the "
            f"record's timestamp, {_timestamp(arrived_ns)}"
        )
        latest_ns = arrived_ns + self._max_ahead_seconds * 1_000_000_000
        for unit, scale in NANOSECONDS.items():
            if number is not None and EARLIEST_NS <= number * scale <= latest_ns:
                return f'{sentence}. It looks like {unit}: set wire.time_unit = "{unit}"'
        return sentence

    def _name(self, field: str) -> str:
        """Return the venue's name of a field, with Foreshock's name if that differs."""
        own_name = self._own_names.get(field, field)
        return field if own_name == field else f"{field} ({own_name})"

    def _expectation(self, field: str) -> str:
        if self._own_names.get(field, field) == "ts_event":
            return f"it must be a whole number of {self._time_unit} since 1970"
        return f"it must be {expected(self._types[field])}"


def reason_of(own_name: str, complaint: str) -> Reason:
    """Return the reason for msgspec's complaint about the value of a field."""
    if complaint.startswith("Invalid enum value"):
        return _UNKNOWN.get(own_name, "unknown_value")
    if "got `" in complaint:
        return "wrong_type"
    if "of length" in complaint:
        return "wrong_length"
    if own_name == "ts_event":
        return "too_old" if ">=" in complaint else "in_the_future"
    return "out_of_range"


def item_type(annotation: Any) -> type[Struct] | None:
    """Return the class of the items of a list of objects, also of an optional one; else None.

    >>> item_type(tuple[Rejection, ...] | None), item_type(int)
    (<class 'service.pipeline.rejection.Rejection'>, None)
    """
    info = inspect.type_info(annotation)
    options = info.types if isinstance(info, inspect.UnionType) else (info,)
    for option in options:
        if isinstance(option, inspect.VarTupleType):
            item = option.item_type
            return item.cls if isinstance(item, inspect.StructType) else None
    return None


def _raw_item(value: bytes, number: int) -> bytes:
    """Return the JSON text of an item of a list."""
    try:
        return bytes(msgspec.json.decode(value, type=list[msgspec.Raw])[number])
    except (msgspec.MsgspecError, IndexError):
        return b"?"


def _malformed(value: bytes, message: str) -> str:
    problem = message.removeprefix("JSON is malformed: ").removeprefix("Input data was ")
    if place := _BYTE.search(message):
        byte = int(place[1])
        problem += f", near {_text(value[max(0, byte - _AROUND) : byte + _AROUND])}"
    return f"not JSON: {problem}"


def _raw_field(value: bytes, field: str) -> bytes:
    """Return the JSON text of a top-level field."""
    try:
        found = msgspec.json.decode(value, type=dict[str, msgspec.Raw]).get(field)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return b"?"
    return b"?" if found is None else bytes(found)


def _text(value: bytes) -> str:
    return shown_safely(value[:1_000].decode("utf-8", "backslashreplace"))


def _integer(text: str) -> int | None:
    """Return the integer in a JSON number or string; None if there is none.

    >>> _integer('"1340285400"'), _integer("1e9")
    (1340285400, None)
    """
    digits = text.strip('"')
    return int(digits) if digits.isascii() and digits.removeprefix("-").isdigit() else None


def _timestamp(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
