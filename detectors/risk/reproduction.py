"""How a run grows: from round to round, and per unit of a stated seed."""

from typing import NamedTuple

import numpy as np

from detectors.risk.forced import forced_at
from detectors.risk.impact import moved_by
from detectors.risk.runs import Runs


def reproduction_number(runs: Runs, seed_notional: float, move: float = 0.0) -> float:
    """Return the notional newly forced per unit of notional liquidated.

    R = (N(x + pi I(v)) - N(x)) / v. It depends on the seed v: next to one large position any seed
    that reaches it gives a large R. State the seed with it.

    Parameters
    ----------
    runs
        From `runs_of`.
    seed_notional
        The notional v that is liquidated, in the quote currency.
    move
        The move x of the mark price before that.

    Raises
    ------
    ValueError
        If ``seed_notional`` is not above 0.

    Examples
    --------
    A seed of 200 moves the price by 1.2 % and forces the first 100:

    >>> from detectors.risk.forced import Forced
    >>> from detectors.risk.impact import Impact
    >>> from detectors.risk.runs import runs_of
    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> nothing = np.zeros(1)
    >>> reproduction_number(runs_of(forced, Impact(nothing, nothing, 0.006 / 100.0)), 200.0)
    0.5
    """
    if not seed_notional > 0.0:
        raise ValueError(f"seed_notional is {seed_notional}: it must be above 0")
    pushed = runs.passed_ratio * float(moved_by(runs.impact, np.array([seed_notional]))[0])
    low, high = forced_at(runs.forced, np.array([move, move + pushed])).tolist()
    return float(high - low) / seed_notional


class Generation(NamedTuple):
    """One round of a run: the move of the mark price, and the notional that it newly forces."""

    move: float
    notional: float


def generations(runs: Runs, shock: float, at_most: int = 60) -> list[Generation]:
    """Return the rounds of a run: what the shock forces, what that forces, and so on.

    A run that needs more than ``at_most`` rounds is cut there; `run_ends` has its end.

    Examples
    --------
    >>> from detectors.risk.forced import Forced
    >>> from detectors.risk.impact import Impact
    >>> from detectors.risk.runs import runs_of
    >>> forced = Forced(np.array([0.01, 0.02]), np.array([100.0, 200.0]), np.zeros(2))
    >>> nothing = np.zeros(1)
    >>> runs = runs_of(forced, Impact(nothing, nothing, 0.006 / 100.0))
    >>> [(round(move, 4), notional) for move, notional in generations(runs, 0.015)]
    [(0.015, 100.0), (0.021, 100.0)]
    """
    rounds, move, total = [], shock, 0.0
    for _ in range(at_most):
        reached = float(forced_at(runs.forced, np.array([move]))[0])
        if reached <= total:
            break
        rounds.append(Generation(move, reached - total))
        total = reached
        pushed = float(moved_by(runs.impact, np.array([total]))[0]) if runs.passed_ratio else 0.0
        move = shock + runs.passed_ratio * pushed
    return rounds
