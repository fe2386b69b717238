"""Maintenance tiers: the margin that a venue requires to keep a position of a given notional."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from detectors.table import Floats


class Tiers(NamedTuple):
    """The maintenance tiers of one contract; made by `tiers_of`.

    Attributes
    ----------
    floors
        The lowest notional of each tier, in the settlement currency; the first is 0.
    rates
        The maintenance rate of each tier, as a ratio to notional, at least that of the tier before.
    deductions
        What makes the requirement continuous at each floor, in the settlement currency.
    """

    floors: tuple[float, ...]
    rates: tuple[float, ...]
    deductions: tuple[float, ...]


def tiers_of(rates: Sequence[float], floors: Sequence[float] = (0.0,)) -> Tiers:
    """Return the tiers with these maintenance rates from these notionals on.

    Raises
    ------
    ValueError
        If the lengths differ, the first floor is not 0, the floors do not rise, a rate is not in
        (0, 1), or a rate is lower than that of the tier below it.

    Examples
    --------
    1 % up to 1,000; 2 % of what is above it. The second tier is 2 % of all less 10:

    >>> tiers_of([0.01, 0.02], [0.0, 1000.0])
    Tiers(floors=(0.0, 1000.0), rates=(0.01, 0.02), deductions=(0.0, 10.0))

    References
    ----------
    [^1]: [Binance, 2024. Leverage and Margin of USDⓈ-M Futures: "maintenance amount".]
    (https://www.binance.com/en/support/faq/360033162192)
    """
    if not rates or len(rates) != len(floors):
        raise ValueError(f"{len(rates)} rates, {len(floors)} floors: each tier needs both")
    if floors[0] != 0.0 or any(not low < high for low, high in pairwise(floors)):
        raise ValueError(f"floors are {list(floors)}: they must rise from 0")
    if any(not 0.0 < rate < 1.0 for rate in rates):
        raise ValueError(f"rates are {list(rates)}: each must be above 0 and below 1")
    if any(low > high for low, high in pairwise(rates)):
        raise ValueError(f"rates are {list(rates)}: a higher tier cannot require a lower rate")
    deductions = [0.0]
    for floor, (below, above) in zip(floors[1:], pairwise(rates), strict=True):
        deductions.append(deductions[-1] + floor * (above - below))
    return Tiers(tuple(floors), tuple(rates), tuple(deductions))


def maintenance(tiers: Tiers, notional: Floats) -> Floats:
    """Return the maintenance margin of each notional, in the settlement currency.

    The requirement is convex in the notional, so it is the largest of its tiers' lines:
    max over i of rate_i notional - deduction_i.

    >>> maintenance(tiers_of([0.01, 0.02], [0.0, 1000.0]), np.array([500.0, 3000.0])).tolist()
    [5.0, 50.0]
    """
    required = np.zeros_like(notional)
    for rate, deduction in zip(tiers.rates, tiers.deductions, strict=True):
        np.maximum(required, rate * notional - deduction, out=required)
    return required


def marginal_rates(tiers: Tiers, notional: Floats) -> Floats:
    """Return the maintenance margin that a little more of each notional requires, as a ratio.

    >>> marginal_rates(tiers_of([0.01, 0.02], [0.0, 1000.0]), np.array([500.0, 3000.0])).tolist()
    [0.01, 0.02]
    """
    tier = np.searchsorted(np.array(tiers.floors), notional, side="right") - 1
    return np.array(tiers.rates)[np.maximum(tier, 0)]
