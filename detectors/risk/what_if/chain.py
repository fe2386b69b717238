"""The chain of liquidations across symbols, generation by generation.

In each generation every margin unit that is below maintenance at the present mark prices is closed,
whole or in part, by the venue's rule. That moves the prices of all symbols it held, and the next
generation is judged at the new mark prices. A generation is as long as the venue's pause between
two slices of a liquidation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.closing import Allocation, closing_shares
from detectors.risk.contract import profit, settlement_price
from detectors.risk.impact import Impact, moved_by
from detectors.risk.margin_units import MarginUnits, mark_symbol, marked, unit_sums
from detectors.risk.reduction import Reduction
from detectors.risk.venue_margins import Market
from detectors.table import Flags, Floats, Ints

MOST_GENERATIONS = 100

LEAST_RATIO, LARGEST_RATIO = 1e-6, 100.0
"""The range of a price over that before the shock. What a book that ends cannot take moves the
price without bound: to the end of this range, so that amounts stay finite."""

_NOTHING_RATIO = 1e-9
"""Less than this share of all notional is a rounding, not a generation."""


class Rules(NamedTuple):
    """How the venue liquidates.

    Attributes
    ----------
    reduction
        How much it closes. With steps, one step a generation, of the first size.
    allocation
        Which positions of a cross account go first.
    passed_ratio
        The share of the impact that the mark price of each symbol shows by the next generation.
    halted
        For each symbol: whether nothing trades in it.
    """

    reduction: Reduction
    allocation: Allocation
    passed_ratio: Floats
    halted: Flags


class Chain(NamedTuple):
    """What a chain does; money in the quote currency.

    Attributes
    ----------
    forced
        Notional closed in each generation and node, at the mark prices before the shock; of shape
        (generations, nodes).
    price_ratio
        For each symbol: the last mark price over that before the shock.
    book_ratio
        The same of the price in the book.
    accounts
        For each node: margin units that are closed in part or whole there.
    liquidated
        Margin units that are closed in part or whole, in all.
    below_at_once
        Those that were below maintenance before any price moved.
    shortfall
        For each node: the loss beyond collateral. A unit's loss counts in its nodes by what is
        closed in each.
    settled
        Whether the chain has ended; if not, it was cut after `MOST_GENERATIONS`.
    """

    forced: Floats
    price_ratio: Floats
    book_ratio: Floats
    accounts: Ints
    liquidated: int
    below_at_once: int
    shortfall: Floats
    settled: bool


def chain(
    units: MarginUnits,
    markets: Sequence[Market],
    impacts: Sequence[tuple[Impact, Impact]],
    shocks: Floats,
    rules: Rules,
    most: int = MOST_GENERATIONS,
) -> Chain:
    """Return what shocks to the mark prices do.

    After the longs of a symbol have been sold for V_l and its shorts bought back for V_s, its price
    is P (1 + shock - I_l(V_l) + I_s(V_s)); the mark price shows the share ``passed_ratio`` of the
    impact. Positions are closed at the price that half of their generation's sale has made.

    Parameters
    ----------
    units
        From `margin_units`.
    markets
        For each symbol number, with the present mark prices.
    impacts
        For each symbol number: the impact of a forced sale, and that of a forced purchase.
    shocks
        The move of each symbol, signed: a fall is negative.
    rules
        How the venue liquidates.
    most
        The chain is cut after so many generations.

    Raises
    ------
    ValueError
        If a shock is -1 or less.

    Examples
    --------
    Account a holds 1 X at 100 and 2 Y at 50 with 4 behind both; b holds 1 Y at 50, isolated, with
    2. A fall of X by 2.5 % takes 2.5 from a: 1.5 is left of the 1.975 that it needs. Its sale of Y
    moves that price by 4 %, to 48; b has nothing left then. The sale of b moves it further.

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.flow_impact import flow_impact
    >>> from detectors.risk.margin_units import margin_units
    >>> from detectors.risk.positions import Positions
    >>> from detectors.risk.tiers import tiers_of
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=1.0, entry_price=100.0, cross=True)
    >>> positions.put("a", "Y", quantity=2.0, entry_price=50.0, cross=True)
    >>> positions.put("b", "Y", quantity=1.0, entry_price=50.0, margin=2.0)
    >>> positions.set_collateral("a", 4.0)
    >>> markets = [Market(Contract(tiers_of([0.01])), mark, 0.1) for mark in (100.0, 50.0)]
    >>> impact = flow_impact(0.0004)
    >>> rules = Rules(Reduction(), "pro_rata", np.ones(2), np.zeros(2, np.bool_))
    >>> found = chain(margin_units(positions, markets), markets, [(impact, impact)] * 2,
    ...     np.array([-0.025, 0.0]), rules)
    >>> found.forced.tolist(), found.accounts.tolist(), found.liquidated
    ([[100.0, 0.0, 100.0, 0.0], [0.0, 0.0, 50.0, 0.0]], [1, 0, 2, 0], 2)
    >>> found.price_ratio.round(6).tolist()
    [0.935, 0.94]

    a sells X at 95.5 and Y at 49: a loss of 4.5 + 2, 2.5 more than it has. b sells at 47.5.

    >>> found.shortfall.round(6).tolist()
    [1.25, 0.0, 1.75, 0.0]

    References
    ----------
    [^1]: [Cont, R. and Schaanning, E., 2017. Fire sales, indirect contagion and systemic stress
    testing. Norges Bank Working Paper 2/2017.](https://doi.org/10.2139/ssrn.2541114)
    """
    if not np.all(shocks > -1.0):
        raise ValueError(f"shocks are {shocks.tolist()}: each must be above -1")
    run = _Run(units, markets, impacts, shocks, rules)
    while len(run.forced) < most and run.generation():
        pass
    return run.ended(settled=len(run.forced) < most)


class _Run:
    def __init__(
        self,
        units: MarginUnits,
        markets: Sequence[Market],
        impacts: Sequence[tuple[Impact, Impact]],
        shocks: Floats,
        rules: Rules,
    ) -> None:
        held = units.held
        self.markets, self.impacts, self.rules = markets, impacts, rules
        self.marks = np.array([market.mark for market in markets])
        self.shocks = np.where(rules.halted, 0.0, shocks)
        # What is left; the columns are this run's own.
        self.left = units._replace(held=held._replace(quantity=held.quantity.copy()))
        self.cash = held.collateral.copy()
        self.at = marked(self.left, markets, self.marks)
        self.first_quantity, self.first_notional = held.quantity, self.at.notional.copy()
        self.below_at_once = int(np.count_nonzero(self._below()))
        self.node = 2 * held.symbol.astype(np.int64) + (held.quantity < 0.0)
        self.tradable = ~rules.halted[held.symbol]
        whole_below = rules.reduction.whole_below
        self.small = unit_sums(units, self.first_notional) < whole_below
        self.closed = np.zeros(len(held.quantity))
        self.sold = np.zeros(2 * len(markets))
        self.forced: list[Floats] = []
        self._mark(np.flatnonzero(self.shocks))

    def _below(self) -> Flags:
        """Return which units are below maintenance and hold anything."""
        slack = self.cash + unit_sums(self.left, self.at.gained - self.at.required)
        held = unit_sums(self.left, np.abs(self.left.held.quantity)) > 0.0
        return (slack <= 0.0) & held

    def generation(self) -> bool:
        """Close what is below maintenance; return whether there was any."""
        unit = self.left.held.account
        below = self._below()
        rows = np.flatnonzero(below[unit] & self.tradable & (self.left.held.quantity != 0.0))
        share = self._shares(rows)
        quantity = share * self.left.held.quantity[rows]
        notional = self.first_notional[rows] * np.abs(quantity / self.first_quantity[rows])
        newly = np.bincount(self.node[rows], notional, len(self.sold)).astype(np.float64)
        if not newly.sum() > _NOTHING_RATIO * self.first_notional.sum():
            return False
        self._sell(rows, quantity, self._book(self.sold + 0.5 * newly))
        self.sold += newly
        self.closed[rows] += notional
        self.forced.append(newly)
        touched = np.flatnonzero(newly.reshape(-1, 2).any(axis=1))
        self._mark(touched)
        return True

    def _shares(self, rows: Ints) -> Floats:
        """Return the share of what is left of each position that is closed now."""
        rule, at = self.rules.reduction, self.at
        chosen, unit = np.unique(self.left.held.account[rows], return_inverse=True)
        equity = self.cash + unit_sums(self.left, at.gained)
        # What a halted symbol requires cannot be freed.
        kept = unit_sums(self.left, np.where(self.tradable, 0.0, at.required))
        spare = (equity - rule.restored_ratio * kept)[chosen]
        whole = (spare <= 0.0) | self.small[chosen]
        if rule.kind == "steps":
            left = self.left.held.quantity[rows] / self.first_quantity[rows]
            share = np.minimum(rule.step_ratio / left, 1.0)
            # A rest of a rounding is no step.
            share = np.where(left - rule.step_ratio <= 1e-9, 1.0, share)
            return np.where(whole[unit], 1.0, share)
        share = closing_shares(
            rule, self.rules.allocation, unit, at.required[rows], at.cost[rows],
            at.notional[rows], spare,
        )  # fmt: skip
        return np.where(whole[unit], 1.0, share)

    def _book(self, sold: Floats) -> Floats:
        """Return the price in the book of each symbol over that before the shock."""
        return np.clip(1.0 + self.shocks - self._pushed(sold), LEAST_RATIO, LARGEST_RATIO)

    def _pushed(self, sold: Floats) -> Floats:
        """Return by how much sales less purchases push each price down."""
        pushed = np.zeros(len(self.markets))
        for symbol in np.flatnonzero(sold.reshape(-1, 2).any(axis=1)).tolist():
            for side, sign in enumerate((1.0, -1.0)):
                amount = sold[2 * symbol + side : 2 * symbol + side + 1]
                if amount[0] > 0.0:
                    moved = float(moved_by(self.impacts[symbol][side], amount)[0])
                    pushed[symbol] += sign * min(moved, LARGEST_RATIO)
        return pushed

    def _sell(self, rows: Ints, quantity: Floats, ratio: Floats) -> None:
        """Close quantities at the prices in the book, and charge their units."""
        held = self.left.held
        gained, cost = np.empty(len(rows)), np.empty(len(rows))
        begins = np.searchsorted(held.symbol[rows], np.arange(len(self.markets) + 1))
        for symbol in np.flatnonzero(np.diff(begins)).tolist():
            part = slice(begins[symbol], begins[symbol + 1])
            contract = self.markets[symbol].contract
            price = self.marks[symbol : symbol + 1] * ratio[symbol]
            entry = held.entry_price[rows[part]]
            gained[part] = profit(contract, quantity[part], entry, price)
            cost[part] = np.abs(quantity[part]) * settlement_price(contract, price)
        gained -= self.rules.reduction.fee_ratio * cost
        self.cash += np.bincount(held.account[rows], gained, len(self.cash))
        held.quantity[rows] -= quantity
        whole = np.abs(held.quantity[rows]) <= 1e-12 * np.abs(self.first_quantity[rows])
        held.quantity[rows[whole]] = 0.0

    def _mark(self, symbols: Ints) -> None:
        """Mark the positions of some symbols at the present prices."""
        ratio = self.price_ratio()
        for symbol in symbols.tolist():
            mark = float(self.marks[symbol] * ratio[symbol])
            mark_symbol(self.at, self.left, symbol, self.markets[symbol].contract, mark)

    def price_ratio(self) -> Floats:
        pushed = self.rules.passed_ratio * self._pushed(self.sold)
        return np.clip(1.0 + self.shocks - pushed, LEAST_RATIO, LARGEST_RATIO)

    def ended(self, *, settled: bool) -> Chain:
        held, nodes = self.left.held, len(self.sold)
        hit = np.flatnonzero(self.closed)
        units = np.unique(held.account[hit])
        left_over = self.cash + unit_sums(self.left, self.at.gained)
        lost = np.zeros(len(self.cash))
        lost[units] = np.maximum(-left_over[units], 0.0)
        part = self.closed[hit] / unit_sums(self.left, self.closed)[held.account[hit]]
        price_ratio = self.price_ratio()
        settled_at = np.array([
            1.0 if not market.contract.inverse else mark * ratio
            for market, mark, ratio in zip(self.markets, self.marks, price_ratio, strict=True)
        ])  # fmt: skip
        beyond = lost[held.account[hit]] * part * settled_at[held.symbol[hit]]
        return Chain(
            np.array(self.forced).reshape(len(self.forced), nodes),
            price_ratio,
            self._book(self.sold),
            np.bincount(self.node[hit], minlength=nodes),
            len(units),
            self.below_at_once,
            np.bincount(self.node[hit], beyond, nodes).astype(np.float64),
            settled,
        )
