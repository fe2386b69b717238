"""Random positions of one symbol, and what the definitions say about each."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from detectors.risk.contract import Contract, profit, settlement_price
from detectors.risk.ladder import Ladder, ladder_of
from detectors.risk.liquidation import bankruptcy_prices, liquidation_prices
from detectors.risk.reduction import Reduction, sufficient_reductions
from detectors.risk.tiers import maintenance, tiers_of


class Book(NamedTuple):
    """Isolated positions of one side; each backed by its margin."""

    contract: Contract
    side: str
    mark: float
    quantity: np.ndarray
    entry: np.ndarray
    margin: np.ndarray

    def ladder(self) -> Ladder:
        columns = (self.quantity, self.entry, self.margin)
        return ladder_of(
            self.contract, self.side, self.mark, np.arange(len(self.quantity)), self.quantity,
            liquidation_prices(self.contract, *columns), bankruptcy_prices(self.contract, *columns),
        )  # fmt: skip

    def moved(self, move: float) -> float:
        return self.mark * (1 - move if self.side == "long" else 1 + move)

    def equity(self, price: float) -> np.ndarray:
        at = np.full_like(self.quantity, price)
        return self.margin + profit(self.contract, self.quantity, self.entry, at)

    def below(self, price: float) -> np.ndarray:
        """Whether each position is below maintenance at this price."""
        y = settlement_price(self.contract, np.full_like(self.quantity, price))
        required = maintenance(self.contract.tiers, np.abs(self.quantity) * y)
        return self.equity(price) <= required

    def notional(self) -> np.ndarray:
        size = np.abs(self.quantity)
        return size if self.contract.inverse else size * self.mark

    def forced_shares(self, rule: Reduction, move: float) -> np.ndarray:
        """The share of each position that has to be closed if the mark price jumps so far."""
        price = self.moved(move)
        below = self.below(price)
        y = settlement_price(self.contract, np.full_like(self.quantity, price))
        needed = sufficient_reductions(
            self.contract.tiers, rule, self.quantity, y, self.equity(price)
        ) / np.abs(self.quantity)  # fmt: skip
        whole = (self.notional() < rule.whole_below) & (rule.kind != "full")
        if rule.kind == "full":
            needed = np.ones_like(needed)
        elif rule.kind == "steps":
            steps = np.maximum(np.ceil(needed / rule.step_ratio - 1e-9), 1)
            needed = np.minimum(steps * rule.step_ratio, 1.0)
        return np.where(below, np.where(whole, 1.0, needed), 0.0)


@st.composite
def books(draw, *, most=8, most_tiers=3, inverse=None):
    inverse = draw(st.booleans()) if inverse is None else inverse
    count = draw(st.integers(1, most_tiers))
    rates = sorted(draw(st.lists(st.floats(0.004, 0.04), min_size=count, max_size=count)))
    widths = draw(st.lists(st.floats(20, 500), min_size=count - 1, max_size=count - 1))
    unit = 0.01 if inverse else 1.0  # floors of an inverse contract are in the base currency
    floors = [0.0, *(unit * np.cumsum(widths)).tolist()]
    contract = Contract(tiers_of(rates, floors), inverse)
    side = draw(st.sampled_from(["long", "short"]))
    sign = 1.0 if side == "long" else -1.0
    size = draw(st.integers(1, most))
    column = st.lists(st.floats(0, 1), min_size=size, max_size=size).map(np.array)
    mark = 100.0
    notional = 10.0 + 990.0 * draw(column)
    quantity = sign * (notional if inverse else notional / mark)
    entry = mark * (1 + 0.02 * (draw(column) - 0.5))
    at_entry = np.abs(quantity) * settlement_price(contract, entry)
    margin = at_entry * (0.02 + 0.1 * draw(column))
    return Book(contract, side, mark, quantity, entry, margin)


@st.composite
def rules(draw):
    return Reduction(
        draw(st.sampled_from(["full", "sufficient", "steps"])),
        restored_ratio=draw(st.sampled_from([1.0, 1.2, 1.5])),
        fee_ratio=draw(st.sampled_from([0.0, 0.002, 0.012])),
        slippage_ratio=draw(st.sampled_from([0.0, 0.001])),
        step_ratio=draw(st.sampled_from([0.2, 0.3, 1.0])),
        whole_below=draw(st.sampled_from([0.0, 200.0])),
    )
