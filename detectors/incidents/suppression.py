"""Suppression of alarms: small deviations, the unwanted direction, maintenance windows.

A suppressed alarm does not open, escalate or prolong an incident. The signals topic still reports
the alarm with the reason. Suppression does not change what the detectors learn. The end of a window
is a reopening: alarms are suppressed for another minute. After that minute, or the removal of a
rule, the detectors judge as without it.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from detectors.detector import Detector
from detectors.judging.surprise import Contribution

Direction = Literal["rise", "fall", "either"]

ReasonKind = Literal["maintenance", "direction", "min_relative_deviation"]
REASON_KINDS: tuple[ReasonKind, ...] = get_args(ReasonKind)
"""The reasons for a suppression, in the order in which they are checked."""

WEEK_NS = 7 * 86_400 * 1_000_000_000

REOPENING_NS = 60_000_000_000
"""The time after a maintenance window in which alarms are still suppressed. The detectors' longest
span of flow still contains events of the window."""

_SHORTEST_NS = 1_000_000_000

MIN_EXPECTED = 0.01
"""The smallest divisor of a relative deviation. The divisor is the expected value, which may be
zero for a share or a rate."""


class Override(Struct, frozen=True, kw_only=True):
    """Settings for the alarms of some symbols. None keeps the general setting.

    ``symbols`` holds patterns such as ``BTC-*``. ``detectors`` holds names; empty means all. The
    false-alarm budget applies to a symbol, whatever the detectors.
    """

    symbols: tuple[str, ...]
    detectors: tuple[str, ...] = ()
    min_relative_deviation: float | None = None
    only: Direction | None = None
    false_alarms_per_day: float | None = None


class Window(Struct, frozen=True, kw_only=True):
    """A maintenance window, in which the alarms of some symbols are suppressed.

    It lasts ``length_ns`` from each of ``begins_ns`` (nanoseconds since the Unix epoch); its end is
    exclusive. A ``weekly`` window repeats every week, before and after. Its begins are in local
    time where ``offsets`` are given: the moments at which the offset from UTC changes, ascending,
    and the offset from then on, both in nanoseconds. Before the first moment the first offset
    applies. A window that is open when the clocks change still lasts ``length_ns``.
    """

    symbols: tuple[str, ...]
    detectors: tuple[str, ...] = ()
    begins_ns: tuple[int, ...]
    length_ns: int
    weekly: bool = False
    reason: str
    offsets: tuple[tuple[int, int], ...] = ()

    def covers(self, ts_ns: int) -> bool:
        """Whether a moment lies in the window.

        >>> hour = 3_600_000_000_000
        >>> upgrade = Window(
        ...     symbols=("*",), begins_ns=(23 * hour,), length_ns=2 * hour, weekly=True, reason="x"
        ... )
        >>> [upgrade.covers(at * hour) for at in (22, 23, 24, 25, 24 + 168)]
        [False, True, True, False, True]
        """
        if self.weekly:
            local_ns = ts_ns + self._offset_ns(ts_ns)
            return any(
                ts_ns - self._utc_ns(local_ns - (local_ns - begin) % WEEK_NS) < self.length_ns
                for begin in self.begins_ns
            )
        return any(0 <= ts_ns - begin < self.length_ns for begin in self.begins_ns)

    def _offset_ns(self, utc_ns: int) -> int:
        """The offset of local time from UTC at a moment."""
        if not self.offsets:
            return 0
        after = bisect_right(self.offsets, utc_ns, key=itemgetter(0))
        return self.offsets[max(0, after - 1)][1]

    def _utc_ns(self, local_ns: int) -> int:
        """The moment of a local time. One that the clocks skip lies after the change."""
        guess_ns = local_ns - self._offset_ns(local_ns)
        return local_ns - self._offset_ns(guess_ns)

    def suppresses(self, ts_ns: int) -> bool:
        """Whether a moment lies in the window, or less than `REOPENING_NS` after its end.

        >>> night = Window(symbols=("*",), begins_ns=(0,), length_ns=3_600 * 10**9, reason="x")
        >>> [night.suppresses(at * 10**9) for at in (-1, 0, 3_599, 3_600, 3_659, 3_660)]
        [False, True, True, True, True, False]
        """
        step_ns = max(_SHORTEST_NS, min(self.length_ns, REOPENING_NS))
        backs = (*range(0, REOPENING_NS, step_ns), REOPENING_NS)
        return any(self.covers(ts_ns - back_ns) for back_ns in backs)


class Suppression(Struct, frozen=True):
    """All overrides and all windows. The last override that sets a value takes effect."""

    overrides: tuple[Override, ...] = ()
    windows: tuple[Window, ...] = ()


NEVER = Suppression()
"""Nothing is held back."""


class Limits(Struct, frozen=True):
    """The suppression settings for one detector and one symbol."""

    min_relative_deviation: float = 0.0
    only: Direction = "either"
    windows: tuple[Window, ...] = ()


class Suppressed(NamedTuple):
    """Why an alarm is suppressed: the kind for the counters, and the reason for a reader."""

    kind: ReasonKind
    reason: str


def budget_per_day(suppression: Suppression, symbol: str, default: float) -> float:
    """Return the false-alarm budget of one symbol; ``default`` is the general budget.

    >>> quieter = Override(symbols=("DOGE-*",), false_alarms_per_day=0.2)
    >>> budget_per_day(Suppression((quieter,)), "DOGE-PERP", 1.0)
    0.2
    """
    for override in suppression.overrides:
        if override.false_alarms_per_day is not None and applies(override.symbols, symbol):
            default = override.false_alarms_per_day
    return default


def limits(suppression: Suppression, symbol: str, detector: str) -> Limits:
    """Return the suppression settings for one detector and one symbol."""
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
    """Return the deviation of a feature from its expected value, as a share of that value.

    For a logarithm it is the larger level divided by the smaller level, minus one: twice the level
    and half the level both deviate by 1.
    """
    distance = abs(top.value - top.expected)
    if top.feature in detector.logarithms:
        return math.expm1(min(50.0, distance))
    return distance / max(abs(top.expected), MIN_EXPECTED)


def direction(detector: Detector, top: Contribution) -> Direction:
    """Return the direction of the quantity that a feature measures.

    A feature in ``detector.turned`` rises when its quantity falls, such as depth.
    """
    rose = top.value >= top.expected
    return "rise" if rose != (top.feature in detector.turned) else "fall"


def maintenance_reason(settings: Limits, ts_ns: int) -> str | None:
    """Return the reason of the maintenance window that suppresses a moment; None without one."""
    for window in settings.windows:
        if window.suppresses(ts_ns):
            return f"maintenance: {window.reason}"
    return None


def suppressed_because(
    settings: Limits, detector: Detector, top: Contribution, ts_ns: int
) -> Suppressed | None:
    """Return why an alarm is suppressed; None if it is not.

    Parameters
    ----------
    settings
        The suppression settings for the detector and the symbol.
    detector
        The detector that raised the alarm.
    top
        The feature that contributes most to the alarm.
    ts_ns
        The beginning of the alarmed bar, in nanoseconds since the Unix epoch.
    """
    reason = maintenance_reason(settings, ts_ns)
    if reason is not None:
        return Suppressed("maintenance", reason)
    if settings.only not in ("either", direction(detector, top)):
        return Suppressed("direction", f"not a {settings.only}")
    if relative_deviation(detector, top) < settings.min_relative_deviation:
        return Suppressed(
            "min_relative_deviation",
            f"below min_relative_deviation {settings.min_relative_deviation:g}",
        )
    return None


def _concerns(rule: Override | Window, symbol: str, detector: str) -> bool:
    return (not rule.detectors or detector in rule.detectors) and applies(rule.symbols, symbol)


def applies(patterns: Sequence[str], symbol: str) -> bool:
    """Whether a symbol is one of ``patterns``, such as ``BTC-*``."""
    return any(fnmatchcase(symbol, pattern) for pattern in patterns)
