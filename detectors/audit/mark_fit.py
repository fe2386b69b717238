"""The mark price recomputed from the book and the index, and which rule fits it best."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from detectors.audit.references import References
from detectors.fairness.mark_paths import mark_along
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


class Candidate(NamedTuple):
    """A rule, and the mark price that it gives at each reference."""

    rule: MarkRule
    expected: Floats


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
    before = np.concatenate([index[:1], index[:-1]])
    if column == "mid_mean":
        between = (index + before) / 2.0
    else:  # a low mid price over a high index, and the reverse
        between = np.maximum(index, before) if column == "mid_low" else np.minimum(index, before)
    return mark_along(
        rule, times=times, mid=mid, last=references.column("last"), index=index, between=between,
        mark=mark, clamp=clamp,
    )  # fmt: skip


def error_bps(published: Floats, expected: Floats) -> float:
    """Return the root mean square of the relative difference in bps; infinite if none is known."""
    with np.errstate(invalid="ignore"):
        difference = expected / published - 1.0
    known = difference[np.isfinite(difference)]
    if not len(known):
        return math.inf
    return float(np.sqrt(np.mean(known**2))) * 1e4


def candidates(references: References, clamp: float) -> list[Candidate]:
    """Return what every rule among which the best fit is sought gives at each reference."""
    rules = [
        MarkRule(kind, seconds)
        for kind in METHODS
        for seconds in ((0.0,) if kind == "last" else WINDOWS_SECONDS)
    ]
    return [Candidate(rule, recomputed(references, rule, clamp)) for rule in rules]


def best_fit(
    published: Floats, rules: Sequence[Candidate], first: int = 0, last: int | None = None
) -> list[Fit]:
    """Return rules with their errors over a range of references, the best first.

    ``published`` are the mark prices of all references.
    """
    fits = [
        Fit(its.rule, error_bps(published[first:last], its.expected[first:last])) for its in rules
    ]
    return sorted(fits, key=lambda fit: fit.error_bps)
