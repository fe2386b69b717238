"""Times of logical types, in the unit that the rules of their records expect."""

from collections.abc import Callable
from datetime import UTC, datetime

from service.mapping.rules import Unit
from service.pipeline.rejection import NANOSECONDS

_SECOND = 1_000_000_000
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())

Moment = int | str


def in_unit(step_ns: int, unit: Unit) -> Callable[[int], Moment]:
    """Return what turns a count of steps since 1970 into a unit.

    Whole units are integers; an earlier fraction is cut. Seconds with a fraction, and ISO 8601,
    are texts.

    Parameters
    ----------
    step_ns
        The length of a step, in nanoseconds.

    Examples
    --------
    >>> in_unit(1_000_000, "us")(1_700_000_000_123), in_unit(1, "ms")(1_999_999)
    (1700000000123000, 1)
    >>> in_unit(1_000_000, "s")(1_700_000_000_123), in_unit(1_000_000, "s")(1_700_000_000_000)
    ('1700000000.123000000', 1700000000)
    >>> in_unit(1_000, "iso")(1_700_000_000_123_456)
    '2023-11-14T22:13:20.123456000Z'
    """
    if unit == "iso":
        return lambda count: _iso(count * step_ns)
    if unit == "s":
        return lambda count: _seconds(count * step_ns)
    target_ns = NANOSECONDS[unit]
    if step_ns >= target_ns:
        factor = step_ns // target_ns
        return lambda count: count * factor
    divisor = target_ns // step_ns
    return lambda count: count // divisor


def _seconds(ns: int) -> Moment:
    seconds, rest = divmod(ns, _SECOND)
    return f"{seconds}.{rest:09d}" if rest else seconds


def _iso(ns: int) -> Moment:
    seconds, rest = divmod(ns, _SECOND)
    if not 0 <= seconds <= _LAST:
        return _seconds(ns)  # no date: it is refused as it is
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}Z"
