"""The ladder: at which move of the mark price which positions are liquidated."""

from typing import Literal, NamedTuple

import numpy as np

from detectors.risk.contract import Contract, quote_notional
from detectors.risk.names import Numbers
from detectors.table import Floats

Side = Literal["long", "short"]


class Ladder(NamedTuple):
    """The positions of one side of one symbol, by the move that liquidates them.

    Positions that no move liquidates are left out. All arrays have the same length and order.

    Attributes
    ----------
    contract, side, mark
        The contract, the side, and the mark price in the quote currency.
    move
        The move at which each position is liquidated, as a ratio to the mark price, rising. A move
        is positive against the side: a fall for longs, a rise for shorts. It is negative if the
        mark price is past the liquidation price already.
    price
        The liquidation prices.
    bankrupt_move
        The move at which the position has lost its collateral.
    notional
        At the mark price, in the quote currency.
    quantity
        Unsigned.
    account
        Account numbers.
    """

    contract: Contract
    side: Side
    mark: float
    move: Floats
    price: Floats
    bankrupt_move: Floats
    notional: Floats
    quantity: Floats
    account: Numbers


def against(side: Side) -> float:
    """Return 1 if a fall hits the side, -1 if a rise does.

    >>> against("long"), against("short")
    (1.0, -1.0)
    """
    return 1.0 if side == "long" else -1.0


def ladder_of(
    contract: Contract,
    side: Side,
    mark: float,
    account: Numbers,
    quantity: Floats,
    liquidation_price: Floats,
    bankruptcy_price: Floats,
) -> Ladder:
    """Return the ladder of one side; positions of the other side are left out.

    Parameters
    ----------
    contract, side, mark
        The contract, the side, and the mark price in the quote currency.
    account, quantity, liquidation_price, bankruptcy_price
        Columns of the symbol's positions; quantities are signed.

    Raises
    ------
    ValueError
        If the mark price is not finite and above 0.

    Examples
    --------
    Longs of 2 and 1 with liquidation prices 95 and 99, and a short:

    >>> from detectors.risk.tiers import tiers_of
    >>> ladder = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([7, 8, 9]),
    ...     np.array([2.0, 1.0, -3.0]), np.array([95.0, 99.0, 104.0]), np.array([94.0, 98.0, 105.0])
    ... )
    >>> ladder.move.round(6).tolist(), ladder.notional.tolist(), ladder.account.tolist()
    ([0.01, 0.05], [100.0, 200.0], [8, 7])
    """
    if not (np.isfinite(mark) and mark > 0.0):
        raise ValueError(f"mark is {mark}: it must be finite and above 0")
    sign = against(side)
    move = sign * (1.0 - liquidation_price / mark)
    furthest = 1.0 if side == "long" else np.inf
    rows = np.flatnonzero((sign * quantity > 0.0) & (move < furthest))
    rows = rows[np.argsort(move[rows], kind="stable")]
    held = np.abs(quantity[rows])
    return Ladder(
        contract,
        side,
        mark,
        move[rows],
        liquidation_price[rows],
        sign * (1.0 - bankruptcy_price[rows] / mark),
        quote_notional(contract, held, mark),
        held,
        account[rows],
    )


def part(ladder: Ladder, rows: slice) -> Ladder:
    """Return the ladder of some of its positions, in the same order."""
    return ladder._replace(
        move=ladder.move[rows],
        price=ladder.price[rows],
        bankrupt_move=ladder.bankrupt_move[rows],
        notional=ladder.notional[rows],
        quantity=ladder.quantity[rows],
        account=ladder.account[rows],
    )


class Rung(NamedTuple):
    """What a move liquidates.

    Attributes
    ----------
    move
        As a ratio.
    notional
        Of the liquidated positions at the mark price before the move, in the quote currency.
    accounts
        Their number.
    largest_ratio
        The largest account's share of that notional.
    concentration
        The sum of the accounts' squared shares, from 1 / accounts to 1 (Herfindahl-Hirschman
        index).
    """

    move: float
    notional: float
    accounts: int
    largest_ratio: float
    concentration: float


BPS = (10.0, 25.0, 50.0, 100.0, 200.0, 500.0)
"""The moves at which a ladder is reported, in basis points."""


def rungs(ladder: Ladder, moves_bps: tuple[float, ...] = BPS) -> list[Rung]:
    """Return what each move liquidates, all smaller moves included.

    >>> from detectors.risk.tiers import tiers_of
    >>> ladder = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([7, 8]),
    ...     np.array([3.0, 1.0]), np.array([95.0, 99.0]), np.array([94.0, 98.0])
    ... )
    >>> for rung in rungs(ladder, (50.0, 100.5, 600.0)):
    ...     print(rung.notional, rung.accounts, rung.largest_ratio, rung.concentration)
    0.0 0 0.0 0.0
    100.0 1 1.0 1.0
    400.0 2 0.75 0.625
    """
    reported = []
    for bps in moves_bps:
        reached = ladder.notional[: np.searchsorted(ladder.move, bps / 1e4, side="right")]
        total = float(reached.sum())
        shares = reached / total if total > 0.0 else reached
        largest = float(shares.max(initial=0.0))
        reported.append(
            Rung(bps / 1e4, total, len(reached), largest, float(np.square(shares).sum()))
        )
    return reported
