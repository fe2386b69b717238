"""The time of the contagion matrix and of a scenario, on a random venue of cross accounts.

``python benchmarks/contagion.py --symbols 500 --accounts 100000`` runs this file, in one process
without Kafka. It prints the processor time of each part, the least of some repeats.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from detectors.risk.contagion.drawn_radius import drawn_radius
from detectors.risk.contagion.growth import growth
from detectors.risk.contagion.importance import dangerous_edges, importance
from detectors.risk.contagion.radius import spectral_radius
from detectors.risk.contagion.triggered import Betas, reproduction_matrix, triggered
from detectors.risk.contract import Contract
from detectors.risk.flow_impact import flow_impact
from detectors.risk.margin_units import margin_units, marked
from detectors.risk.positions import Positions
from detectors.risk.tiers import tiers_of
from detectors.risk.venue_margins import Market
from detectors.risk.what_if.compare import VenueState, what_if
from detectors.risk.what_if.scenario import Scenario

HELD = 3
"""Positions of an account."""

DRAWS = 25

_Any = TypeVar("_Any")


def venue(symbols: int, accounts: int, seed: int) -> tuple[Positions, list[Market]]:
    """Accounts over three symbols each, with a median of 3 % of their notional to spare."""
    generator = np.random.default_rng(seed)
    positions = Positions()
    for symbol in range(symbols):
        positions.symbols.number(f"s{symbol}")
    marks = generator.uniform(1, 1000, symbols)
    contract = Contract(tiers_of([0.005, 0.01], [0.0, 1e6]))
    for account in range(accounts):
        spare, ratio = 0.0, 0.005 + math.exp(generator.normal(-3.5, 1))
        for symbol in generator.choice(symbols, min(HELD, symbols), replace=False):
            notional = float(np.exp(generator.normal(8, 1)))
            sign = 1 if generator.random() < 0.7 else -1
            entry = marks[symbol] * (1 + generator.normal(0, 0.01))
            quantity = sign * notional / marks[symbol]
            positions.put(
                f"a{account}", f"s{symbol}", quantity=quantity, entry_price=entry, cross=True
            )
            spare += notional * ratio
            spare -= quantity * (marks[symbol] - entry)
        positions.set_collateral(f"a{account}", spare)
    return positions, [Market(contract, mark, 0.02) for mark in marks.tolist()]


class Timer:
    """Times parts in milliseconds of processor time: the least of some repeats."""

    def __init__(self, repeats: int) -> None:
        self.milliseconds: dict[str, float] = {}
        self._repeats = repeats

    def timed(self, name: str, work: Callable[[], _Any]) -> _Any:
        """Return the result of some work."""
        least = math.inf
        for _ in range(self._repeats):
            began = time.process_time()
            result = work()
            least = min(least, time.process_time() - began)
        self.milliseconds[name] = 1e3 * least
        return result


def measure_contagion(
    symbols: int, accounts: int, move_bps: float = 25.0, repeats: int = 3
) -> dict[str, float]:
    """Return the time of each part in milliseconds, and what was computed."""
    positions, markets = venue(symbols, accounts, seed=1)
    generator = np.random.default_rng(2)
    betas = np.clip(generator.normal(0.8, 0.4, (symbols, symbols)), 0, 3)
    slopes = np.exp(generator.normal(-18.5, 0.5, 2 * symbols))
    drawn = slopes * np.exp(generator.normal(0, 0.3, (DRAWS, 1)))
    delays = generator.uniform(1, 20, (2 * symbols, 2 * symbols))
    marks = np.array([market.mark for market in markets])
    moves = np.full(symbols, move_bps / 1e4)
    timer = Timer(repeats)
    timed = timer.timed
    units = timed("margin units", lambda: margin_units(positions, markets))
    at = timed("marked", lambda: marked(units, markets, marks))
    found = timed(
        "triggered, with co-movement", lambda: triggered(units, at, moves, Betas(betas, betas))
    )
    matrix = timed("matrix", lambda: reproduction_matrix(found, slopes))
    spectrum = timed("radius and vectors", lambda: spectral_radius(matrix))
    timed("importance", lambda: importance(matrix, spectrum))
    timed("dangerous edges", lambda: dangerous_edges(matrix, spectrum))
    timed("growth", lambda: growth(matrix, delays))
    timed(f"radius of {DRAWS} draws", lambda: drawn_radius(found, drawn))
    impact = flow_impact(1e-9)
    state = VenueState(positions, markets, [(impact, impact)] * symbols, [None] * symbols)
    scenario = Scenario(
        {"*": -0.003, "s0": -0.03}, frozenset({"s1"}), {"s2": 1.5}, {"*": 0.4}, 0.1, 60.0
    )
    timed("scenario, before and after", lambda: what_if(state, scenario))
    return {
        "symbols": symbols,
        "positions": len(positions),
        "accounts": accounts,
        "radius": spectrum.value,
        "triggered": int(found.units.sum()),
        **{f"{name} (ms)": taken for name, taken in timer.milliseconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--move-bps", type=float, default=25.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    cost = measure_contagion(
        arguments.symbols, arguments.accounts, arguments.move_bps, arguments.repeats
    )
    for name, value in cost.items():
        print(f"{name:<34}{value:>12,.3g}" if name == "radius" else f"{name:<34}{value:>12,.0f}")


if __name__ == "__main__":
    main()
