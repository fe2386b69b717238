"""What records have before their content, and how they become JSON before they are decoded."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from service.pipeline.rejection import Reason

PREFIX_BYTES = 5
"""The prefix of Confluent's schema registry: a zero byte, and the four of the schema's id."""


class UnopenedError(ValueError):
    """A record does not become JSON. The text says what is wrong, ``reason`` names it."""

    def __init__(self, reason: "Reason", sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Opening(Struct, frozen=True):
    """How the values of records become JSON.

    Attributes
    ----------
    opened
        Returns the JSON of a value; raises `UnopenedError`. ``SchemaNotLoadedError`` of
        ``service.formats`` if the schema is not there: see ``needs_schemas``.
    needs_schemas
        Whether the schemas of records must be loaded before they are opened.
    """

    opened: Callable[[bytes], bytes]
    needs_schemas: bool = False


def unframed(value: bytes) -> bytes:
    r"""Return JSON without the prefix of a schema registry; raises `UnopenedError` without one.

    Examples
    --------
    >>> unframed(b"\0\0\0\0\x07{}")
    b'{}'
    """
    if schema_id(value) is None:
        raise UnopenedError(
            "not_json",
            f"the record begins with byte {value[:1].hex()}; with wire.framing = "
            '"confluent" it must begin with a zero byte and the id of the schema',
        )
    return value[PREFIX_BYTES:]


UNFRAMED = Opening(unframed)
"""Removes the prefix before JSON. The schema of JSON is not needed."""


def schema_id(value: bytes) -> int | None:
    r"""Return the id of the schema that the prefix of a value names; None without a prefix.

    >>> schema_id(b"\0\0\0\x01\x02..."), schema_id(b"{}")
    (258, None)
    """
    if value[:1] != b"\0" or len(value) < PREFIX_BYTES:
        return None
    return int.from_bytes(value[1:PREFIX_BYTES])
