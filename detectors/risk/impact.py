"""What a forced sale does to the price: from flow, from the book, and by the square root.

All three are curves: the relative move by the notional that is sold within one slice of the
venue's liquidations. The estimate from flow is the primary one. Walking the quoted book is the
pessimistic end, because books refill; the square-root law is the optimistic end, because it is that
of patient sellers.
"""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.arrays import Floats
from detectors.risk.log_normal import LogNormal, learned

FACTOR_PRIOR = LogNormal(math.log(1.5), 0.3, 4.0)
"""Realised over predicted move of forced flow, before a venue's own: forced flow meets fewer
buyers than ordinary flow. Measured on the simulated exchange; worth four events."""

_ROOT_POINTS = 65

_GAP = 1e-12


class Impact(NamedTuple):
    """The move that a forced notional makes: a polygon through these points, from (0, 0).

    Attributes
    ----------
    notional
        In the quote currency, strictly rising; the first is 0.
    move
        As ratios, never falling; the first is 0.
    beyond
        Move per unit of notional after the last point; infinity if the book ends there.
    """

    notional: Floats
    move: Floats
    beyond: float


def moved_by(impact: Impact, notional: Floats) -> Floats:
    """Return the move that each notional makes.

    >>> moved_by(Impact(np.array([0.0, 10.0]), np.array([0.0, 0.01]), math.inf),
    ...     np.array([5.0, 10.0, 11.0])).tolist()
    [0.005, 0.01, inf]
    """
    over = notional - impact.notional[-1]
    inside = np.interp(notional, impact.notional, impact.move)
    # Not 0 x infinity, which is not a number.
    past = np.full_like(over, impact.beyond) if math.isinf(impact.beyond) else impact.beyond * over
    return np.where(over > 0.0, inside + past, inside)


def notional_for(impact: Impact, move: float) -> float:
    """Return the least notional that makes a move; infinity if none does.

    >>> notional_for(Impact(np.array([0.0, 10.0]), np.array([0.0, 0.01]), 0.001), 0.011)
    11.0
    """
    if move <= 0.0:
        return 0.0
    point = int(np.searchsorted(impact.move, move))
    if point < len(impact.move):
        low, high = impact.move[point - 1], impact.move[point]
        share = (move - low) / (high - low)
        start = impact.notional[point - 1]
        return float(start + share * (impact.notional[point] - start))
    if math.isinf(impact.beyond):
        return float(impact.notional[-1])
    rest = move - float(impact.move[-1])
    return float(impact.notional[-1]) + rest / impact.beyond if impact.beyond > 0.0 else math.inf


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


def book_impact(
    move: Floats, depth: Floats, surviving_ratio: float, refill: float, seconds: float
) -> Impact:
    """Return the impact of walking the quoted book: inf{u: s D(u) + rho T >= V}.

    Parameters
    ----------
    move
        Distances from the mid price as ratios, rising from 0 or above.
    depth
        Notional of all orders up to each distance on the side that is sold to, never falling.
    surviving_ratio
        The share s of the quoted depth that is still there.
    refill
        Net notional a second that arrives near the price, rho.
    seconds
        The time T that the sale takes.

    Returns
    -------
    A curve that ends with the book: what the book cannot take moves the price without bound.

    Raises
    ------
    ValueError
        If the lengths differ or are 0, a column does not rise as said, or a number is negative.

    Examples
    --------
    100 within 0.1 % and 300 within 0.5 %, half of it survives, 10 a second for 2 s: 20 are taken
    at once, 70 within 0.1 %, 170 within 0.5 %.

    >>> impact = book_impact(np.array([0.001, 0.005]), np.array([100.0, 300.0]), 0.5, 10.0, 2.0)
    >>> moved_by(impact, np.array([20.0, 70.0, 120.0, 171.0])).round(6).tolist()
    [0.0, 0.001, 0.003, inf]
    """
    if len(move) != len(depth) or not len(move):
        raise ValueError(f"{len(move)} distances, {len(depth)} depths: each distance needs a depth")
    if move[0] < 0.0 or np.any(np.diff(move) <= 0.0):
        raise ValueError("the distances must rise from 0 or above")
    if depth[0] < 0.0 or np.any(np.diff(depth) < 0.0):
        raise ValueError("the depths must be at least 0 and must not fall")
    for name, value in (("surviving_ratio", surviving_ratio), ("refill", refill),
                        ("seconds", seconds)):  # fmt: skip
        if not value >= 0.0:
            raise ValueError(f"{name} is {value}: it must be at least 0")
    notional = np.concatenate(([0.0, 0.0], surviving_ratio * depth))
    notional[1:] += refill * seconds
    # A gap in the book is a rise within next to nothing, so that the curve stays a function.
    notional += _GAP * notional[-1] * np.arange(len(notional))
    if notional[-1] == 0.0:
        return Impact(np.zeros(1), np.zeros(1), math.inf)
    return Impact(notional, np.concatenate(([0.0, 0.0], move)), math.inf)


def root_impact(
    daily_sigma: float, daily_volume: float, most_notional: float, prefactor: float = 1.0
) -> Impact:
    """Return the square-root law, Y sigma_day sqrt(V / volume_day).

    Parameters
    ----------
    daily_sigma
        Standard deviation of the daily return, as a ratio.
    daily_volume
        Notional traded a day, in the quote currency.
    most_notional
        The curve is a polygon with 64 sides up to here, and goes on straight.
    prefactor
        Y, of order 1.

    Raises
    ------
    ValueError
        If a number is not above 0.

    Examples
    --------
    4 % a day, a hundredth of the volume: 0.04 x 0.1.

    >>> moved_by(root_impact(0.04, 1e6, 1e5), np.array([1e4])).round(4).tolist()
    [0.004]

    References
    ----------
    [^1]: [Tóth, B. et al., 2011. Anomalous Price Impact and the Critical Nature of Liquidity in
    Financial Markets. Physical Review X, 1, 021006.](https://doi.org/10.1103/PhysRevX.1.021006)
    """
    for name, value in (("daily_sigma", daily_sigma), ("daily_volume", daily_volume),
                        ("most_notional", most_notional), ("prefactor", prefactor)):  # fmt: skip
        if not value > 0.0:
            raise ValueError(f"{name} is {value}: it must be above 0")
    # Points at squares lie evenly in the move.
    notional = most_notional * np.linspace(0.0, 1.0, _ROOT_POINTS) ** 2
    move = prefactor * daily_sigma * np.sqrt(notional / daily_volume)
    beyond = float((move[-1] - move[-2]) / (notional[-1] - notional[-2]))
    return Impact(notional, move, beyond)
