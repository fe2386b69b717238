"""The band: the price range in which a cluster of positions is liquidated."""

from typing import NamedTuple

import numpy as np

from detectors.risk.forced import forced_of, move_of
from detectors.risk.ladder import Ladder, against, part
from detectors.risk.marks import MarkRule, seconds_until
from detectors.risk.reduction import Reduction

WINDOW_RATIO = 0.001
"""A band begins where a move of so much liquidates ``DENSE_RATIO`` of the open interest."""

DENSE_RATIO = 0.01

GAP_RATIO = 0.0025
"""Positions whose liquidation moves differ by no more than this belong to one cluster."""

FULL_RATIO = 0.9
"""A band ends where so much of its cluster's notional is closed."""


class Band(NamedTuple):
    """A cluster of liquidation prices.

    Attributes
    ----------
    first_move, full_move
        The moves at which the band begins and at which 90 % of the cluster is closed.
    first_price, full_price
        The mark prices at these moves.
    mean_price
        The mean liquidation price of the cluster, weighted by notional.
    notional
        Of the cluster at the mark price, in the quote currency.
    accounts
        Of the cluster.
    """

    first_move: float
    full_move: float
    first_price: float
    full_price: float
    mean_price: float
    notional: float
    accounts: int


def nearest_band(ladder: Ladder, rule: Reduction, open_interest: float) -> Band | None:
    """Return the nearest band of a ladder, or None if no cluster is dense enough.

    Parameters
    ----------
    ladder, rule
        The positions, and how the venue closes them.
    open_interest
        Of the symbol, in the quote currency.

    Raises
    ------
    ValueError
        If ``open_interest`` is not above 0.

    Examples
    --------
    Open interest 1,000; single positions of 5, 10, 10 and 50 at 0.5, 2.0, 2.1 and 4.0 %. The first
    is too small. 2 % begins the band; the position at 4.0 % is another cluster.

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.ladder import ladder_of
    >>> from detectors.risk.tiers import tiers_of
    >>> prices = np.array([99.5, 98.0, 97.9, 96.0])
    >>> ladder = ladder_of(Contract(tiers_of([0.01])), "long", 100.0, np.arange(4),
    ...     np.array([0.05, 0.1, 0.1, 0.5]), prices, prices - 1.0)
    >>> band = nearest_band(ladder, Reduction(), open_interest=1000.0)
    >>> round(band.first_price, 6), round(band.full_price, 6), band.notional, band.accounts
    (98.0, 97.9, 20.0, 2)
    """
    if not open_interest > 0.0:
        raise ValueError(f"open_interest is {open_interest}: it must be above 0")
    move, notional = ladder.move, ladder.notional
    summed = np.concatenate(([0.0], np.cumsum(notional)))
    within = np.searchsorted(move, move + WINDOW_RATIO, side="right")
    dense = np.flatnonzero(summed[within] - summed[:-1] >= DENSE_RATIO * open_interest)
    if not len(dense):
        return None
    first = int(dense[0])
    breaks = np.flatnonzero(np.diff(move) > GAP_RATIO) + 1
    place = int(np.searchsorted(breaks, first, side="right"))
    begin = int(breaks[place - 1]) if place else 0
    end = int(breaks[place]) if place < len(breaks) else len(move)
    rows = slice(begin, end)
    total = float(notional[rows].sum())
    # A rounding error less: the steps of a venue may add up to exactly this share.
    full = move_of(forced_of(part(ladder, rows), rule), FULL_RATIO * total * (1.0 - 1e-12))
    sign = against(ladder.side)
    return Band(
        float(move[first]),
        full,
        ladder.mark * (1.0 - sign * float(move[first])),
        ladder.mark * (1.0 - sign * full),
        float(np.average(ladder.price[rows], weights=notional[rows])),
        total,
        end - begin,
    )


def band_seconds(
    band: Band, mark_rule: MarkRule, dislocation: float, steps: int = 1, step_seconds: float = 0.0
) -> tuple[float, float]:
    """Return when a dislocation of the book begins and completes the liquidation of a band.

    Parameters
    ----------
    band
        The band.
    mark_rule
        How the mark price follows.
    dislocation
        Of the book against an unmoved index, as a ratio.
    steps, step_seconds
        The venue closes a position in so many steps, with so much time between two.

    Returns
    -------
    Seconds after the dislocation; infinity for what it does not reach.

    Examples
    --------
    A band from 1 to 1.5 %, a dislocation of 2 %, tau = 30 s, and 5 steps 0.4 s apart: 30 ln 2 and
    30 ln 4 + 1.6.

    >>> band = Band(0.01, 0.015, 99.0, 98.5, 98.8, 100.0, 3)
    >>> first, full = band_seconds(band, MarkRule("ema_premium", 30.0), 0.02, 5, 0.4)
    >>> round(first, 2), round(full, 2)
    (20.79, 43.19)
    """
    first = seconds_until(mark_rule, dislocation, band.first_move)
    full = seconds_until(mark_rule, dislocation, band.full_move)
    return first, full + (steps - 1) * step_seconds
