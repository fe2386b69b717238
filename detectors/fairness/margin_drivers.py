"""What comes before a venue's changes of margins, and whether they feed on themselves.

Margins that rise with volatility force positions out when markets are stressed, which makes them
more volatile (procyclicality; Murphy, Vasios and Vause, 2014). The history of a symbol is a sample
a minute of the last four hours, so about 4 KB.
"""

import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from detectors.fairness.margin_history import Change

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS

MOST_SAMPLES = 240
LEAST_SAMPLES = 30
"""Minutes in which a symbol's usual values are known, at most and at least."""

MOST_CHANGES = 64
LEAST_CHANGES = 5
"""Changes that are remembered, and below which nothing is inferred of them."""

SIGNIFICANCE = 0.01 / 3.0
"""Three drivers are tested, so each at a third (Bonferroni). The ranks of one symbol depend on each
other, so that unrelated changes are explained more often than this: at most 3 % of the time."""

FOLLOWS = 0.5
"""A rise follows its trigger if that is in the upper quarter of the last four hours, and a fall if
it is in the lower quarter."""

CYCLES = 3
"""Rises in a row from which a loop gain is stated."""

Driver = Literal["volatility", "open_interest", "depth"]
Trigger = Literal["volatility", "open_interest", "depth", "unexplained", "too_few"]

DRIVERS: tuple[Driver, ...] = ("volatility", "open_interest", "depth")
_VOLATILITY, _INTEREST, _DEPTHS, _RETURN = range(4)


class Drivers(Struct, frozen=True, kw_only=True, gc=False):
    """What preceded a change of margins, and what is inferred of the symbol's changes so far.

    Attributes
    ----------
    volatility_rank, open_interest_rank, depth_rank
        The place of each, as of the hour before the change, among its values of the last four
        hours: 0 the lowest, 1 the highest. Null if it is not known for half an hour.
    changes
        Changes of margin rates of the symbol that it is inferred from, this one included; those of
        one direction within an hour count once.
    trigger
        What precedes them: the driver with the least p-value below 0.01/3, or ``unexplained``;
        ``too_few`` below five changes. Null without inputs.
    trigger_p_value
        Of the driver with the least one; null without a test.
    declared_trigger
        What the settings declare; null without.
    follows_trigger
        Whether this change follows it, or else the inferred one; null if neither is known.
    return_correlation, volatility_correlation
        Of the changes of log margin with the return and the volatility of the hour before; null
        below five changes.
    loop_gain
        How much larger each of the last rises is than the one before, if forced flow and a higher
        volatility lie between them; 0 for a rise without. Their mean; 1 or more feeds on itself.
        Null below three rises after another.
    """

    volatility_rank: float | None = None
    open_interest_rank: float | None = None
    depth_rank: float | None = None
    changes: int = 0
    trigger: Trigger | None = None
    trigger_p_value: float | None = None
    declared_trigger: Driver | None = None
    follows_trigger: bool | None = None
    return_correlation: float | None = None
    volatility_correlation: float | None = None
    loop_gain: float | None = None


class Observation(NamedTuple):
    """A change of margins with what was known just before it; NaN what was not.

    ``step`` is the change of the logarithm of the margin rate. ``ranks`` are in the order of
    `DRIVERS`. ``forced`` is the notional of all forced flow so far.
    """

    at_ns: int
    step: float
    ranks: tuple[float, float, float]
    hour_return: float
    volatility: float
    forced: float

    def agreement(self, driver: int) -> float:
        """How well a driver goes with the change, from -1 to 1; uniform if unrelated."""
        sign = math.copysign(1.0, self.step)
        if DRIVERS[driver] == "depth":
            sign = -sign  # a thin book asks for more margin
        return sign * (2.0 * self.ranks[driver] - 1.0)


class Past:
    """The last hours of a symbol, and its changes of margins."""

    __slots__ = (
        "_bars", "_count", "_depth", "_forced", "_last_mid", "_mid", "_minute", "_samples",
        "observations", "open_interest",
    )  # fmt: skip

    def __init__(self) -> None:
        self._samples = np.full((MOST_SAMPLES, 4), np.nan, dtype=np.float32)
        self._count = self._bars = 0
        self._minute = -1
        self._mid = self._last_mid = self._depth = self._forced = 0.0
        self.open_interest = math.nan
        self.observations: deque[Observation] = deque(maxlen=MOST_CHANGES)

    def add(
        self, ends_at: int, mid: float, *, depth: float = math.nan, forced: float = 0.0
    ) -> None:
        """Take a bar: the mid price at its end, the depth there, and the forced notional in it."""
        minute = ends_at // MINUTE_NS
        if minute != self._minute:
            self._close(minute)
        self._bars += 1
        self._mid = mid
        self._depth += depth
        self._forced += forced

    def _close(self, minute: int) -> None:
        """End a minute: a sample of it, and none of minutes without a bar."""
        if self._bars and self._mid > 0.0:
            moved = math.log(self._mid / self._last_mid) if self._last_mid > 0.0 else math.nan
            self._samples[self._count % MOST_SAMPLES] = (
                math.nan, self.open_interest, self._depth / self._bars, moved,
            )  # fmt: skip
            self._count += 1
            self._last_mid = self._mid
            _, volatility = self._hour()
            self._samples[(self._count - 1) % MOST_SAMPLES, _VOLATILITY] = volatility
        self._minute, self._bars, self._depth = minute, 0, 0.0

    def _hour(self) -> tuple[float, float]:
        """Return the return and the volatility of the last hour; NaN below half an hour."""
        known = min(self._count, 60)
        places = np.arange(self._count - known, self._count) % MOST_SAMPLES
        moves = self._samples[places, _RETURN].astype(np.float64)
        moves = moves[np.isfinite(moves)]
        if len(moves) < LEAST_SAMPLES:
            return math.nan, math.nan
        return float(moves.sum()), math.sqrt(60.0 * float(np.mean(moves * moves)))

    def _rank(self, column: int) -> float:
        """Return the place of the last hour's mean among those before; NaN below half an hour."""
        known = min(self._count, MOST_SAMPLES)
        places = np.arange(self._count - known, self._count) % MOST_SAMPLES
        values = self._samples[places, column].astype(np.float64)
        values = values[np.isfinite(values)]
        if len(values) < LEAST_SAMPLES:
            return math.nan
        if column != _VOLATILITY:  # which is one of the hour already
            sums = np.concatenate([[0.0], np.cumsum(values)])
            ends = np.arange(LEAST_SAMPLES, len(sums))
            begins = np.maximum(ends - 60, 0)
            values = (sums[ends] - sums[begins]) / (ends - begins)
        below = np.count_nonzero(values < values[-1])
        equal = np.count_nonzero(values == values[-1])
        return float((below + 0.5 * equal) / len(values))

    def observe(self, ts_event: int, steps: Sequence[Change]) -> Observation | None:
        """Remember a change of margin rates; None if it is of something else."""
        rates = [
            math.log(its.after / its.before)
            for its in steps
            if its.before > 0.0
            and its.after > 0.0
            and ("maintenance" in its.name or "initial" in its.name)
        ]
        if not rates:
            return None
        moved, volatility = self._hour()
        found = Observation(
            ts_event,
            max(rates, key=abs),
            (self._rank(_VOLATILITY), self._rank(_INTEREST), self._rank(_DEPTHS)),
            moved,
            volatility,
            self._forced,
        )
        self.observations.append(found)
        return found


def drivers_of(
    its: Observation, observations: Sequence[Observation], declared: Driver | None
) -> Drivers:
    """Return what preceded a change, and what is inferred of all changes so far.

    Parameters
    ----------
    its
        The change.
    observations
        All changes, in their order; the last one is ``its``.
    declared
        What the venue says that its changes follow.

    Examples
    --------
    Six rises and falls, each with a volatility at the upper and lower end of its usual values:

    >>> hour = 3_600_000_000_000
    >>> told = [
    ...     Observation(n * hour, step, (0.5 + step, 0.5, math.nan), 0.0, 0.02 + step / 100.0, 0.0)
    ...     for n, step in enumerate([0.4, -0.4] * 3)
    ... ]
    >>> its = drivers_of(told[-1], told, None)
    >>> its.trigger, its.follows_trigger, its.depth_rank
    ('volatility', True, None)
    >>> round(its.volatility_correlation, 3), its.return_correlation
    (1.0, None)
    """
    counted = _counted(observations)
    trigger, p_value = _trigger(counted)
    followed = declared or (trigger if trigger in DRIVERS else None)
    follows = None
    if followed is not None:
        agreement = its.agreement(DRIVERS.index(followed))
        follows = None if math.isnan(agreement) else agreement >= FOLLOWS
    volatility, interest, depth = (None if math.isnan(rank) else rank for rank in its.ranks)
    return Drivers(
        volatility_rank=volatility,
        open_interest_rank=interest,
        depth_rank=depth,
        changes=len(counted),
        trigger=trigger,
        trigger_p_value=p_value,
        declared_trigger=declared,
        follows_trigger=follows,
        return_correlation=_correlation([(each.step, each.hour_return) for each in counted]),
        volatility_correlation=_correlation([(each.step, each.volatility) for each in counted]),
        loop_gain=loop_gain(observations),
    )


def loop_gain(observations: Sequence[Observation]) -> float | None:
    """Return how much larger the last rises of margins are than those before; None below three.

    Of a rise and the next one it is the product of three ratios: forced flow per margin, volatility
    per forced flow, margin per volatility. That is the ratio of the two rises, if each link is
    there; a loop with a missing link is open.

    >>> def rise(step, forced):
    ...     return Observation(0, step, (0.5, 0.5, 0.5), 0.0, forced, forced)
    >>> loop_gain([rise(0.1, 0.0), rise(0.15, 1e6), rise(0.3, 3e6), rise(0.6, 9e6)])
    1.8333333333333333
    """
    gains: list[float] = []
    for before, after in itertools.pairwise(observations):
        if before.step <= 0.0 or math.isnan(before.volatility) or math.isnan(after.volatility):
            continue
        is_closed = after.forced > before.forced and after.volatility > before.volatility
        gains.append(max(after.step, 0.0) / before.step if is_closed else 0.0)
    return math.fsum(gains[-CYCLES:]) / CYCLES if len(gains) >= CYCLES else None


def _counted(observations: Sequence[Observation]) -> list[Observation]:
    """Leave out what repeats the direction of a change within an hour: they are one decision."""
    counted: list[Observation] = []
    for its in observations:
        last = counted[-1] if counted else None
        if last is None or its.at_ns - last.at_ns >= HOUR_NS or its.step * last.step < 0.0:
            counted.append(its)
    return counted


def _trigger(counted: Sequence[Observation]) -> tuple[Trigger | None, float | None]:
    """Return the driver that precedes the changes, by the score test of a logistic model.

    Its log-odds of a rise or a fall are linear in the rank of the driver. With no relation each
    agreement is uniform between -1 and 1, with a variance of 1/3: z = mean sqrt(3 n).
    """
    known = False
    least: tuple[float, Driver] | None = None
    for place, driver in enumerate(DRIVERS):
        values = [each.agreement(place) for each in counted]
        values = [value for value in values if not math.isnan(value)]
        known = known or bool(values)
        if len(values) >= LEAST_CHANGES:
            z = math.fsum(values) / len(values) * math.sqrt(3.0 * len(values))
            tested = (0.5 * math.erfc(z / math.sqrt(2.0)), driver)
            least = tested if least is None else min(least, tested)
    if least is None:
        return ("too_few" if known else None), None
    p_value, driver = least
    return (driver if p_value <= SIGNIFICANCE else "unexplained"), p_value


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's correlation; None below five pairs, or without a spread."""
    known = np.array([pair for pair in pairs if not math.isnan(pair[1])])
    if len(known) < LEAST_CHANGES or not np.ptp(known, axis=0).all():
        return None
    return float(np.corrcoef(known, rowvar=False)[0, 1])
