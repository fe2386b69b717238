"""Which positions a move of one symbol forces out, in it and in every other symbol."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.closing import Allocation, closing_shares
from detectors.risk.margin_units import MarginUnits, Marked, unit_sums
from detectors.risk.reduction import Reduction
from detectors.table import Flags, Floats, Ints

_UNITS_AT_ONCE = 512
_PAIRS_AT_ONCE = 250_000
_WHOLE = Reduction()


class Betas(NamedTuple):
    """How far each symbol follows a move of another; each of shape (symbols, symbols).

    Attributes
    ----------
    falls, rises
        ``falls[a, c]``: how far c falls if a falls by 1, ``rises[a, c]`` for rises. A symbol
        follows itself by 1: the diagonal is not looked at.
    """

    falls: Floats
    rises: Floats


class Triggered(NamedTuple):
    """The notional that a move against each node forces out of each node, by channel.

    The matrices have the shape (nodes, nodes), in the quote currency. They add up to all that the
    move forces. ``co_movement`` and ``both`` may be negative: a hedge that follows saves accounts.

    Attributes
    ----------
    moves
        The move against each node, as a ratio.
    own
        Forced in the same node, by its price alone; of shape (nodes,).
    shared
        Forced in other nodes, through collateral that stands behind both, by that price alone.
    co_movement
        What changes for units of one position if the other symbols follow by their betas.
    both
        What changes for units of several positions: their symbols move together.
    units
        How many units each move forces, the followers included.
    """

    moves: Floats
    own: Floats
    shared: Floats
    co_movement: Floats
    both: Floats
    units: Ints

    @property
    def total(self) -> Floats:
        """All channels together."""
        total = self.shared + self.co_movement + self.both
        total[np.diag_indices_from(total)] += self.own
        # The changes are differences of sums: a rounding may be left where nothing is.
        return np.maximum(total, 0.0)


def triggered(
    units: MarginUnits,
    at: Marked,
    moves: Floats,
    betas: Betas | None = None,
    rule: Reduction = _WHOLE,
    allocation: Allocation = "pro_rata",
) -> Triggered:
    """Return what a move against each node forces out.

    A unit i with the slack S_i = equity - maintenance and the exposures g_ic is triggered by a move
    h of the symbol a if 0 < S_i <= sum over c of g_ic B_ac h. A unit that is below maintenance
    already is none of the move's. The exposures are those of a small move: an account that passes
    into another tier on the way is off by the tiers' difference in rate.

    Parameters
    ----------
    units, at
        The positions, from `margin_units`, and the same at the present mark prices.
    moves
        The move h of each symbol, as a ratio above 0; the same for both sides.
    betas
        How the other symbols follow; None: they stand still.
    rule, allocation
        What the venue closes of a triggered unit.

    Raises
    ------
    ValueError
        If a move is not above 0.

    Examples
    --------
    Account a holds 1 X at 100 and 2 Y at 50 and has a slack of 0.8. A fall of X by 1 % takes
    (100 - 1) 1 % = 0.99 of it: all is closed, 100 in X and 100 in Y. The other way round as well.

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.margin_units import margin_units, marked
    >>> from detectors.risk.positions import Positions
    >>> from detectors.risk.tiers import tiers_of
    >>> from detectors.risk.venue_margins import Market
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=1.0, entry_price=100.0, cross=True)
    >>> positions.put("a", "Y", quantity=2.0, entry_price=50.0, cross=True)
    >>> positions.set_collateral("a", 2.8)
    >>> markets = [Market(Contract(tiers_of([0.01])), mark, 0.1) for mark in (100.0, 50.0)]
    >>> units = margin_units(positions, markets)
    >>> found = triggered(
    ...     units, marked(units, markets, np.array([100.0, 50.0])), np.array([0.01, 0.001])
    ... )
    >>> found.own.tolist(), found.shared[0].tolist()
    ([100.0, 0.0, 0.0, 0.0], [0.0, 0.0, 100.0, 0.0])

    References
    ----------
    [^1]: [Cont, R. and Schaanning, E., 2019. Monitoring indirect contagion. Journal of Banking and
    Finance, 104, pp.85-102.](https://doi.org/10.1016/j.jbankfin.2019.04.007) The matrix of
    liquidity-weighted overlaps, between holders; here between what they hold.
    [^2]: [Caccioli, F. et al., 2014. Stability analysis of financial contagion due to overlapping
    portfolios. Journal of Banking and Finance, 46, pp.233-245.]
    (https://doi.org/10.1016/j.jbankfin.2014.05.021) Contagion as a branching process of many types.
    """
    if not np.all(moves > 0.0):
        raise ValueError(f"moves are {moves.tolist()}: each must be above 0")
    book = _Book(units, at, rule, allocation)
    alone_pairs = _by_one_symbol(book, moves)
    identity, forced_units = book.forced(alone_pairs)
    own = identity.diagonal().copy()
    co_movement, both = np.zeros_like(identity), np.zeros_like(identity)
    if betas is not None:
        single = book.count == 1
        forced_units = np.zeros_like(forced_units)
        for together in _by_all_symbols(book, moves, betas):
            for channel, chosen in ((co_movement, single), (both, ~single)):
                more, count = book.forced(_of(together, chosen))
                np.add(channel, more, out=channel)
                forced_units += count
        co_movement -= book.forced(_of(alone_pairs, single))[0]
        both -= book.forced(_of(alone_pairs, ~single))[0]
    shared = identity
    np.fill_diagonal(shared, 0.0)
    return Triggered(np.repeat(moves, 2), own, shared, co_movement, both, forced_units)


class _Pairs(NamedTuple):
    """Which unit is triggered by a move against which node, and what the move takes from it."""

    node: Ints
    unit: Ints
    taken: Floats


class _Book:
    """The rows by unit, and what a set of triggered units has to close."""

    def __init__(
        self, units: MarginUnits, at: Marked, rule: Reduction, allocation: Allocation
    ) -> None:
        held = units.held
        # 32 bits: these are as long as all positions of a venue.
        self.order = np.argsort(held.account, kind="stable").astype(np.int32)
        count = np.bincount(held.account, minlength=len(held.collateral))
        self.count = count
        self.begin = np.cumsum(count) - count
        self.symbol = held.symbol
        self.unit = held.account
        self.node = 2 * self.symbol + (held.quantity < 0.0)
        self.nodes = 2 * (len(units.first) - 1)
        self.at = at
        self.required = unit_sums(units, at.required)
        self.slack = held.collateral + unit_sums(units, at.gained - at.required)
        self._rule, self._allocation = rule, allocation

    def rows_of(self, unit: Ints) -> tuple[Ints, Ints]:
        """Return the rows of some units one after the other, and whose they are."""
        count = self.count[unit]
        whose = np.repeat(np.arange(len(unit)), count)
        along = np.arange(len(whose)) - np.repeat(np.cumsum(count) - count, count)
        return self.order[self.begin[unit][whose] + along], whose

    def forced(self, pairs: _Pairs) -> tuple[Floats, Ints]:
        """Return the notional that is closed, from node to node, and the units by node."""
        rows, whose = self.rows_of(pairs.unit)
        at = self.at
        equity = self.slack[pairs.unit] + self.required[pairs.unit] - pairs.taken
        share = closing_shares(
            self._rule, self._allocation, whose, at.required[rows], at.cost[rows],
            at.notional[rows], equity,
        )  # fmt: skip
        key = pairs.node[whose].astype(np.int64) * self.nodes + self.node[rows]
        # Of no pairs numpy counts in whole numbers.
        summed: Floats = np.bincount(key, share * at.notional[rows], self.nodes**2).astype(float)
        count = np.bincount(pairs.node, minlength=self.nodes)
        return summed.reshape(self.nodes, self.nodes), count


def _of(pairs: _Pairs, chosen: Flags) -> _Pairs:
    kept = chosen[pairs.unit]
    return _Pairs(pairs.node[kept], pairs.unit[kept], pairs.taken[kept])


def _by_one_symbol(book: _Book, moves: Floats) -> _Pairs:
    """Return what a move of one symbol alone triggers: a position is hurt on one side only."""
    slack = book.slack[book.unit]
    taken = np.abs(book.at.exposure) * moves[book.symbol]
    rows = np.flatnonzero((slack > 0.0) & (slack <= taken))
    node = 2 * book.symbol[rows] + (book.at.exposure[rows] < 0.0)
    return _Pairs(node.astype(np.int64), book.unit[rows].astype(np.int64), taken[rows])


def _by_all_symbols(book: _Book, moves: Floats, betas: Betas) -> Iterator[_Pairs]:
    """Yield what a move triggers if the other symbols follow, some at once: they may be many."""
    waiting: list[_Pairs] = []
    for side, matrix in enumerate((betas.falls, betas.rises)):
        followed = matrix * moves[:, np.newaxis]
        np.fill_diagonal(followed, moves)
        against = np.ascontiguousarray(followed.T)  # a row a follower
        exposure = -book.at.exposure if side else book.at.exposure
        # Units that no single move could reach are not looked at again.
        furthest = np.abs(exposure) * np.abs(against).max(axis=1, initial=0.0)[book.symbol]
        reachable = np.bincount(book.unit, furthest, len(book.slack)) >= book.slack
        candidates = np.flatnonzero(reachable & (book.slack > 0.0) & (book.count > 0))
        # Those with most positions first: the k-th positions are then those of the first units.
        candidates = candidates[np.argsort(-book.count[candidates], kind="stable")]
        for begin in range(0, len(candidates), _UNITS_AT_ONCE):
            some = candidates[begin : begin + _UNITS_AT_ONCE]
            lost = np.zeros((len(some), len(moves)))
            for place in range(book.count[some[0]]):
                having = some[: np.count_nonzero(book.count[some] > place)]
                rows = book.order[book.begin[having] + place]
                lost[: len(rows)] += exposure[rows, np.newaxis] * against[book.symbol[rows]]
            reached, symbol = np.nonzero(lost >= book.slack[some, np.newaxis])
            waiting.append(_Pairs(2 * symbol + side, some[reached], lost[reached, symbol]))
            if sum(len(pairs.node) for pairs in waiting) > _PAIRS_AT_ONCE:
                yield _joined(waiting)
                waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(parts: Sequence[_Pairs]) -> _Pairs:
    return _Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def reproduction_matrix(found: Triggered, slopes: Floats) -> Floats:
    """Return the notional newly forced in each node per unit of notional liquidated in another.

    K_ab = I'_a / h_a times what a move h_a against a forces in b.

    Parameters
    ----------
    found
        From `triggered`.
    slopes
        Move of the mark price per unit of notional that is forced in each node, I'; of shape
        (nodes,).

    Raises
    ------
    ValueError
        If there is not one slope for each node.

    Examples
    --------
    A move of 1 % forces 100; a forced sale of 1 moves the price by 0.006 %: 0.6 for 1.

    >>> nothing = np.zeros((2, 2))
    >>> found = Triggered(np.full(2, 0.01), np.array([100.0, 0.0]), nothing, nothing, nothing,
    ...     np.array([1, 0]))
    >>> reproduction_matrix(found, np.full(2, 6e-5)).round(9).tolist()
    [[0.6, 0.0], [0.0, 0.0]]
    """
    if len(slopes) != len(found.moves):
        raise ValueError(f"{len(slopes)} slopes, {len(found.moves)} nodes: each node needs one")
    matrix: Floats = found.total * (slopes / found.moves)[:, np.newaxis]
    return matrix
