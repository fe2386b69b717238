"""Schemas by id, and how records become JSON with them."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from service.mapping.rules import Format, Unit
from service.pipeline.framing import PREFIX_BYTES, Opening, UnopenedError, schema_id
from service.pipeline.rejection import Reason

MOST_SCHEMAS = 500
"""How many schemas are kept; above it, the one that was needed longest ago is forgotten."""

_encode = msgspec.json.Encoder().encode


class Schema(Protocol):
    """A schema that can be used."""

    @property
    def kind(self) -> str:
        """The format of its records."""

    def reader(self, unit: Unit) -> Callable[[bytes], Any]:
        """Return what turns the content of a record into plain values; it raises ValueError."""


class Unusable(Struct, frozen=True):
    """Why the records of a schema cannot be read; until a monotonic time, for it may be added."""

    reason: Reason
    sentence: str
    until: float = float("inf")


class SchemaNotLoadedError(RuntimeError):
    """The schema of a record was not loaded before the record was decoded."""


class Schemas:
    """The schemas that are known, by id.

    Parameters
    ----------
    limit
        The largest number of schemas.
    """

    def __init__(self, limit: int = MOST_SCHEMAS) -> None:
        self._limit = limit
        self._known: dict[int, Schema | Unusable] = {}
        self._readers: dict[tuple[int, Format, Unit], Callable[[bytes], Any]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def put(self, number: int, schema: Schema | Unusable) -> None:
        """Keep what is known of an id."""
        self._drop(number)
        self._known[number] = schema
        while len(self._known) > self._limit:
            self._drop(next(iter(self._known)))

    def _drop(self, number: int) -> None:
        self._known.pop(number, None)
        for key in [key for key in self._readers if key[0] == number]:
            del self._readers[key]

    def knows(self, number: int) -> bool:
        """Return whether records of an id can be decoded or refused now."""
        found = self._known.pop(number, None)
        if found is None:
            return False
        self._known[number] = found  # now it is the newest
        return not isinstance(found, Unusable) or time.monotonic() < found.until

    def opening(self, format_: Format, unit: Unit) -> Opening:
        """Return what turns records of a format into JSON, with logical times in a unit."""

        def opened(value: bytes) -> bytes:
            number = schema_id(value)
            if number is None:
                raise UnopenedError(
                    "no_schema_id",
                    f"the record begins with byte {value[:1].hex()}; with format = "
                    f'"{format_}" it must begin with a zero byte and the id of its schema',
                )
            reader = self._readers.get((number, format_, unit))
            if reader is None:
                reader = self._reader(number, format_, unit)
            try:
                return _encode(reader(value[PREFIX_BYTES:]))
            except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
                raise UnopenedError(
                    "not_of_schema", f"the record is not of its schema {number}: {error}"
                ) from None

        return Opening(opened, needs_schemas=True)

    def _reader(self, number: int, format_: Format, unit: Unit) -> Callable[[bytes], Any]:
        schema = self._known.get(number)
        if schema is None:
            raise SchemaNotLoadedError(f"schema {number}")
        if isinstance(schema, Unusable):
            raise UnopenedError(schema.reason, schema.sentence)
        if schema.kind != format_:
            raise UnopenedError(
                "unusable_schema",
                f'schema {number} is of the format "{schema.kind}"; the configuration says '
                f'format = "{format_}"',
            )
        reader = self._readers[number, format_, unit] = schema.reader(unit)
        return reader
