"""The positions that are below maintenance at one price and not at another."""

from typing import NamedTuple

import numpy as np

from detectors.risk.ladder import Ladder, Side, against


class Between(NamedTuple):
    """Positions of one side.

    Attributes
    ----------
    side
        The side.
    notional
        At the mark price, in the quote currency.
    accounts
        Their number.
    """

    side: Side
    notional: float
    accounts: int


def between(ladder: Ladder, safe: float, beyond: float) -> Between:
    """Return the positions of a side that ``beyond`` liquidates and ``safe`` does not.

    Parameters
    ----------
    ladder
        The positions of the side.
    safe, beyond
        Prices in the quote currency, above 0. Nothing is between them if ``beyond`` is on the
        better side of ``safe``.

    Examples
    --------
    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.ladder import ladder_of
    >>> from detectors.risk.tiers import tiers_of
    >>> longs = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([7, 8, 9]),
    ...     np.array([2.0, 1.0, 5.0]), np.array([95.0, 99.0, 90.0]), np.array([94.0, 98.0, 89.0])
    ... )
    >>> between(longs, safe=99.5, beyond=94.0)
    Between(side='long', notional=300.0, accounts=2)
    >>> between(longs, safe=94.0, beyond=99.5).accounts
    0
    """
    sign = against(ladder.side)
    moves = (sign * (1.0 - safe / ladder.mark), sign * (1.0 - beyond / ladder.mark))
    first, last = np.searchsorted(ladder.move, moves, side="right").tolist()
    if last <= first:
        return Between(ladder.side, 0.0, 0)
    return Between(ladder.side, float(ladder.notional[first:last].sum()), last - first)
