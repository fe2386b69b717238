"""Time zones of the IANA database, as tables of offsets that the pure core can use."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

FIRST_YEAR, LAST_YEAR = 1990, 2100
"""The years for which changes of the clocks are known; before and after, the nearest offset."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)

Offsets = tuple[tuple[int, int], ...]
"""Moments in nanoseconds since the Unix epoch, ascending, and the offset from UTC from then on."""


@lru_cache
def zone_names() -> frozenset[str]:
    """The names of the time zones that are known here."""
    return frozenset(available_timezones())


@lru_cache
def utc_offsets(name: str) -> Offsets:
    """When a zone's offset from UTC changes, and to what, in nanoseconds.

    The zone's rules are asked day by day, and each change is found to the minute.

    >>> summer = [offset for at, offset in utc_offsets("Europe/Berlin")][-2:]
    >>> [offset // 3_600_000_000_000 for offset in summer]
    [2, 1]
    """
    zone = ZoneInfo(name)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone).utcoffset() or timedelta()

    day = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    known = offset(day)
    changes = [(day, known)]
    while day.year < LAST_YEAR:
        after = day + timedelta(days=1)
        if offset(after) != known:
            low, high = day, after
            while high - low > _MINUTE:
                middle = low + (high - low) // 2
                low, high = (middle, high) if offset(middle) == known else (low, middle)
            change = (high - _EPOCH) // _MINUTE * _MINUTE + _EPOCH
            known = offset(after)
            changes.append((change, known))
        day = after
    return tuple((_ns(moment - _EPOCH), _ns(by)) for moment, by in changes)


def _ns(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1_000
