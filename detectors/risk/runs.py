"""Runs: a shock liquidates positions, their sale moves the price, which liquidates more.

From a shock x0 the mark price goes on to the least x with

    x = x0 + pi I(N(x))

where N is the forced notional, I the impact and pi the share of the impact that the mark price
shows by the next slice. Both N and I never fall, so iterating from x0 upwards finds the least such
x. It can be read off instead: with g(x) = x - pi I(N(x)), a run from x0 stops at the first x with
g(x) >= x0. Between knots g is linear, so a running maximum of g over the knots answers for every
shock at once.
"""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.forced import Forced, move_of
from detectors.risk.impact import Impact, moved_by, notional_for
from detectors.table import Floats

LEAST_RISE_RATIO = 0.005
"""A run counts only if liquidations themselves move the price by so much. Without a size the
nearest large position always is a run of its own."""


class Runs(NamedTuple):
    """Where a run from any shock ends; made by `runs_of`.

    The pieces on which g is linear; the first begins at -infinity.

    Attributes
    ----------
    forced, impact, passed_ratio
        What the runs were made of.
    begin, notional, slope
        Where each piece begins, the forced notional there, and its slope.
    level, steepness
        g at the beginning of each piece, and its slope.
    barrier
        The highest g up to the end of each piece: the least shock that gets past it.
    """

    forced: Forced
    impact: Impact
    passed_ratio: float
    begin: Floats
    notional: Floats
    slope: Floats
    level: Floats
    steepness: Floats
    barrier: Floats


def runs_of(forced: Forced, impact: Impact, passed_ratio: float = 1.0) -> Runs:
    """Return where runs end.

    Parameters
    ----------
    forced
        Forced notional by move, in the quote currency.
    impact
        Move by notional.
    passed_ratio
        The share of the impact that the mark price shows by the next slice, pi, from 0 to 1; see
        `marks.passed_through`.

    Raises
    ------
    ValueError
        If ``passed_ratio`` is not from 0 to 1.

    References
    ----------
    [^1]: [Cont, R. and Schaanning, E., 2017. Fire sales, indirect contagion and systemic stress
    testing. Norges Bank Working Paper 2/2017.](https://doi.org/10.2139/ssrn.2541114) The loop of
    losses, forced sales and price impact.
    [^2]: [Tarski, A., 1955. A lattice-theoretical fixpoint theorem and its applications. Pacific
    Journal of Mathematics, 5(2), pp.285-309.](https://doi.org/10.2140/pjm.1955.5.285) The least
    fixed point of what never falls.
    """
    if not 0.0 <= passed_ratio <= 1.0:
        raise ValueError(f"passed_ratio is {passed_ratio}: it must be from 0 to 1")
    bent = _with_knots_of(forced, impact)
    begin = np.concatenate(([-np.inf], bent.move))
    notional = np.concatenate(([0.0], bent.notional))
    slope = np.concatenate(([0.0], bent.slope))
    length = np.diff(bent.move)
    reached = np.concatenate(([0.0], bent.notional[:-1] + bent.slope[:-1] * length))
    before = passed_ratio * moved_by(impact, notional) if passed_ratio else np.zeros_like(notional)
    after = passed_ratio * moved_by(impact, reached) if passed_ratio else np.zeros_like(reached)
    end = np.full_like(begin, np.inf)  # the last piece ends nowhere
    steepness = np.ones_like(begin)
    if len(bent.move):
        end[:-1] = bent.move - after
        rises = np.flatnonzero(slope[1:-1] > 0.0) + 1
        with np.errstate(invalid="ignore"):  # beyond the end of a book
            rise = (after[rises] - before[rises]) / length[rises - 1]
        steepness[rises] = 1.0 - rise
    return Runs(
        forced, impact, passed_ratio, begin, notional, slope, begin - before, steepness,
        np.maximum.accumulate(end),
    )  # fmt: skip


def _with_knots_of(forced: Forced, impact: Impact) -> Forced:
    """Return the same function with a knot wherever the impact has one."""
    wanted = impact.notional[impact.notional > 0.0]
    if not len(forced.move) or not len(wanted):
        return forced
    at = np.searchsorted(forced.notional, wanted, side="right") - 1
    wanted, at = wanted[at >= 0], at[at >= 0]
    wanted, at = wanted[forced.slope[at] > 0.0], at[forced.slope[at] > 0.0]
    move = forced.move[at] + (wanted - forced.notional[at]) / forced.slope[at]
    inside = move < forced.move[np.minimum(at + 1, len(forced.move) - 1)]
    at, move, wanted = at[inside] + 1, move[inside], wanted[inside]
    return Forced(
        np.insert(forced.move, at, move),
        np.insert(forced.notional, at, wanted),
        np.insert(forced.slope, at, forced.slope[at - 1]),
    )


def run_ends(runs: Runs, shocks: Floats) -> Floats:
    """Return the move at which the run from each shock ends, the shock included.

    Infinity says that the impact has no bound there, as beyond the end of a quoted book.

    Examples
    --------
    Positions of 100 liquidated at 1 and at 2 %; a sale of 100 moves the price by 0.6 %. From a
    shock of 0.9 % nothing happens. From 1.2 % the first goes, to 1.8 %; from 1.4 % that is 2 %, and
    the second goes as well: 1.4 + 1.2.

    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> nothing = np.zeros(1)
    >>> runs = runs_of(forced, Impact(nothing, nothing, 0.006 / 100.0))
    >>> run_ends(runs, np.array([0.009, 0.012, 0.0141])).round(4).tolist()
    [0.009, 0.018, 0.0261]
    """
    piece = np.searchsorted(runs.barrier, shocks, side="right")
    begin, level = runs.begin[piece], runs.level[piece]
    with np.errstate(invalid="ignore"):  # the first piece begins at -infinity
        along = begin + (shocks - level) / runs.steepness[piece]
    return np.where(piece == 0, shocks, np.maximum(along, begin))


def distance(runs: Runs, notional: float, least_rise_ratio: float = LEAST_RISE_RATIO) -> float:
    """Return the least shock whose run forces a notional and moves the price by itself.

    Both what a run forces and how far it goes beyond its shock never fall with the shock. The
    second condition is therefore one on notional as well, and the distance is the highest g before
    the move that forces it.

    Parameters
    ----------
    runs
        From `runs_of`.
    notional
        What the run has to force, in the quote currency: a share of the open interest.
    least_rise_ratio
        The run has to go at least so much beyond its shock.

    Returns
    -------
    As a ratio, at least 0; infinity if no shock does it. Any larger shock does it; the shock itself
    may be the last that does not.

    Raises
    ------
    ValueError
        If ``notional`` is not above 0.

    Examples
    --------
    The positions of `run_ends`: 100 go at 1 %, and both once the second is 0.6 % away.

    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> nothing = np.zeros(1)
    >>> runs = runs_of(forced, Impact(nothing, nothing, 0.006 / 100.0))
    >>> round(distance(runs, 100.0), 4), round(distance(runs, 150.0), 4), distance(runs, 201.0)
    (0.01, 0.014, inf)
    """
    if not notional > 0.0:
        raise ValueError(f"notional is {notional}: it must be above 0")
    if runs.passed_ratio == 0.0:
        return math.inf if least_rise_ratio > 0.0 else max(0.0, move_of(runs.forced, notional))
    rising = notional_for(runs.impact, least_rise_ratio / runs.passed_ratio)
    move = move_of(runs.forced, max(notional, rising))
    if math.isinf(move):
        return math.inf
    piece = int(np.searchsorted(runs.begin, move)) - 1
    reached = runs.notional[piece]
    if piece:
        reached += runs.slope[piece] * (move - runs.begin[piece])
    own = move - runs.passed_ratio * float(moved_by(runs.impact, np.array([reached]))[0])
    before = float(runs.barrier[piece - 1]) if piece else -math.inf
    return max(0.0, before, own)
