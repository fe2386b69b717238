"""How uncertain runs are: the same run with impacts drawn from what is known of them.

The draws are a function of their seed. The same seed and inputs give the same quantiles.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.arrays import Floats
from detectors.risk.forced import Forced, forced_at
from detectors.risk.impact import flow_impact
from detectors.risk.log_normal import LogNormal
from detectors.risk.outcome import just_above
from detectors.risk.runs import (
    LEAST_RISE_RATIO,
    distance,
    reproduction_number,
    run_ends,
    runs_of,
)

DRAWS = 200

BLOCK = 6
"""Length of the bootstrap's blocks in intervals: a minute of ten-second returns."""

OPEN_INTEREST_SHARES = (0.02, 0.1, 0.4)
"""The runs whose distance is published, by the share of open interest that they force."""


class Quantiles(NamedTuple):
    """The 10, 50 and 90 % quantiles of a drawn number."""

    p10: float
    p50: float
    p90: float


def quantiles(drawn: Floats) -> Quantiles:
    """Return the 10, 50 and 90 % quantiles: the least value that so many draws do not exceed.

    Nothing is interpolated, so a value may be infinite.

    Raises
    ------
    ValueError
        If there are no draws.

    Examples
    --------
    >>> quantiles(np.array([3.0, 1.0, 2.0, math.inf]))
    Quantiles(p10=1.0, p50=2.0, p90=inf)
    """
    if not len(drawn):
        raise ValueError("there are no draws: at least one is needed")
    ordered = np.sort(drawn)
    at = [math.ceil(share * len(ordered)) - 1 for share in (0.1, 0.5, 0.9)]
    return Quantiles(*(float(ordered[place]) for place in at))


def slope_draws(
    returns: Floats, flow: Floats, seed: int, draws: int = DRAWS, block: int = BLOCK
) -> Floats:
    """Return the flow slope of resampled intervals, by a circular block bootstrap.

    Blocks of neighbouring intervals are drawn with replacement until there are as many intervals as
    before. Blocks keep the dependence of neighbours.

    Parameters
    ----------
    returns, flow
        As for `impact.flow_slope`.
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


class Drawn(NamedTuple):
    """Runs with drawn impacts; each array has a value for each draw.

    Attributes
    ----------
    distance
        For each share of open interest: the least shock whose run forces it, as a ratio.
    notional
        For each share: what the run just above that shock forces, in the quote currency; NaN where
        the distance is infinite.
    reproduction
        The reproduction number of the stated seed at the present mark price.
    """

    distance: dict[float, Floats]
    notional: dict[float, Floats]
    reproduction: Floats


def drawn_runs(
    forced: Forced,
    slopes: Floats,
    open_interest: float,
    seed_notional: float,
    *,
    passed_ratio: float = 1.0,
    shares: Sequence[float] = OPEN_INTEREST_SHARES,
    least_rise_ratio: float = LEAST_RISE_RATIO,
) -> Drawn:
    """Return the runs for each drawn impact.

    Parameters
    ----------
    forced
        Forced notional by move.
    slopes
        Move per unit of forced notional for each draw, from `impact_draws`.
    open_interest
        Of the symbol, in the quote currency.
    seed_notional
        The seed of the reproduction number, in the quote currency.
    passed_ratio, least_rise_ratio
        As for `runs.runs_of` and `runs.distance`.
    shares
        Shares of the open interest.

    Raises
    ------
    ValueError
        If ``open_interest``, ``seed_notional`` or a share is not above 0.

    Examples
    --------
    Positions of 100 at 1 and 2 % of an open interest of 1,000; a sale of 100 moves the price by
    0.6 % in one draw, by 0.8 % in the other. 20 % need both: 2 % less one sale.

    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> drawn = drawn_runs(forced, np.array([6e-5, 8e-5]), 1000.0, 200.0, shares=(0.2,))
    >>> drawn.distance[0.2].round(6).tolist(), drawn.notional[0.2].tolist()
    ([0.014, 0.012], [200.0, 200.0])
    >>> drawn.reproduction.tolist()
    [0.5, 0.5]
    """
    if not open_interest > 0.0:
        raise ValueError(f"open_interest is {open_interest}: it must be above 0")
    distances = {share: np.empty(len(slopes)) for share in shares}
    notional = {share: np.full(len(slopes), math.nan) for share in shares}
    reproduction = np.empty(len(slopes))
    for draw, slope in enumerate(slopes.tolist()):
        runs = runs_of(forced, flow_impact(slope), passed_ratio)
        reproduction[draw] = reproduction_number(runs, seed_notional)
        for share in shares:
            least = distance(runs, share * open_interest, least_rise_ratio)
            distances[share][draw] = least
            if math.isfinite(least):
                end = run_ends(runs, np.array([just_above(least)]))
                notional[share][draw] = forced_at(forced, end)[0]
    return Drawn(distances, notional, reproduction)


def probability(drawn: Floats, *, at_most: float = math.inf, at_least: float = -math.inf) -> float:
    """Return the share of draws within the two bounds; NaN draws are outside.

    Raises
    ------
    ValueError
        If there are no draws.

    Examples
    --------
    >>> probability(np.array([0.5, 1.0, 2.0, math.inf]), at_least=1.0)
    0.75
    """
    if not len(drawn):
        raise ValueError("there are no draws: at least one is needed")
    return float(np.mean((drawn >= at_least) & (drawn <= at_most)))
