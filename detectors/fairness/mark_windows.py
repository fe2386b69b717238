"""What a liquidation would have been under another mark price, with the path of prices held fixed.

In a cascade prices would have differed if fewer positions had been closed. So these numbers hold
best for the first liquidations of a run.
"""

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from detectors.fairness.mark_paths import mark_along
from detectors.risk.marks import MarkRule
from detectors.table import Flags, Floats

HORIZONS_SECONDS = (60.0, 300.0)
"""How long after its first slice a liquidation is followed under another mark price."""

REBOUND_RATIO = 0.0005
"""The index is back if it is 5 bps on the safe side of the liquidation price."""

EARLIER_SECONDS = 60.0
"""How long before the liquidation another mark price may have reached its price. The position is
taken as unchanged in this time."""

OWN = "own"
"""The window of the venue's own rule: the control, under which nearly nobody should survive."""

WINDOWS: dict[str, MarkRule | None] = {
    "mid": None,
    "last": MarkRule("last"),
    "ema_10s": MarkRule("ema_premium", 10.0),
    "ema_30s": MarkRule("ema_premium", 30.0),
    "ema_60s": MarkRule("ema_premium", 60.0),
    "ema_150s": MarkRule("ema_premium", 150.0),
    "sma_60s": MarkRule("sma", 60.0),
}
"""Other mark prices: the mid price (None), the last trade, the index with the mean premium of 10 to
150 s, and the mean price of a minute."""


class Path(Struct, frozen=True):
    """Prices of a symbol at rising times in seconds, NaN where unknown; at least one row.

    ``mid`` is that at the time, ``mark`` the venue's own.
    """

    times: Floats
    mid: Floats
    last: Floats
    index: Floats
    mark: Floats


class Victim(NamedTuple):
    """A liquidated position.

    Attributes
    ----------
    at_seconds
        Time of the first slice.
    trigger
        The mark price at which the position is at its maintenance margin.
    sign
        1 for a long, -1 for a short.
    quantities, prices
        Of its slices; quantities are unsigned.
    """

    at_seconds: float
    trigger: float
    sign: float
    quantities: Floats
    prices: Floats


class Outcome(Struct, frozen=True):
    """What another mark price would have made of a liquidation.

    Attributes
    ----------
    window
        One of `WINDOWS`, or `OWN`.
    survives_60s, survives_300s
        Whether the mark stays on the safe side from a second before the first slice until so long
        after it; null if the path does not say.
    delay_seconds
        When the mark is first beyond the liquidation price, after the first slice; negative if it
        is before it. Null if it is not, from a minute before it on.
    regret
        What a survivor of 300 s would have more: its slices at the mid price then, instead of at
        their prices; at least 0, in the quote currency.
    added_loss
        What the others would have less: their slices at the mid price of that delay; at least 0.
    """

    window: str
    survives_60s: bool | None
    survives_300s: bool | None
    delay_seconds: float | None
    regret: float
    added_loss: float


def marks_under(path: Path, window: str, clamp: float, own: MarkRule | None) -> Floats:
    """Return the mark price of a window along a path; NaN where it is unknown.

    ``own`` is the venue's rule; without one the published marks stand for it.
    """
    if window == OWN and own is None:
        return path.mark
    rule = own if window == OWN else WINDOWS[window]
    if rule is None:
        return path.mid
    before = np.concatenate([path.index[:1], path.index[:-1]])
    return mark_along(
        rule, times=path.times, mid=path.mid, last=path.last, index=path.index,
        between=(path.index + before) / 2.0, mark=path.mark, clamp=clamp,
    )  # fmt: skip


def outcome(window: str, marks: Floats, path: Path, victim: Victim) -> Outcome:
    """Return what a mark price would have made of a liquidation.

    Examples
    --------
    A long with the liquidation price 99 is sold at 98 at second 2, as the published mark was below
    it. The mean of a minute was not. After 300 s the mid price is 100: 2 more for each unit.

    >>> times = np.arange(303.0)
    >>> mid = np.where((times > 1) & (times < 5), 98.0, 100.0)
    >>> path = Path(times, mid, mid, mid, mid)
    >>> victim = Victim(2.0, 99.0, 1.0, np.array([3.0]), np.array([98.0]))
    >>> its = outcome("sma_60s", np.full(303, 99.5), path, victim)
    >>> its.survives_60s, its.survives_300s, its.delay_seconds, its.regret
    (True, True, None, 6.0)
    >>> outcome("mid", mid, path, victim).delay_seconds
    0.0
    """
    since = path.times - victim.at_seconds
    short, long = (_survives(marks, since, victim, until) for until in HORIZONS_SECONDS)
    with np.errstate(invalid="ignore"):
        beyond = victim.sign * (marks - victim.trigger) <= 0.0
    hit = np.flatnonzero(beyond & (since >= -EARLIER_SECONDS) & (since <= HORIZONS_SECONDS[1]))
    delay = float(since[hit[0]]) if len(hit) else None
    paid = float(victim.quantities @ victim.prices)
    quantity = float(victim.quantities.sum())
    regret = added = 0.0
    if long:
        then = _at(path.mid, since, HORIZONS_SECONDS[1])
        regret = max(0.0, victim.sign * (quantity * then - paid))
    elif len(hit):
        added = max(0.0, victim.sign * (paid - quantity * float(path.mid[hit[0]])))
    return Outcome(
        window, short, long, delay,
        regret if math.isfinite(regret) else 0.0, added if math.isfinite(added) else 0.0,
    )  # fmt: skip


def rebound_seconds(path: Path, victim: Victim) -> float | None:
    """Return how long after the first slice the index is back beyond the liquidation price.

    0 if it was there already: the index alone would not have caused the liquidation. None if it
    does not come back within 300 s, or without an index.
    """
    since = path.times - victim.at_seconds
    with np.errstate(invalid="ignore"):
        back = victim.sign * (path.index / victim.trigger - 1.0) > REBOUND_RATIO
    # The last index before the slice counts for its time.
    found = np.flatnonzero(back & (since > -1.0) & (since <= HORIZONS_SECONDS[1]))
    return max(0.0, float(since[found[0]])) if len(found) else None


def _survives(marks: Floats, since: Floats, victim: Victim, until: float) -> bool | None:
    within: Flags = (since >= -1.0) & (since <= until)
    if not within.any() or since[-1] < until - 1.0 or np.isnan(marks[within]).any():
        return None
    return bool((victim.sign * (marks[within] - victim.trigger) > 0.0).all())


def _at(values: Floats, since: Floats, seconds: float) -> float:
    """Return the last value at or before a time; NaN before the first."""
    place = int(np.searchsorted(since, seconds, side="right")) - 1
    return float(values[place]) if place >= 0 else math.nan
