"""Times as venues write them, to nanoseconds since 1970."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from service.mapping.rules import Unit
from service.pipeline.rejection import NANOSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _AFTER = "2000", "2262"
"""The years that a date of 64-bit nanoseconds, and Foreshock's bounds, allow."""

_SHORTEST = len("2000-01-01T00:00:00Z")


def nanoseconds(column: Sequence[Any], unit: Unit, base_ns: int = 0) -> list[int | None]:
    """Return times in nanoseconds; None stays None.

    Parameters
    ----------
    column
        Integers for ns, us and ms (also as text); integers, numbers or text with a fraction for s;
        text for iso.
    base_ns
        The moment that they count from.

    Raises
    ------
    ValueError
        A value is no time in this unit.

    Examples
    --------
    >>> nanoseconds(["1.5", None], "s"), nanoseconds(["2001-09-09T01:46:40.5Z"], "iso")
    ([1500000000, None], [1000000000500000000])
    """
    if unit == "iso":
        return _from_iso(column)
    if unit == "s":
        return [None if time is None else base_ns + _from_seconds(time) for time in column]
    scale = NANOSECONDS[unit]
    if None in column or base_ns:
        return [None if time is None else base_ns + int(time) * scale for time in column]
    return [int(time) * scale for time in column]


def since_ns(moment: datetime | None) -> int:
    """Return a moment in nanoseconds since 1970; None is 1970."""
    if moment is None:
        return 0
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def _from_seconds(time: Any) -> int:
    if isinstance(time, int):
        return time * 1_000_000_000
    if isinstance(time, float):  # a double holds microseconds of today, not nanoseconds
        return round(time * 1e6) * 1_000
    try:
        return int(Decimal(time) * 1_000_000_000)
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"{time!r} is no number") from error


def _from_iso(column: Sequence[Any]) -> list[int | None]:
    texts = [text[:-1] for text in column if text is not None and text[-1:] == "Z"]
    if (
        len(texts) == len(column)
        and min(map(len, texts)) >= _SHORTEST - 1
        and min(texts) >= _FIRST
        and max(texts) < _AFTER
    ):
        times: list[int | None] = np.array(texts, "M8[ns]").view(np.int64).tolist()
        return times
    return [None if text is None else _one_iso(text) for text in column]


def _one_iso(text: str) -> int:
    """Parse a date and time with its offset, to the nanosecond.

    >>> _one_iso("2001-09-09T03:46:40.123456789+02:00")
    1000000000123456789
    """
    whole, point, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    moment = datetime.fromisoformat(whole + rest[digits:] if point else whole)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC, such as Z or +02:00")
    if point and not digits:
        raise ValueError(f"{text!r} has no digits after the point")
    fraction = int(rest[:9][:digits].ljust(9, "0")) if point else 0
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + fraction
