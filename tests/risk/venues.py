"""Random venues of accounts over several symbols, and what the definitions say about each."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from detectors.risk.contract import Contract
from detectors.risk.positions import Positions
from detectors.risk.tiers import tiers_of
from detectors.risk.venue_margins import Market

SYMBOLS = ("X", "Y", "Z")
MARKS = (100.0, 50.0, 10.0)
RATES = (0.01, 0.02, 0.005)
MARKETS = [
    Market(Contract(tiers_of([rate])), mark, 0.02) for rate, mark in zip(RATES, MARKS, strict=True)
]


class Held(NamedTuple):
    """A position; the symbol by number."""

    symbol: int
    quantity: float
    entry: float


class Unit(NamedTuple):
    """An account, or an isolated position: what is liquidated together."""

    name: str
    cross: bool
    collateral: float
    held: tuple[Held, ...]

    def equity(self, marks):
        return self.collateral + sum(
            held.quantity * (marks[held.symbol] - held.entry) for held in self.held
        )

    def required(self, marks, rates=RATES):
        return sum(
            rates[held.symbol] * abs(held.quantity) * marks[held.symbol] for held in self.held
        )

    def slack(self, marks, rates=RATES):
        return self.equity(marks) - self.required(marks, rates)


def node(held: Held) -> int:
    return 2 * held.symbol + (held.quantity < 0)


def positions_of(units: list[Unit]) -> Positions:
    positions = Positions()
    for name in SYMBOLS:  # numbers the symbols in the order of the markets
        positions.symbols.number(name)
    for unit in units:
        for held in unit.held:
            positions.put(
                unit.name, SYMBOLS[held.symbol], quantity=held.quantity, entry_price=held.entry,
                margin=np.nan if unit.cross else unit.collateral, cross=unit.cross,
            )  # fmt: skip
        if unit.cross:
            positions.set_collateral(unit.name, unit.collateral)
    return positions


@st.composite
def venues(draw, most=8, isolated=True):
    units = []
    for number in range(draw(st.integers(1, most))):
        cross = not isolated or draw(st.booleans())
        symbols = draw(
            st.lists(st.integers(0, 2), min_size=1, max_size=3 if cross else 1, unique=True)
        )
        held = []
        for symbol in symbols:
            notional = draw(st.floats(10, 1000))
            sign = draw(st.sampled_from([-1, 1]))
            entry = MARKS[symbol] * draw(st.floats(0.97, 1.03))
            held.append(Held(symbol, sign * notional / MARKS[symbol], entry))
        bare = Unit(f"a{number}", cross, 0.0, tuple(held))
        gross = sum(abs(h.quantity) * MARKS[h.symbol] for h in held)
        spare = draw(st.one_of(st.floats(-0.01, 0.05), st.just(0.2))) * gross
        units.append(bare._replace(collateral=spare - bare.slack(MARKS)))
    return units
