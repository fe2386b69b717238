"""The calendar of a venue: sessions, auctions, closed times and expiries by symbol pattern.

It replaces the statuses where a venue does not publish any.
"""

import re
from calendar import monthrange, timegm
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from detectors.incidents.suppression import Window

DATE_FIELDS = {
    "%Y": r"(?P<year>\d{4})",
    "%y": r"(?P<year>\d{2})",
    "%m": r"(?P<month>\d{2})",
    "%b": r"(?P<month>[A-Za-z]{3})",
    "%d": r"(?P<day>\d{1,2})",
}
"""The fields of a date in a symbol's name, and the characters that each matches."""

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"


class Session(Struct, frozen=True, kw_only=True):
    """Times in which the symbols of ``window`` are in a state.

    A symbol with sessions in state ``open`` is closed outside of them.
    """

    window: Window
    state: Literal["open", "auction", "halted", "closed"]


class Expiry(Struct, frozen=True, kw_only=True):
    """The expiry of symbols by a date in their names.

    ``name_format`` is the part of the name that holds the date, with the fields of `DATE_FIELDS`;
    the symbol expires ``time_ns`` after the beginning of that day (UTC). Without ``%d`` it is the
    last day of the month.
    """

    symbols: tuple[str, ...]
    name_format: str
    time_ns: int = 0


class Calendar(Struct, frozen=True):
    """All sessions and all expiries. The last session that covers a moment decides its state."""

    sessions: tuple[Session, ...] = ()
    expiries: tuple[Expiry, ...] = ()

    def of(self, symbol: str) -> "SymbolCalendar":
        """Return the part of the calendar that concerns one symbol."""
        dates = (expiry_ns(its, symbol) for its in self.expiries if _matches(its.symbols, symbol))
        return SymbolCalendar(
            tuple(its for its in self.sessions if _matches(its.window.symbols, symbol)),
            min((date for date in dates if date is not None), default=None),
        )


class SymbolCalendar(Struct, frozen=True):
    """The sessions of one symbol, and its expiry in nanoseconds since the Unix epoch."""

    sessions: tuple[Session, ...] = ()
    expires_ns: int | None = None

    def state(self, ts_ns: int) -> Literal["open", "auction", "halted", "closed"]:
        """Return the state at a moment, without regard to the expiry."""
        for session in reversed(self.sessions):
            if session.window.covers(ts_ns):
                return session.state
        return "closed" if any(its.state == "open" for its in self.sessions) else "open"


def expiry_ns(expiry: Expiry, symbol: str) -> int | None:
    """Return the expiry of a symbol in nanoseconds since the Unix epoch; None without a date.

    >>> eight = 8 * 3_600_000_000_000
    >>> option = Expiry(symbols=("BTC-*",), name_format="-%d%b%y", time_ns=eight)
    >>> expiry_ns(option, "BTC-27JUN25-50000-C") == 1_751_011_200_000_000_000
    True
    >>> expiry_ns(option, "BTC-31JUN25"), expiry_ns(option, "BTC-PERPETUAL")
    (None, None)
    """
    found = re.search(_pattern(expiry.name_format), symbol)
    if found is None:
        return None
    date = found.groupdict()
    year = int(date["year"])
    year = 2_000 + year if year < 100 else year
    month = _month(date["month"])
    if not 1 <= month <= 12 or not 1970 <= year <= 2261:
        return None
    last = monthrange(year, month)[1]
    day = int(date.get("day") or last)
    if not 1 <= day <= last:
        return None
    return timegm((year, month, day, 0, 0, 0)) * 1_000_000_000 + expiry.time_ns


def _pattern(name_format: str) -> str:
    return "".join(_parts(name_format))


def _parts(name_format: str) -> Iterator[str]:
    for part in re.split("(%.)", name_format):
        yield DATE_FIELDS.get(part, re.escape(part))


def _month(text: str) -> int:
    """Return the number of a month; 0 if there is no such month.

    >>> _month("06"), _month("Jun"), _month("une")
    (6, 6, 0)
    """
    if text.isdigit():
        return int(text)
    at = _MONTHS.find(text.lower())
    return at // 3 + 1 if at >= 0 and at % 3 == 0 else 0


def _matches(patterns: tuple[str, ...], symbol: str) -> bool:
    return any(fnmatchcase(symbol, pattern) for pattern in patterns)
