"""The mark price recomputed from the book and the index, and which rule fits it best."""

import math
from typing import Literal, NamedTuple

import numpy as np

from detectors.audit.references import References
from detectors.risk.mark_path import exponential, window_mean
from detectors.risk.marks import MarkRule
from detectors.table import Floats

WINDOWS_SECONDS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 150.0, 300.0)
"""The windows among which the best fit is sought."""

METHODS: tuple[Literal["ema_premium", "ema_price", "sma", "last"], ...] = (
    "ema_premium",
    "ema_price",
    "sma",
    "last",
)

SETTLING_WINDOWS = 3.0
"""After so many windows the start of an average no longer matters: e^-3 is 5 % of it."""


class Fit(NamedTuple):
    """A rule, and the root mean square of its error in bps."""

    rule: MarkRule
    error_bps: float


def recomputed(references: References, rule: MarkRule, clamp: float) -> Floats:
    """Return the mark price that a rule gives at each reference; NaN where it is unknown.

    The average of the premium starts from the published one, and then runs free. Between two
    references the mid price counts by time, the index as the mean of both.

    Examples
    --------
    A book that stands 1 % above the index from the second reference on, and an average premium over
    1 s that starts at 0: 1 - e^-1 = 63 % of it is reached after a second.

    >>> references = References()
    >>> for second, mid in enumerate([100.0, 101.0]):
    ...     references.ts_event.append(second * 1_000_000_000)
    ...     for name in ("mark", "index", "last"):
    ...         getattr(references, name).append(100.0)
    ...     references.mid_mean.append(mid)
    ...     references.mid.append(mid)
    >>> recomputed(references, MarkRule("ema_premium", 1.0), 0.05).round(4).tolist()
    [100.0, 100.6321]
    """
    return _along(references, rule, clamp, "mid_mean")


def bounds(references: References, rule: MarkRule, clamp: float) -> tuple[Floats, Floats]:
    """Return the lowest and the highest mark price that a rule may give at each reference.

    A venue samples the mid price and its index at times that are not published. Each sample was
    between the lowest and the highest mid price since the reference before, and the index between
    both of its prices.
    """
    return (
        _along(references, rule, clamp, "mid_low"),
        _along(references, rule, clamp, "mid_high"),
    )


def _along(references: References, rule: MarkRule, clamp: float, column: str) -> Floats:
    """Return the mark price that a rule gives if the mid price is a column of the references."""
    times = references.times() / 1e9
    index, mid = references.column("index"), references.column(column)
    mark = references.column("mark")
    if not len(times):
        return mark
    if rule.kind == "last":
        return references.column("last")
    if rule.kind == "sma":
        return window_mean(times, mid, rule.seconds)
    if rule.kind == "ema_price":
        return exponential(times, mid, rule.seconds, mark[0])
    before = np.concatenate([index[:1], index[:-1]])
    if column == "mid_mean":
        between = (index + before) / 2.0
    else:  # a low mid price over a high index, and the reverse
        between = np.maximum(index, before) if column == "mid_low" else np.minimum(index, before)
    premium = exponential(times, mid / between - 1.0, rule.seconds, mark[0] / index[0] - 1.0)
    price: Floats = index * (1.0 + np.clip(premium, -clamp, clamp))
    return price


def error_bps(published: Floats, expected: Floats) -> float:
    """Return the root mean square of the relative difference in bps; infinite if none is known."""
    with np.errstate(invalid="ignore"):
        difference = expected / published - 1.0
    known = difference[np.isfinite(difference)]
    if not len(known):
        return math.inf
    return float(np.sqrt(np.mean(known**2))) * 1e4


def best_fit(
    references: References, clamp: float, first: int = 0, last: int | None = None
) -> list[Fit]:
    """Return all rules with their errors over a range of references, the best first."""
    published = references.column("mark")[first:last]
    fits = []
    for kind in METHODS:
        for seconds in (0.0,) if kind == "last" else WINDOWS_SECONDS:
            rule = MarkRule(kind, seconds)
            expected = recomputed(references, rule, clamp)[first:last]
            fits.append(Fit(rule, error_bps(published, expected)))
    return sorted(fits, key=lambda fit: fit.error_bps)
