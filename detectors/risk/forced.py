"""Forced notional by price: what a venue must have closed when the mark price has moved so far.

A venue that closes whole positions forces a step at each liquidation price. One that closes the
least sufficient part forces a ramp: the further the mark price is past the liquidation price, the
more it has to close. The ramps are those of a single jump of the mark price. On the way there in
small moves a venue closes parts earlier and at better prices, and needs less: the curve is an upper
bound then.
"""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.ladder import Ladder, against
from detectors.risk.ramps import Ramps, excess_at_floor, excess_at_share, first_share
from detectors.risk.reduction import Reduction
from detectors.risk.shares import parts_of
from detectors.table import Floats, Ints

_NARROW = 1e-12


class Forced(NamedTuple):
    """Forced notional as a function of the move; it never falls.

    Between knots it is linear. A jump belongs to its knot, so the function is continuous from the
    right. Before the first knot it is 0.

    Attributes
    ----------
    move
        The knots, as ratios, rising; several may be equal.
    notional
        At each knot, in the quote currency at the mark price before the move.
    slope
        From each knot to the next, in notional per unit of move; 0 after the last.
    """

    move: Floats
    notional: Floats
    slope: Floats


def forced_at(forced: Forced, move: Floats) -> Floats:
    """Return the forced notional at each move.

    >>> forced = Forced(np.array([0.01, 0.03]), np.array([5.0, 15.0]), np.array([500.0, 0.0]))
    >>> forced_at(forced, np.array([0.0, 0.01, 0.02, 0.5])).tolist()
    [0.0, 5.0, 10.0, 15.0]
    """
    if not len(forced.move):
        return np.zeros_like(move)
    knot = np.searchsorted(forced.move, move, side="right") - 1
    at = np.maximum(knot, 0)
    along = np.minimum(move, forced.move[-1]) - forced.move[at]  # a move may be infinite
    inside = forced.notional[at] + forced.slope[at] * along
    return np.where(knot >= 0, inside, 0.0)


def move_of(forced: Forced, notional: float) -> float:
    """Return the least move that forces a notional; infinity if none does.

    >>> forced = Forced(np.array([0.01, 0.03]), np.array([5.0, 15.0]), np.array([500.0, 0.0]))
    >>> move_of(forced, 4.0), move_of(forced, 10.0), move_of(forced, 16.0)
    (0.01, 0.02, inf)
    """
    knot = int(np.searchsorted(forced.notional, notional))
    if knot == len(forced.move):
        return math.inf
    end = float(forced.move[knot])
    if knot and forced.slope[knot - 1] > 0.0:
        start, short = forced.move[knot - 1], notional - forced.notional[knot - 1]
        return min(end, float(start + short / forced.slope[knot - 1]))
    return end


def forced_of(ladder: Ladder, rule: Reduction, most_steps: int | None = None) -> Forced:
    """Return the forced notional of a ladder under a venue's rule.

    The pieces are linear in the excess of `ramps`. They are drawn as linear in the move, which is
    exact at the knots. In between, the share is off by less than the ramp's width as a ratio.

    Parameters
    ----------
    ladder
        The positions.
    rule
        How the venue closes them.
    most_steps
        With steps: the number of steps that an account can have within the time of interest,
        1 + floor(time / delay). None: as many as it needs.

    Raises
    ------
    ValueError
        If a number of the rule is out of range, or ``most_steps`` is below 1.

    Examples
    --------
    One long of 2 at a mark price of 100, liquidated at 99. Closed whole:

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.ladder import ladder_of
    >>> from detectors.risk.tiers import tiers_of
    >>> ladder = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([0]), np.array([2.0]),
    ...     np.array([99.0]), np.array([98.0])
    ... )
    >>> forced_at(forced_of(ladder, Reduction()), np.array([0.0099, 0.0101])).tolist()
    [0.0, 200.0]

    The least sufficient part: an excess of 0.01 / 0.99 needs all, at a mark price of
    99 / (1 + 0.01 / 0.99) = 98.01. Half of it needs half, at 98.5025; the straight line between the
    knots says 101 there.

    >>> forced = forced_of(ladder, Reduction("sufficient"))
    >>> forced_at(forced, np.array([0.01, 0.014975, 0.0199])).round(0).tolist()
    [0.0, 101.0, 200.0]
    """
    if most_steps is not None and most_steps < 1:
        raise ValueError(f"most_steps is {most_steps}: it must be at least 1")
    parts = parts_of(ladder, rule)
    pieces = _Pieces()
    pieces.jump(ladder.move[~parts.partly], ladder.notional[~parts.partly])
    if parts.ramps is not None:
        path = _Path(ladder, np.flatnonzero(parts.partly), parts.sign)
        if rule.kind == "steps":
            _add_steps(parts.ramps, path, rule.step_ratio, most_steps, pieces)
        else:
            _add_ramps(parts.ramps, path, pieces)
    return pieces.assembled()


class _Pieces:
    """Collects jumps and ramps, and adds them up."""

    def __init__(self) -> None:
        self._move: list[Floats] = []
        self._jump: list[Floats] = []
        self._bend: list[Floats] = []

    def jump(self, move: Floats, notional: Floats) -> None:
        self._move.append(move)
        self._jump.append(notional)
        self._bend.append(np.zeros_like(move))

    def ramp(self, begin: Floats, end: Floats, notional: Floats) -> None:
        """Add ramps from ``begin`` to ``end``; one that is too narrow is a jump."""
        narrow = end - begin <= _NARROW
        self.jump(begin[narrow], notional[narrow])
        begin, end, notional = begin[~narrow], end[~narrow], notional[~narrow]
        slope = notional / (end - begin)
        nothing = np.zeros_like(slope)
        self._move += [begin, end]
        self._jump += [nothing, nothing]
        self._bend += [slope, -slope]

    def assembled(self) -> Forced:
        move = np.concatenate(self._move)
        order = np.argsort(move, kind="stable")
        move = move[order]
        # Rounding leaves a little slope after the last ramp, and a little fall before it.
        slope = np.maximum(np.cumsum(np.concatenate(self._bend)[order]), 0.0)
        climbed = np.cumsum(slope[:-1] * np.diff(move))
        notional = np.cumsum(np.concatenate(self._jump)[order])
        notional[1:] += climbed
        slope[-1:] = 0.0
        return Forced(move, notional, slope)


class _Path(NamedTuple):
    """Where positions are liquidated, and how far the mark price has moved past that."""

    ladder: Ladder
    rows: Ints
    sign: float

    @property
    def notional(self) -> Floats:
        return self.ladder.notional[self.rows]

    def move_at(self, excess: Floats) -> Floats:
        """Return the move at which each position's excess is this."""
        ladder, price = self.ladder, self.ladder.price[self.rows]
        # The settlement price is y* / (1 + s z).
        factor = 1.0 + self.sign * excess
        price = price * factor if ladder.contract.inverse else price / factor
        return against(ladder.side) * (1.0 - price / ladder.mark)


def _add_ramps(ramps: Ramps, path: _Path, pieces: _Pieces) -> None:
    """Add what must be closed at least, from tier to tier."""
    excess = np.zeros(len(path.notional))
    share = first_share(ramps)
    pieces.jump(path.move_at(excess), share * path.notional)
    for tier in reversed(range(len(ramps.floor))):
        reached = ramps.floor[tier] < 1.0
        further = np.where(reached, np.maximum(excess_at_floor(ramps, tier), excess), excess)
        closed = 1.0 - ramps.floor[tier] * (1.0 + ramps.sign * further)
        closed = np.where(reached, np.maximum(closed, share), share)
        pieces.ramp(path.move_at(excess), path.move_at(further), (closed - share) * path.notional)
        excess, share = further, closed
    # Below the lowest tier in which closing helps, no part is sufficient.
    pieces.jump(path.move_at(excess), (1.0 - share) * path.notional)


def _add_steps(
    ramps: Ramps, path: _Path, step_ratio: float, most_steps: int | None, pieces: _Pieces
) -> None:
    """Add a step wherever the steps before it are no longer sufficient."""
    hopeless = excess_at_floor(ramps, 0)
    steps = math.ceil(1.0 / step_ratio - 1e-9)
    for step in range(steps if most_steps is None else min(steps, most_steps)):
        closed = step * step_ratio
        excess = np.minimum(excess_at_share(ramps, closed), hopeless)
        size = min(step_ratio, 1.0 - closed)
        pieces.jump(path.move_at(excess), size * path.notional)
