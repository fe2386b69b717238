"""What a run costs: money, accounts, and the loss beyond collateral."""

from typing import NamedTuple, TypeVar

import numpy as np

from detectors.risk.impact import moved_by
from detectors.risk.ladder import Ladder, against
from detectors.risk.reduction import Reduction
from detectors.risk.runs import Runs, run_ends
from detectors.risk.shares import closed_shares
from detectors.table import Floats

_JUST_ABOVE = 1e-9


class Outcome(NamedTuple):
    """What the run from a shock does. Money is in the quote currency.

    Attributes
    ----------
    shock, end
        The move that begins the run, and the move of the mark price at its end.
    notional
        Forced by the run, at the mark price before it.
    accounts
        That are liquidated, in part or whole.
    largest_ratio
        The largest account's share of the forced notional.
    loss
        Beyond the accounts' collateral. Infinity if the impact has no bound.
    beyond_fund
        The part of it that the insurance fund does not hold.
    deleveraged_notional
        What is left for auto-deleveraging: the positions closed at a loss beyond their collateral
        after the fund is empty, and the one that empties it.
    """

    shock: float
    end: float
    notional: float
    accounts: int
    largest_ratio: float
    loss: float
    beyond_fund: float
    deleveraged_notional: float


_Distances = TypeVar("_Distances", float, Floats)


def just_above(distance: _Distances) -> _Distances:
    """Return a shock that is certainly past a distance: the distance itself may be the last before.

    >>> just_above(0.01) > 0.01
    True
    """
    return distance * (1.0 + _JUST_ABOVE) + _JUST_ABOVE


def outcome_of(
    ladder: Ladder,
    rule: Reduction,
    runs: Runs,
    shock: float,
    fund: float,
    most_steps: int | None = None,
) -> Outcome:
    """Return what the run from a shock does.

    Positions are sold in the order of their liquidation prices, at the price that the shock, all
    sales before and half of their own have made: at the move x0 + I(V_before + n_i / 2). The mark
    price reached the liquidation price because of those sales, so that is never better than the
    liquidation price. A position loses what it is beyond the bankruptcy price. The insurance fund
    pays in the same order.

    Parameters
    ----------
    ladder, rule, most_steps
        What the runs were made of.
    runs
        From `runs_of`.
    shock
        As a ratio. For the run at a distance use `just_above`.
    fund
        What the insurance fund holds for this symbol, in the quote currency.

    Raises
    ------
    ValueError
        If ``fund`` is negative, or a number of the rule is out of range.

    Examples
    --------
    Longs of 100 each at a mark price of 100: liquidated at 99 and 98, bankrupt at 98.5 and 97. A
    sale of 100 moves the price by 0.6 %. From a shock of 1.4 % the first is sold at a move of
    1.4 + 0.3 = 1.7 %, 0.2 % beyond its bankruptcy; the second at 1.4 + 0.9 = 2.3 %, within its own.

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.forced import forced_of
    >>> from detectors.risk.flow_impact import flow_impact
    >>> from detectors.risk.ladder import ladder_of
    >>> from detectors.risk.runs import runs_of
    >>> from detectors.risk.tiers import tiers_of
    >>> ladder = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([0, 1]), np.array([1.0, 1.0]),
    ...     np.array([99.0, 98.0]), np.array([98.5, 97.0])
    ... )
    >>> runs = runs_of(forced_of(ladder, Reduction()), flow_impact(0.006 / 100.0))
    >>> outcome = outcome_of(ladder, Reduction(), runs, just_above(0.014), fund=0.15)
    >>> round(outcome.end, 6), outcome.notional, outcome.accounts, outcome.largest_ratio
    (0.026, 200.0, 2, 0.5)
    >>> round(outcome.loss, 5), round(outcome.beyond_fund, 5), outcome.deleveraged_notional
    (0.2, 0.05, 100.0)
    """
    if not fund >= 0.0:
        raise ValueError(f"fund is {fund}: it must be at least 0")
    end = float(run_ends(runs, np.array([shock]))[0])
    closed = closed_shares(ladder, rule, end, most_steps) * ladder.notional
    total = float(closed.sum())
    lost = _losses(ladder, runs, shock, closed)
    summed = np.cumsum(lost)
    loss = float(summed[-1]) if len(summed) else 0.0
    return Outcome(
        shock,
        end,
        total,
        int(np.count_nonzero(closed)),
        float(closed.max(initial=0.0)) / total if total > 0.0 else 0.0,
        loss,
        max(0.0, loss - fund),
        float(closed[(lost > 0.0) & (summed > fund)].sum()),
    )


def _losses(ladder: Ladder, runs: Runs, shock: float, closed: Floats) -> Floats:
    """Return what each position loses beyond its collateral, in the quote currency."""
    middle = np.cumsum(closed) - 0.5 * closed
    sold = shock + moved_by(runs.impact, middle)
    beyond = np.where(closed > 0.0, np.maximum(sold - ladder.bankrupt_move, 0.0), 0.0)
    if not ladder.contract.inverse:
        return closed * beyond
    # The loss is in the base currency; in the quote currency at the price of the sale it is the
    # face value times |1 - P / P_bankrupt|.
    return closed * beyond / np.abs(1.0 - against(ladder.side) * ladder.bankrupt_move)
