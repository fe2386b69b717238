"""How a venue changes its margin parameters: the numbers that differ, and how often they turn."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from detectors.market_data.events import Margin

DEAD_BAND = 0.02
"""Smaller changes, as logarithms, do not count as a change of direction."""

DAY_NS = 86_400_000_000_000


class Change(Struct, frozen=True):
    """A change of a parameter, or its first value.

    ``before`` is NaN for the first value. Times are in nanoseconds; ``announced_ns`` is when it
    became known, at the latest when it was published.
    """

    symbol: str
    name: str
    before: float
    after: float
    announced_ns: int
    effective_ns: int
    reason: str = ""


def changes_of(symbol: str, values: dict[str, float], margin: Margin) -> list[Change]:
    """Return what a margin record changes, and note it in ``values``.

    Parameters
    ----------
    symbol
        Of the record.
    values
        The numbers that were published last, by name; they are replaced.
    margin
        The record.

    Examples
    --------
    >>> values = {"maintenance_margin_rate": 0.01}
    >>> record = Margin(ts_event=5, symbol="X", maintenance_margin_rate=0.02)
    >>> (its,) = changes_of("X", values, record)
    >>> its.before, its.after, values
    (0.01, 0.02, {'maintenance_margin_rate': 0.02})
    """
    effective = margin.effective_at or margin.ts_event
    announced = min(margin.announced_at or margin.ts_event, margin.ts_event)
    found = []
    for name, value in _numbers(margin).items():
        before = values.get(name, math.nan)
        if before != value:
            found.append(
                Change(symbol, name, before, value, announced, effective, margin.reason or "")
            )
            values[name] = value
    return found


def oscillation(changes: Sequence[Change]) -> tuple[int, float]:
    """Return the most changes of direction within a day, and the churn of a parameter.

    Churn is the sum of all changes of the logarithm over the net change (at least `DEAD_BAND`); 0
    for two changes, since a rise that is taken back is none.

    Examples
    --------
    From 1 % to 2 % and back, twice: three changes of direction, and 4 ln 2 / 0.02.

    >>> def change(at, before, after):
    ...     return Change("X", "rate", before, after, at, at)
    >>> hour = 3_600_000_000_000
    >>> rates = [0.01, 0.02, 0.01, 0.02, 0.01]
    >>> pairs = zip(rates[:-1], rates[1:])
    >>> signs, swing = oscillation([change(i * hour, *pair) for i, pair in enumerate(pairs)])
    >>> signs, round(swing, 1)
    (3, 138.6)
    """
    steps = [
        (change.effective_ns, math.log(change.after / change.before))
        for change in changes
        if change.before > 0.0 and change.after > 0.0
    ]
    large = [(at, step) for at, step in steps if abs(step) >= DEAD_BAND]
    turns = [
        after[0] for before, after in itertools.pairwise(large)
        if before[1] * after[1] < 0.0
    ]  # fmt: skip
    most = max((sum(at - DAY_NS < other <= at for other in turns) for at in turns), default=0)
    total = float(np.sum([abs(step) for _, step in steps])) if steps else 0.0
    net = abs(math.fsum(step for _, step in steps))
    return most, total / max(net, DEAD_BAND) if len(steps) > 2 else 0.0


def _numbers(margin: Margin) -> dict[str, float]:
    values = {
        "initial_margin_rate": margin.initial_margin_rate,
        "maintenance_margin_rate": margin.maintenance_margin_rate,
        "max_leverage": margin.max_leverage,
        "mark_window_seconds": None
        if margin.mark_window_ns is None
        else margin.mark_window_ns / 1e9,
    }
    for number, tier in enumerate(margin.tiers or (), start=1):
        values[f"tier {number} maintenance_rate"] = tier.maintenance_rate
        values[f"tier {number} initial_rate"] = tier.initial_rate
        values[f"tier {number} up_to_notional"] = tier.up_to_notional
    return {name: value for name, value in values.items() if value is not None}
