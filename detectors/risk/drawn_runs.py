"""How uncertain runs are: the same run for each drawn impact."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.flow_impact import flow_impact
from detectors.risk.forced import Forced, forced_at
from detectors.risk.ladder import Ladder
from detectors.risk.outcome import Outcome, just_above, outcome_of
from detectors.risk.quantiles import probability
from detectors.risk.reduction import Reduction
from detectors.risk.runs import LEAST_RISE_RATIO, Runs, distance, runs_of
from detectors.table import Floats

OPEN_INTEREST_SHARES = (0.02, 0.1, 0.4)
"""The runs whose distance is published, by the share of open interest that they force."""


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
    for name, value in (("open_interest", open_interest), ("seed_notional", seed_notional)):
        if not value > 0.0:
            raise ValueError(f"{name} is {value}: it must be above 0")
    passed = passed_ratio * slopes
    barriers = _barriers(forced, passed)
    distances, notional = {}, {}
    for share in shares:
        wanted = _wanted(share * open_interest, slopes, passed_ratio, least_rise_ratio)
        distances[share] = _distances(forced, passed, barriers, wanted)
        notional[share] = _forced_just_above(forced, passed, barriers, distances[share])
    low, high = forced_at(forced, np.zeros(1)), forced_at(forced, passed * seed_notional)
    return Drawn(distances, notional, (high - low) / seed_notional)


def drawn_distances(
    forced: Forced,
    slopes: Floats,
    notional: float,
    *,
    passed_ratio: float = 1.0,
    least_rise_ratio: float = LEAST_RISE_RATIO,
) -> Floats:
    """Return the least shock whose run forces a notional, for each drawn impact.

    The arguments are those of `drawn_runs`.

    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> drawn_distances(forced, np.array([6e-5, 8e-5]), 200.0).round(6).tolist()
    [0.014, 0.012]
    """
    passed = passed_ratio * slopes
    wanted = _wanted(notional, slopes, passed_ratio, least_rise_ratio)
    knot = np.searchsorted(forced.notional, wanted)
    # No more knots than the last that is wanted: what comes later has no part in it.
    last = int(knot[knot < len(forced.move)].max(initial=-1)) + 1
    cut = Forced(forced.move[:last], forced.notional[:last], forced.slope[:last])
    return _distances(cut, passed, _barriers(cut, passed), wanted)


def near_ratio(forced: Forced, slopes: Floats, notional: float, at_most: float) -> float:
    """Return the share of drawn impacts in which a shock of at most ``at_most`` is enough.

    The same as counting `drawn_distances`, and faster where none is near: no distance rises with
    the impact.

    Parameters
    ----------
    forced, notional
        As for `drawn_distances`.
    slopes
        Rising; at least one.
    at_most
        As a ratio.

    Examples
    --------
    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> near_ratio(forced, np.array([6e-5, 8e-5]), 200.0, at_most=0.013)
    0.5
    """
    # The largest impact first: mostly not even that is near.
    if not drawn_distances(forced, slopes[-1:], notional)[0] <= at_most:
        return 0.0
    return probability(drawn_distances(forced, slopes, notional), at_most=at_most)


def _wanted(
    notional: float, slopes: Floats, passed_ratio: float, least_rise_ratio: float
) -> Floats:
    """Return the notional that a run has to force in each draw, to count and to move the price."""
    if not notional > 0.0:
        raise ValueError(f"notional is {notional}: it must be above 0")
    if least_rise_ratio <= 0.0:
        return np.full(len(slopes), notional)
    with np.errstate(divide="ignore"):
        rising = np.divide(least_rise_ratio, passed_ratio) / slopes
    wanted: Floats = np.maximum(notional, rising)
    return wanted


def _barriers(forced: Forced, passed: Floats) -> Floats:
    """Return `runs.Runs.barrier` at each knot for each draw, of shape (draws, knots).

    The impact of flow is linear, so g at the end of a piece is the move of the knot less what the
    notional that is forced before it has moved the price.
    """
    if not len(forced.move):
        return np.zeros((len(passed), 0))
    climbed = forced.notional[:-1] + forced.slope[:-1] * np.diff(forced.move)
    ends = forced.move - passed[:, np.newaxis] * np.concatenate(([0.0], climbed))
    return np.maximum.accumulate(ends, axis=1)


def _distances(forced: Forced, passed: Floats, barriers: Floats, wanted: Floats) -> Floats:
    """Return `runs.distance` of each draw for the notional that it wants."""
    found = np.full(len(passed), np.inf)
    knot = np.searchsorted(forced.notional, wanted)
    rows = np.flatnonzero(knot < len(forced.move))
    if not len(rows):
        return found
    knot, wanted, passed = knot[rows], wanted[rows], passed[rows]
    move, before = forced.move[knot], np.maximum(knot - 1, 0)
    on_slope = np.flatnonzero((knot > 0) & (forced.slope[before] > 0.0))
    start = before[on_slope]
    along = (wanted[on_slope] - forced.notional[start]) / forced.slope[start]
    move[on_slope] = np.minimum(move[on_slope], forced.move[start] + along)
    # What is forced just before this move, and the highest barrier on the way.
    first = np.searchsorted(forced.move, move)
    before = np.maximum(first - 1, 0)
    climbed = forced.slope[before] * (move - forced.move[before])
    reached = np.where(first > 0, forced.notional[before] + climbed, 0.0)
    barrier = np.where(first > 0, barriers[rows, before], -np.inf)
    found[rows] = np.maximum(np.maximum(barrier, move - passed * reached), 0.0)
    return found


def _forced_just_above(
    forced: Forced, passed: Floats, barriers: Floats, distances: Floats
) -> Floats:
    """Return what the run just above each distance forces; NaN where that is infinite."""
    found = np.full(len(passed), math.nan)
    rows = np.flatnonzero(np.isfinite(distances))
    if not len(rows):
        return found
    shock, passed = just_above(distances[rows]), passed[rows]
    piece = np.count_nonzero(barriers[rows] <= shock[:, np.newaxis], axis=1)
    knot = np.maximum(piece - 1, 0)
    begin = forced.move[knot]
    steepness = 1.0 - passed * forced.slope[knot]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (shock - begin + passed * forced.notional[knot]) / steepness
    end = np.where(piece > 0, begin + np.maximum(along, 0.0), shock)
    found[rows] = forced_at(forced, end)
    return found


def drawn_outcomes(
    ladder: Ladder,
    rule: Reduction,
    forced: Forced,
    slopes: Floats,
    notional: float,
    fund: float,
    *,
    passed_ratio: float = 1.0,
    least_rise_ratio: float = LEAST_RISE_RATIO,
) -> list[Outcome]:
    """Return what the run just above its distance does, for each drawn impact.

    Draws in which no shock forces the notional are left out: compare the lengths. Quantiles of a
    field are those of its values over the list; ``probability`` of the losses up to the fund says
    how often the fund suffices.

    Parameters
    ----------
    ladder, rule, forced
        The positions, how they are closed, and `forced.forced_of` them.
    slopes
        Move per unit of forced notional for each draw; `coarse.representatives` are enough.
    notional
        What the run has to force, in the quote currency.
    fund
        What the insurance fund holds for this symbol, in the quote currency.
    passed_ratio, least_rise_ratio
        As for `runs.runs_of` and `runs.distance`.

    Raises
    ------
    ValueError
        If ``notional`` is not above 0, ``fund`` is negative, or a number of the rule is out of
        range.

    Examples
    --------
    The positions of `outcome.outcome_of`. With twice the impact a shock of 1 % is enough: the first
    is sold at 1 + 0.6 = 1.6 %, 0.1 % beyond its bankruptcy, the second at 2.8 %, within its own.

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.forced import forced_of
    >>> from detectors.risk.ladder import ladder_of
    >>> from detectors.risk.tiers import tiers_of
    >>> ladder = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([0, 1]), np.array([1.0, 1.0]),
    ...     np.array([99.0, 98.0]), np.array([98.5, 97.0])
    ... )
    >>> slopes = np.array([0.006 / 100.0, 0.012 / 100.0])
    >>> outcomes = drawn_outcomes(ladder, Reduction(), forced_of(ladder, Reduction()), slopes,
    ...     notional=200.0, fund=0.0)
    >>> [(round(outcome.shock, 6), round(outcome.loss, 5)) for outcome in outcomes]
    [(0.014, 0.2), (0.01, 0.1)]
    """
    drawn = [runs_of(forced, flow_impact(slope), passed_ratio) for slope in slopes.tolist()]
    return outcomes_of(ladder, rule, drawn, notional, fund, least_rise_ratio=least_rise_ratio)


def outcomes_of(
    ladder: Ladder,
    rule: Reduction,
    drawn: Sequence[Runs],
    notional: float,
    fund: float,
    *,
    least_rise_ratio: float = LEAST_RISE_RATIO,
) -> list[Outcome]:
    """Return `drawn_outcomes` of the runs of each drawn impact, which serve any notional."""
    outcomes = []
    for runs in drawn:
        least = distance(runs, notional, least_rise_ratio)
        if math.isfinite(least):
            outcomes.append(outcome_of(ladder, rule, runs, just_above(least), fund))
    return outcomes
