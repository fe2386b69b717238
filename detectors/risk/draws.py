"""Impacts drawn from what is known of flow, of the factor of forced flow, and of depth.

The draws are a function of their seed. The same seed and inputs give the same draws.
"""

import numpy as np

from detectors.risk.log_normal import LogNormal
from detectors.table import Floats

DRAWS = 200

BLOCK = 6
"""Length of the bootstrap's blocks in intervals: a minute of ten-second returns."""


def slope_draws(
    returns: Floats, flow: Floats, seed: int, draws: int = DRAWS, block: int = BLOCK
) -> Floats:
    """Return the flow slope of resampled intervals, by a circular block bootstrap.

    Blocks of neighbouring intervals are drawn with replacement until there are as many intervals as
    before. Blocks keep the dependence of neighbours.

    Parameters
    ----------
    returns, flow
        As for `flow_impact.flow_slope`.
    seed
        Of the draws.
    draws
        How many slopes.
    block
        Intervals in a block.

    Returns
    -------
    Slopes, at least 0; 0 for a draw without flow.

    Raises
    ------
    ValueError
        If the lengths differ or are 0, or ``draws`` or ``block`` is below 1.

    Examples
    --------
    Without noise every sample has the same slope:

    >>> flow = np.array([10.0, -20.0, 30.0, 5.0])
    >>> slope_draws(1e-6 * flow, flow, seed=1, draws=3, block=2).round(12).tolist()
    [1e-06, 1e-06, 1e-06]

    References
    ----------
    [^1]: [Politis, D. N. and Romano, J. P., 1992. A circular block-resampling procedure for
    stationary data. In: Exploring the Limits of Bootstrap, pp.263-270.]
    """
    count = len(returns)
    if count != len(flow) or not count:
        raise ValueError(f"{count} returns, {len(flow)} flows: each interval needs both")
    if draws < 1 or block < 1:
        raise ValueError(f"draws is {draws}, block is {block}: both must be at least 1")
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, count, (draws, -(-count // block)))
    chosen = (starts[:, :, np.newaxis] + np.arange(block)) % count
    rows = chosen.reshape(draws, -1)[:, :count]
    products, squares = flow * returns, flow * flow
    total = squares[rows].sum(axis=1)
    with np.errstate(invalid="ignore"):
        slopes = products[rows].sum(axis=1) / total
    return np.where(total > 0.0, np.maximum(slopes, 0.0), 0.0)


def impact_draws(slopes: Floats, factor: LogNormal, withdrawal: LogNormal, seed: int) -> Floats:
    """Return the move per unit of forced notional, b c W, for each drawn slope b.

    c is the factor of forced flow, W the withdrawal factor of depth, both drawn independently as
    the next event's. A withdrawal factor below 1 would be depth that grows: it is 1 then.

    >>> import math
    >>> certain = LogNormal(0.0, 0.0, 1.0)
    >>> doubled = LogNormal(math.log(2.0), 0.0, 1.0)
    >>> impact_draws(np.array([1e-6, 2e-6]), doubled, certain, seed=1).round(12).tolist()
    [2e-06, 4e-06]
    """
    generator = np.random.default_rng(seed)
    normal = generator.standard_normal((2, len(slopes)))
    factors = np.exp(factor.mean + factor.deviation * normal[0])
    withdrawals = np.exp(withdrawal.mean + withdrawal.deviation * normal[1])
    drawn: Floats = slopes * factors * np.maximum(withdrawals, 1.0)
    return drawn
