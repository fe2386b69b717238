"""The chain itself, account by account: what the closed form of runs is checked against."""

import numpy as np

from detectors.risk.contract import settlement_price
from detectors.risk.impact import Impact, moved_by
from detectors.risk.reduction import Reduction, sufficient_reductions
from tests.risk.books import Book


def pushed(impact: Impact, notional: float) -> float:
    return float(moved_by(impact, np.array([notional]))[0])


def by_rounds(book: Book, rule: Reduction, impact: Impact, passed: float, shock: float):
    """In each round everything that the move requires is closed at once."""
    move, closed = shock, 0.0
    for _ in range(10_000):
        total = float((book.forced_shares(rule, move) * book.notional()).sum())
        further = shock + (passed * pushed(impact, total) if passed else 0.0)
        settled = total <= closed * (1 + 1e-13) or further == move
        closed, move = total, further
        if settled or move > 0.9:  # a fall of everything is the end of the world
            break
    return move, closed


def one_by_one(book: Book, impact: Impact, passed: float, shock: float):
    """Whole positions, always the first that is below maintenance; the mark moves after each."""
    move, closed, total = shock, np.zeros(len(book.quantity), bool), 0.0
    while move < 0.9:
        waiting = np.flatnonzero(book.below(book.moved(move)) & ~closed)
        if not len(waiting):
            break
        closed[waiting[0]] = True
        total += book.notional()[waiting[0]]
        move = shock + (passed * pushed(impact, total) if passed else 0.0)
    return move, closed


def by_accounts(book: Book, rule: Reduction, impact: Impact, passed: float, shock: float) -> float:
    """The least sufficient part, from the account's equity after all earlier closings.

    Each closing is at the mark price less the rule's cost, and is charged to the account.
    """
    sign = np.sign(book.quantity) * (-1 if book.contract.inverse else 1)
    size, cash = np.abs(book.quantity), book.margin.copy()
    y_entry = settlement_price(book.contract, book.entry)
    cost = rule.fee_ratio + rule.slippage_ratio
    move, total = shock, 0.0
    for _ in range(10_000):
        if move > 0.9:
            break
        y = settlement_price(book.contract, np.full_like(size, book.moved(move)))
        equity = cash + sign * size * (y - y_entry)
        required = sufficient_reductions(book.contract.tiers, rule, size, y, equity)
        below = equity <= np.array(
            [max(r * n - d for r, d in zip(book.contract.tiers.rates,
                                           book.contract.tiers.deductions, strict=True))
             for n in size * y]
        )  # fmt: skip
        closing = np.where(below, required, 0.0)
        amount = closing.sum() if book.contract.inverse else closing.sum() * book.mark
        if amount <= 1e-12:
            break
        cash += sign * closing * (y - y_entry) - closing * y * cost
        size = size - closing
        total += amount
        move = shock + (passed * pushed(impact, total) if passed else 0.0)
    return total
