"""The rules of a mapping, as the configuration gives them in ``[[mappings]]``."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Scalar = str | int | float | bool
"""A value without parts."""

Path = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="the path of a field, such as data.order_id"),
]

Unit = Literal["ns", "us", "ms", "s", "iso"]
"""A unit of time since 1970: integers, seconds with a fraction, or the text of ISO 8601."""

Format = Literal["json", "avro", "protobuf"]
"""How records are written: JSON, or by schemas of a schema registry."""

Pattern = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._*-]{1,249}$")]

KEY, OFFSET, TIMESTAMP = "@key", "@offset", "@timestamp"
"""The paths of a record's key, of its offset (in a file: the number of its line), and of its
timestamp in Kafka in milliseconds."""

RECORD_PATHS = (KEY, OFFSET, TIMESTAMP)
"""The paths that are not in the message."""

ROOT = "$."
"""Begins a path that starts at the message, where other paths start at an event of its list."""


_Size = Annotated[float, Meta(gt=0)]


class FieldRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one field of an event is read.

    Attributes
    ----------
    path
        Where the value is in the message; ``@key``, ``@offset`` and ``@timestamp`` are the
        record's.
    value
        A constant, in place of ``path``.
    values
        The venue's values to Foreshock's; ``*`` stands for all others.
    absent
        Values that mean that the field is absent.
    unit, since
        Unit of a time, and the moment that it counts from (1970 if absent).
    minus
        The path of a number to subtract.
    divisor
        Divides a number: 1e18 if the venue sends integers of 1e-18.
    contract_size
        Multiplies a quantity in contracts: one number, or one for each symbol or pattern.
    inverse
        Divides a quantity by the price of the same event: the contract is worth quote currency.
    opposite
        Exchanges buy and sell: the venue's side is that of the maker.
    sign, negative
        The path of a field whose value makes the number negative, and these values.
    after
        Removes this text from the front: the symbol in the name of a channel.
    """

    path: Path | None = None
    value: Scalar | None = None
    values: dict[str, Scalar] | None = None
    absent: tuple[Scalar, ...] = ()
    unit: Unit | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    minus: Path | None = None
    divisor: Annotated[float, Meta(gt=0)] | None = None
    contract_size: _Size | dict[str, _Size] | None = None
    inverse: bool = False
    opposite: bool = False
    sign: Path | None = None
    negative: tuple[Scalar, ...] = ()
    after: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that the rule reads: its own, then those of ``minus`` and ``sign``."""
        return tuple(path for path in (self.path, self.minus, self.sign) if path is not None)


Stream = Literal[
    "orders",
    "cancels",
    "trades",
    "references",
    "margins",
    "positions",
    "statuses",
    "accounts",
    "liquidations",
    "insurance",
]

Topics = Annotated[
    tuple[Pattern, ...],
    Meta(min_length=1, description='a list of topics or patterns, such as ["md.*"]'),
]

Conditions = Annotated[
    dict[str, Scalar | tuple[Scalar, ...]],
    Meta(description='a table of paths to a value or a list of values, as {type = "match"}'),
]

Columns = Annotated[
    tuple[Path, ...],
    Meta(min_length=1, description='a list of names of columns, such as ["time", "price"]'),
]

Fields = Annotated[
    dict[str, str | FieldRule],
    Meta(description="a table of Foreshock's fields to your paths, or to tables with a path"),
]


class MappingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one kind of message becomes events of one stream."""

    stream: Stream
    topics: Topics
    when: Conditions = {}
    events: Path | None = None
    time_unit: Unit | None = None
    format: Format | None = None
    columns: Columns | None = None
    fields: Fields


def rule(given: str | FieldRule) -> FieldRule:
    """Return the rule of a field; a text is the path alone."""
    return FieldRule(path=given) if isinstance(given, str) else given


def text_of(value: Any) -> str:
    """Return a value as the configuration writes it as a key of a table.

    >>> text_of(True), text_of(1), text_of(1.5), text_of("B")
    ('true', '1', '1.5', 'B')
    """
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
