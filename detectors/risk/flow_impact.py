"""Impact from ordinary flow, with a factor that is learned from own forced flow."""

import math

import numpy as np

from detectors.risk.impact import Impact
from detectors.risk.log_normal import LogNormal, learned
from detectors.table import Floats

FACTOR_PRIOR = LogNormal(math.log(1.5), 0.3, 4.0)
"""Realised over predicted move of forced flow, before a venue's own: forced flow meets fewer
buyers than ordinary flow. Measured on the simulated exchange; worth four events."""


def flow_slope(returns: Floats, flow: Floats) -> float:
    """Return the move per unit of signed aggressor notional, sum(F R) / sum(F^2).

    Parameters
    ----------
    returns
        Returns of the log mid price in short intervals.
    flow
        Notional of aggressor buys less that of sells in the same intervals, in the quote currency.

    Returns
    -------
    Per unit of the quote currency; at least 0. NaN without flow.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    (10 x 0.001 + 20 x 0.003) / (100 + 400):

    >>> round(flow_slope(np.array([0.001, -0.003]), np.array([10.0, -20.0])), 9)
    0.00014

    References
    ----------
    [^1]: [Cont, R., Kukanov, A. and Stoikov, S., 2014. The Price Impact of Order Book Events.
    Journal of Financial Econometrics, 12(1), pp.47-88, the linear model.]
    (https://doi.org/10.1093/jjfinec/nbt003) They regress on the imbalance of all order book events;
    trades alone are noisier, and forced flow consists of trades.
    """
    if len(returns) != len(flow):
        raise ValueError(f"{len(returns)} returns, {len(flow)} flows: each interval needs both")
    squares = float(flow @ flow)
    return max(0.0, float(flow @ returns) / squares) if squares > 0.0 else math.nan


def flow_impact(slope: float, factor: float = 1.0, surviving_ratio: float = 1.0) -> Impact:
    """Return the impact that ordinary flow predicts, V slope factor / surviving depth.

    Parameters
    ----------
    slope
        From `flow_slope`.
    factor
        Realised over predicted move of forced flow; see `factor_learned`.
    surviving_ratio
        The share of depth that is still there under stress, above 0.

    Raises
    ------
    ValueError
        If the slope is negative or not finite, or a ratio is not above 0.

    Examples
    --------
    >>> from detectors.risk.impact import moved_by
    >>> moved_by(flow_impact(1e-6, 1.5, 0.5), np.array([1000.0])).round(9).tolist()
    [0.003]
    """
    if not (math.isfinite(slope) and slope >= 0.0):
        raise ValueError(f"slope is {slope}: it must be finite and at least 0")
    if not (factor > 0.0 and surviving_ratio > 0.0):
        raise ValueError(
            f"factor is {factor}, surviving_ratio is {surviving_ratio}: both must be above 0"
        )
    nothing = np.zeros(1)
    return Impact(nothing, nothing, slope * factor / surviving_ratio)


def factor_learned(factor: LogNormal, predicted_move: float, realised_move: float) -> LogNormal:
    """Return the factor after one more episode of own forced flow.

    An episode whose price did not fall, or for which none was predicted, teaches nothing about a
    ratio: the factor stays as it is.

    >>> factor = factor_learned(FACTOR_PRIOR, predicted_move=0.01, realised_move=0.015)
    >>> round(factor.median, 6), factor.events
    (1.5, 5.0)
    """
    if not (predicted_move > 0.0 and realised_move > 0.0):
        return factor
    return learned(factor, realised_move / predicted_move)
