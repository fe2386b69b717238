"""Who is deleveraged against a bankrupt position, and what other rules would have taken."""

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from detectors.table import Floats

SAME_SCORE_RATIO = 1e-5
"""Scores that differ by less are the same: prices and margins are published rounded."""


class Candidate(Struct, frozen=True):
    """An account on the other side of a bankrupt position.

    ``quantity`` is signed, ``equity`` is at the mark price and NaN if unknown. Accounts that are
    themselves in liquidation come last.
    """

    account: str
    quantity: float
    entry_price: float
    equity: float
    in_liquidation: bool = False


class Deleveraging(Struct):
    """One deleveraging: what was closed at one time for one liquidation.

    Attributes
    ----------
    needed
        The quantity that left the bankrupt position.
    closed
        What each account on the other side lost, by account.
    candidates
        The published positions of the other side just before.
    """

    ts_event: int
    symbol: str
    liquidation_id: str
    price: float
    mark: float
    needed: float = 0.0
    closed: dict[str, float] = {}
    candidates: list[Candidate] = []


def score(candidate: Candidate, mark: float, rule: str) -> float:
    """Return the place of a candidate in the queue, the highest first; NaN if it is unknown.

    ``pnl_ratio_leverage``: profit over the notional at entry, times notional over equity; for a
    loss, divided by it. ``pnl_ratio``, ``leverage`` and ``size`` (notional) alone.

    Examples
    --------
    A short of 2 from 100 at a mark of 90 with an equity of 60: 10 % profit, leverage 3.

    >>> round(score(Candidate("a", -2.0, 100.0, 60.0), 90.0, "pnl_ratio_leverage"), 9)
    0.3
    """
    size = abs(candidate.quantity)
    profit = candidate.quantity * (mark - candidate.entry_price)
    ratio = profit / (size * candidate.entry_price)
    leverage = size * mark / candidate.equity if candidate.equity > 0.0 else math.inf
    if math.isnan(candidate.equity):
        leverage = math.nan
    if rule == "pnl_ratio":
        return ratio
    if rule == "leverage":
        return leverage
    if rule == "size":
        return size * mark
    return ratio * leverage if ratio > 0.0 else ratio / leverage


def in_order(its: Deleveraging, rule: str) -> dict[str, float]:
    """Return what the queue by a rule would have closed of each candidate.

    Among scores that are the same but for the rounding of published numbers the queue is as it was
    taken.

    >>> first, second = Candidate("a", -2.0, 100.0, 60.0), Candidate("b", -2.0, 100.0, 60.00001)
    >>> its = Deleveraging(0, "X", "L", 90.0, 90.0, 1.0, {"b": 1.0}, [first, second])
    >>> in_order(its, "pnl_ratio_leverage")
    {'b': 1.0, 'a': 0.0}
    """
    known = [(score(one, its.mark, rule), one) for one in its.candidates]
    known = sorted((entry for entry in known if not math.isnan(entry[0])), key=_place)
    left = math.fsum(its.closed.get(one.account, 0.0) for _, one in known)
    taken = {}
    for group in _equals(known):
        for one in sorted(group, key=lambda one: -_share(its, one)):
            taken[one.account] = min(left, abs(one.quantity))
            left -= taken[one.account]
    return taken


def _place(entry: tuple[float, Candidate]) -> tuple[bool, float, str]:
    return entry[1].in_liquidation, -entry[0], entry[1].account


def _equals(queue: list[tuple[float, Candidate]]) -> Iterator[list[Candidate]]:
    """Yield the candidates of a queue, those with the same score together."""
    group: list[Candidate] = []
    before = math.nan
    for value, one in queue:
        same = math.isclose(value, before, rel_tol=SAME_SCORE_RATIO)
        if group and not (same and one.in_liquidation == group[-1].in_liquidation):
            yield group
            group = []
        group.append(one)
        before = value
    if group:
        yield group


def _share(its: Deleveraging, one: Candidate) -> float:
    return its.closed.get(one.account, 0.0) / abs(one.quantity)


def out_of_turn(its: Deleveraging, rule: str) -> float:
    """Return the quantity that was closed of accounts whose turn it was not.

    >>> first, second = Candidate("a", -2.0, 100.0, 60.0), Candidate("b", -2.0, 95.0, 60.0)
    >>> its = Deleveraging(0, "X", "L", 90.0, 90.0, 1.0, {"b": 1.0}, [first, second])
    >>> out_of_turn(its, "pnl_ratio_leverage")
    1.0
    """
    ideal = in_order(its, rule)
    return math.fsum(max(0.0, its.closed.get(account, 0.0) - due) for account, due in ideal.items())


def pro_rata(its: Deleveraging) -> Floats:
    """Return what a deleveraging in proportion to the positions would close of each candidate."""
    size = _sizes(its)
    shares: Floats = size * (_closed(its).sum() / size.sum())
    return shares


def water_filling(its: Deleveraging) -> Floats:
    """Return what would be closed if the largest leverage were made as small as possible.

    d_i = max(0, |q_i| - L E_i / P), with the leverage L at which the sum is what was closed.
    Candidates without positive equity are closed first.

    Examples
    --------
    Leverages 4 and 2 at a price of 1; closing 1 brings the first down to 3:

    >>> a, b = Candidate("a", -4.0, 1.0, 1.0), Candidate("b", -4.0, 1.0, 2.0)
    >>> its = Deleveraging(0, "X", "L", 1.0, 1.0, 1.0, {"a": 1.0}, [a, b])
    >>> water_filling(its).round(6).tolist()
    [1.0, 0.0]

    References
    ----------
    [^1]: [Campbell, Hey, Moallemi & Nutz, 2026. Risk-Based Auto-Deleveraging. arXiv:2603.15963.]
    (https://arxiv.org/abs/2603.15963) The unique rule that minimises the largest leverage.
    """
    size, total = _sizes(its), float(_closed(its).sum())
    equity = np.maximum(np.nan_to_num([one.equity for one in its.candidates]), 0.0)
    low, high = 0.0, float(np.max(size * its.mark / np.maximum(equity, 1e-12)))
    for _ in range(200):
        middle = (low + high) / 2.0
        if np.maximum(size - middle * equity / its.mark, 0.0).sum() > total:
            low = middle
        else:
            high = middle
    filled: Floats = np.maximum(size - high * equity / its.mark, 0.0)
    return filled


def distance(its: Deleveraging, reference: Floats) -> float:
    """Return the share of what was closed that another rule would have closed elsewhere."""
    closed = _closed(its)
    return float(np.abs(closed - reference).sum() / (2.0 * closed.sum()))


def _sizes(its: Deleveraging) -> Floats:
    return np.array([abs(one.quantity) for one in its.candidates])


def _closed(its: Deleveraging) -> Floats:
    return np.array([its.closed.get(one.account, 0.0) for one in its.candidates])
