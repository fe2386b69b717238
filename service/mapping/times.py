"""Times as venues write them, to nanoseconds since 1970."""

import re
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
_FIRST, _AFTER = "2000", "2262"
"""The years that a date of 64-bit nanoseconds, and Foreshock's bounds, allow."""

_LIKE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
_HOUR = len("2000-01-01T")
_LAST_HOUR = 23
_ZERO = np.uint8(ord("0"))
_SECOND = 1_000_000_000
# By place in such a text: the largest digit after the day, and the nanoseconds that a 1 there is.
_MOST = np.array([0] * _HOUR + [2, 9, 0, 5, 9, 0, 5, 9, 0] + [9] * 9 + [0, 0], np.uint8)
_WEIGHTS = np.array(
    [0] * _HOUR
    + [36_000 * _SECOND, 3_600 * _SECOND, 0, 600 * _SECOND, 60 * _SECOND, 0, 10 * _SECOND, _SECOND]
    + [0]
    + [10**digit for digit in range(8, -1, -1)]
    + [0, 0],
    np.float64,  # exact: a day has fewer nanoseconds than 2**53
)


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


def _from_iso(column: Sequence[str | None]) -> list[int | None]:
    times: list[int | None] | None = _of_one_day(column) if len(column) > 1 else None
    return [None if text is None else _one_iso(text) for text in column] if times is None else times


def _of_one_day(column: Sequence[Any]) -> list[int | None] | None:
    """Parse texts of one day, in UTC and with as many digits; None if they need a closer look."""
    first = column[0]
    if not isinstance(first, str) or not _LIKE.fullmatch(first) or not _FIRST <= first < _AFTER:
        return None
    width = len(first) + 1
    try:
        joined = "\n".join(column).encode() + b"\n"
    except TypeError:
        return None
    if len(joined) != width * len(column):
        return None
    # A row that begins and ends like the first one, with digits in between, is one of the texts.
    table = np.frombuffer(joined, np.uint8).reshape(-1, width)
    most, weights = _MOST[:width].copy(), _WEIGHTS[:width].copy()
    most[-2:] = weights[-2:] = 0
    digits = table - np.where(most > 0, _ZERO, table[0])  # 0 where all must be the same
    hours = digits[:, _HOUR] * 10 + digits[:, _HOUR + 1]
    if not (digits <= most).all() or hours.max() > _LAST_HOUR:
        return None
    of_day = (digits.astype(np.float64) @ weights).astype(np.int64)
    times: list[int | None] = (of_day + _one_iso(f"{first[:_HOUR]}00:00:00Z")).tolist()
    return times


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
