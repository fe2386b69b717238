"""Whether a position was below maintenance when the venue closed a part of it."""

import math
from typing import Literal, NamedTuple

import numpy as np

from detectors.audit.references import Interval
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Slice, equity_at
from detectors.risk.tiers import maintenance

Health = Literal["below", "borderline", "above", "unknown"]
"""``above``: at every mark within the tolerance. ``borderline``: at every mark between the
neighbouring references, but not at every one that a path between them may have reached."""

TOLERANCE = (
    "all marks between the neighbouring references, and as far beyond as a path between them goes "
    "with a probability of 1e-6; the mark of the liquidation record where it has one"
)


class Judged(NamedTuple):
    """The health of a slice, and the slack in the quote currency that decides it.

    ``slack`` is equity less the required margin at the least favourable of the marks: at least 0
    for ``above``. NaN if unknown.
    """

    health: Health
    slack: float


def price_at(evidence: Evidence, part: Slice, basis: str = "mark") -> Interval | None:
    """Return the prices of a basis that may have decided a slice; None if they are unknown."""
    if basis in ("last", "mid"):
        price = part.last_price if basis == "last" else part.mid
    else:
        price = part.mark_price if basis == "mark" else part.index_price
        if math.isnan(price):
            return evidence.symbols[part.symbol].references.around(basis, part.ts_event)
    return None if math.isnan(price) else Interval(price, price, price, price)


def slack(part: Slice, mark: float, buffer: float = 1.0) -> float:
    """Return equity less ``buffer`` times the maintenance margin at a mark; NaN if unknown."""
    is_account = math.isnan(part.margin)
    if part.tiers is None or (is_account and not math.isnan(part.maintenance)):
        return equity_at(part, mark) - buffer * part.maintenance
    notional = np.array([abs(part.quantity) * mark])
    return equity_at(part, mark) - buffer * float(maintenance(part.tiers, notional)[0])


def health(part: Slice, interval: Interval | None, buffer: float = 1.0) -> Judged:
    """Return the health of a position just before a slice.

    Examples
    --------
    2 bought at 100 with a margin of 20 and 1 % maintenance: below at 90.9 and lower. At marks from
    91 to 92 it is above; if a path may have reached 90, it is borderline.

    >>> from detectors.risk.tiers import tiers_of
    >>> part = Slice(0, "X", "a", "1", selling=True, quantity=2.0, entry_price=100.0, margin=20.0)
    >>> part.tiers = tiers_of([0.01])
    >>> health(part, Interval(91.0, 91.0, 92.0, 92.0)).health
    'above'
    >>> health(part, Interval(90.0, 91.0, 92.0, 93.0)).health
    'borderline'
    >>> health(part, Interval(89.0, 90.0, 92.0, 93.0)).health
    'below'
    """
    if interval is None or math.isnan(part.quantity):
        return Judged("unknown", math.nan)
    is_long = part.quantity > 0.0
    widest = slack(part, interval.low if is_long else interval.high, buffer)
    near = slack(part, interval.near_low if is_long else interval.near_high, buffer)
    if math.isnan(widest):
        return Judged("unknown", math.nan)
    if widest >= 0.0:
        return Judged("above", widest)
    return Judged("borderline" if near >= 0.0 else "below", near)
