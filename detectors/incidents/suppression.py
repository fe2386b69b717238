"""Alarms that a team has said it does not want: small ones, the other direction, planned work.

A suppressed alarm opens, escalates and prolongs nothing, and is still told of on the signals topic
with the reason. What the detectors learn does not change by it: when a window is over, or a rule
is taken back, they judge as if it had never been there.
"""

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from detectors.detector import Detector
from detectors.judging.surprise import Contribution

Direction = Literal["rise", "fall", "either"]

ReasonKind = Literal["maintenance", "direction", "min_relative_deviation"]
REASON_KINDS: tuple[ReasonKind, ...] = get_args(ReasonKind)
"""Why an alarm may be suppressed, in the order in which the reasons are looked for."""

WEEK_NS = 7 * 86_400 * 1_000_000_000

LEAST_EXPECTED = 0.01
"""A feature's deviation is relative to what was expected of it, and to no less than this: a share
or a rate of which nothing was expected has no other measure."""


class Override(Struct, frozen=True, kw_only=True):
    """What applies to some symbols' alarms instead of what applies to all; None changes nothing.

    ``symbols`` are patterns such as ``BTC-*``; ``detectors`` are names, none for all. The budget of
    false alarms is a symbol's, whatever the detectors.
    """

    symbols: tuple[str, ...]
    detectors: tuple[str, ...] = ()
    min_relative_deviation: float | None = None
    only: Direction | None = None
    false_alarms_per_day: float | None = None


class Window(Struct, frozen=True, kw_only=True):
    """A time of planned work, in which some symbols' alarms say nothing.

    It lasts ``length_ns`` from each of ``begins_ns`` (nanoseconds since the Unix epoch), without
    its end; a ``weekly`` one also from every whole number of weeks before and after.
    """

    symbols: tuple[str, ...]
    detectors: tuple[str, ...] = ()
    begins_ns: tuple[int, ...]
    length_ns: int
    weekly: bool = False
    reason: str

    def covers(self, ts_ns: int) -> bool:
        """Whether a moment lies in the window.

        >>> hour = 3_600_000_000_000
        >>> upgrade = Window(
        ...     symbols=("*",), begins_ns=(23 * hour,), length_ns=2 * hour, weekly=True, reason="x"
        ... )
        >>> [upgrade.covers(at * hour) for at in (22, 23, 24, 25, 24 + 168)]
        [False, True, True, False, True]
        """
        passed = (ts_ns - begin for begin in self.begins_ns)
        if self.weekly:
            return any(since % WEEK_NS < self.length_ns for since in passed)
        return any(0 <= since < self.length_ns for since in passed)


class Suppression(Struct, frozen=True):
    """Every override, the last that sets a value wins, and every window."""

    overrides: tuple[Override, ...] = ()
    windows: tuple[Window, ...] = ()


class Limits(Struct, frozen=True):
    """What applies to the alarms of one detector in one symbol."""

    min_relative_deviation: float = 0.0
    only: Direction = "either"
    windows: tuple[Window, ...] = ()


class Suppressed(NamedTuple):
    """Why an alarm is suppressed: the kind to count it under, and the words for a person."""

    kind: ReasonKind
    reason: str


def budget_per_day(suppression: Suppression, symbol: str, default: float) -> float:
    """The false alarms a day that one symbol is allowed, where ``default`` is what all are.

    >>> quieter = Override(symbols=("DOGE-*",), false_alarms_per_day=0.2)
    >>> budget_per_day(Suppression((quieter,)), "DOGE-PERP", 1.0)
    0.2
    """
    for override in suppression.overrides:
        if override.false_alarms_per_day is not None and _matches(override.symbols, symbol):
            default = override.false_alarms_per_day
    return default


def limits(suppression: Suppression, symbol: str, detector: str) -> Limits:
    """What applies to the alarms of one detector in one symbol."""
    least, only = 0.0, Limits().only
    for override in suppression.overrides:
        if _concerns(override, symbol, detector):
            if override.min_relative_deviation is not None:
                least = override.min_relative_deviation
            if override.only is not None:
                only = override.only
    windows = tuple(w for w in suppression.windows if _concerns(w, symbol, detector))
    return Limits(least, only, windows)


def relative_deviation(detector: Detector, top: Contribution) -> float:
    """How far a feature is from what was expected of it, as a share of that.

    For a logarithm it is the larger of the two levels over the smaller, less one: both twice as
    much and half as much deviate by 1.
    """
    distance = abs(top.value - top.expected)
    if top.feature in detector.logarithms:
        return math.expm1(min(50.0, distance))
    return distance / max(abs(top.expected), LEAST_EXPECTED)


def direction(detector: Detector, top: Contribution) -> Direction:
    """Whether what a feature measures has risen or fallen: a shallow book's depth has fallen."""
    rose = top.value >= top.expected
    return "rise" if rose != (top.feature in detector.turned) else "fall"


def suppressed_because(
    its: Limits, detector: Detector, top: Contribution, ts_ns: int
) -> Suppressed | None:
    """Why an alarm is suppressed, None where it is not.

    Parameters
    ----------
    its
        What applies to the detector in the symbol.
    detector
        Whose alarm it is.
    top
        The feature that contributes most to the alarm.
    ts_ns
        The beginning of the alarmed bar, in nanoseconds since the Unix epoch.
    """
    for window in its.windows:
        if window.covers(ts_ns):
            return Suppressed("maintenance", f"maintenance: {window.reason}")
    if its.only not in ("either", direction(detector, top)):
        return Suppressed("direction", f"not a {its.only}")
    if relative_deviation(detector, top) < its.min_relative_deviation:
        return Suppressed(
            "min_relative_deviation",
            f"below min_relative_deviation {its.min_relative_deviation:g}",
        )
    return None


def _concerns(rule: Override | Window, symbol: str, detector: str) -> bool:
    return (not rule.detectors or detector in rule.detectors) and _matches(rule.symbols, symbol)


def _matches(patterns: Sequence[str], symbol: str) -> bool:
    return any(fnmatchcase(symbol, pattern) for pattern in patterns)
