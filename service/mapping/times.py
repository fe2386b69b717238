"""Times as venues write them, to nanoseconds since 1970."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, cast

import numpy as np
from msgspec import Meta

from detectors.market_data.events import EARLIEST_NS, LATEST_NS
from service.mapping.rules import Unit
from service.pipeline.rejection import NANOSECONDS, TimeUnit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _AFTER = b"2000", b"2262"
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
    return [int(time) * scale for time in column] if scale != 1 else list(map(int, column))


def counted(unit: Unit) -> Any:
    """Return the type of a time in whole units, with its bounds; None if it is not counted so."""
    if unit in ("s", "iso"):
        return None
    scale = NANOSECONDS[cast("TimeUnit", unit)]
    # Rounded up: a time before the bound must not pass.
    return Annotated[int, Meta(ge=-(-EARLIEST_NS // scale), le=LATEST_NS // scale)]


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
    if None not in column and len(lengths := set(map(len, column))) == 1:
        times = _alike(column, *lengths)
        if times is not None:
            return times
    return [None if text is None else _one_iso(text) for text in column]


def _alike(column: Sequence[str], length: int) -> list[int | None] | None:
    """Parse texts of one length that end in Z; None if they need a closer look."""
    joined = "".join(column).encode()
    if length < _SHORTEST or len(joined) != length * len(column):
        return None
    texts = np.frombuffer(joined, f"S{length}")
    table = texts.view("S1").reshape(-1, length)
    years = table[:, :4].copy().view("S4")
    if not ((table[:, -1] == b"Z").all() and (years >= _FIRST).all() and (years < _AFTER).all()):
        return None
    moments = np.ascontiguousarray(table[:, :-1]).view(f"S{length - 1}").ravel()
    return list(moments.astype("M8[ns]").view(np.int64).tolist())


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
