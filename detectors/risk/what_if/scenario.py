"""A scenario: what happens to the prices, and which rules of the venue would be different."""

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from detectors.risk.impact import Impact
from detectors.risk.tiers import Tiers, tiers_of

EVERY = "*"
"""Stands for all symbols that are not named."""

_NOTHING: Mapping[str, float] = {}


class Scenario(NamedTuple):
    """A scenario; what is absent stays as it is.

    Attributes
    ----------
    shocks
        The move of each symbol's price as a ratio: -0.03 is a fall of 3 %.
    halted
        Symbols in which nothing trades: no position is closed there, and the mark price stands.
    maintenance
        A factor for each symbol's maintenance rates.
    depth
        A factor for each symbol's depth: with 0.5 the same sale moves the price twice as far.
    step_ratio
        A liquidation goes in steps of this share of the position, while it is below maintenance.
    mark_window_seconds
        The window of the mark price.

    In the mappings ``*`` stands for all symbols that are not named.
    """

    shocks: Mapping[str, float] = _NOTHING
    halted: frozenset[str] = frozenset()
    maintenance: Mapping[str, float] = _NOTHING
    depth: Mapping[str, float] = _NOTHING
    step_ratio: float | None = None
    mark_window_seconds: float | None = None

    @property
    def shock_alone(self) -> "Scenario":
        """The same shocks under the venue's present rules."""
        return Scenario(self.shocks)

    @property
    def changes_rules(self) -> bool:
        """Whether anything but the prices is different."""
        return self != self.shock_alone


def of_symbol(values: Mapping[str, float], symbol: str, otherwise: float) -> float:
    """Return the value for a symbol.

    >>> of_symbol({"*": 0.5, "X": 2.0}, "X", 1.0), of_symbol({"*": 0.5, "X": 2.0}, "Y", 1.0)
    (2.0, 0.5)
    >>> of_symbol({}, "Y", 1.0)
    1.0
    """
    return values.get(symbol, values.get(EVERY, otherwise))


def checked(scenario: Scenario, symbols: Collection[str]) -> Scenario:
    """Return the scenario.

    Parameters
    ----------
    scenario
        The scenario.
    symbols
        The symbols of the venue.

    Raises
    ------
    ValueError
        If it names a symbol that is not there, a number is out of range, or a symbol is halted and
        has a shock. The message names it.

    Examples
    --------
    >>> checked(Scenario(shocks={"X": -1.5}), ["X", "Y"])
    Traceback (most recent call last):
    ...
    ValueError: the shock of X is -150 %: it must be above -100 %
    """
    named = {*scenario.shocks, *scenario.maintenance, *scenario.depth} - {EVERY}
    unknown = sorted((named | scenario.halted) - set(symbols))
    if unknown:
        known = ", ".join(sorted(symbols)) or "none"
        raise ValueError(f"no positions of {', '.join(unknown)} are known; known symbols: {known}")
    for symbol, shock in scenario.shocks.items():
        if not (math.isfinite(shock) and shock > -1.0):
            raise ValueError(f"the shock of {symbol} is {100 * shock:g} %: it must be above -100 %")
        if symbol in scenario.halted:
            raise ValueError(f"{symbol} is halted and has a shock: its mark price stands still")
    for name, factors in (("maintenance", scenario.maintenance), ("depth", scenario.depth)):
        for symbol, factor in factors.items():
            if not (math.isfinite(factor) and factor > 0.0):
                raise ValueError(f"the {name} factor of {symbol} is {factor:g}: it must be above 0")
    step, window = scenario.step_ratio, scenario.mark_window_seconds
    if step is not None and not 0.0 < step <= 1.0:
        raise ValueError(f"the step is {100 * step:g} %: it must be above 0 and at most 100 %")
    if window is not None and not (math.isfinite(window) and window > 0.0):
        raise ValueError(f"the mark window is {window:g} s: it must be above 0")
    return scenario


def scaled_tiers(tiers: Tiers, factor: float) -> Tiers:
    """Return the tiers with all rates multiplied.

    Raises
    ------
    ValueError
        If a rate would not stay below 1.

    Examples
    --------
    >>> from detectors.risk.tiers import tiers_of
    >>> scaled_tiers(tiers_of([0.01, 0.02], [0.0, 1000.0]), 1.5)
    Tiers(floors=(0.0, 1000.0), rates=(0.015, 0.03), deductions=(0.0, 15.0))
    """
    return tiers_of([factor * rate for rate in tiers.rates], tiers.floors)


def scaled_impact(impact: Impact, depth: float) -> Impact:
    """Return the impact with so many times the depth: the same move takes so many times the sale.

    >>> import numpy as np
    >>> deeper = scaled_impact(Impact(np.array([0.0, 10.0]), np.array([0.0, 0.01]), 0.002), 2.0)
    >>> deeper.notional.tolist(), deeper.move.tolist(), deeper.beyond
    ([0.0, 20.0], [0.0, 0.01], 0.001)
    """
    return Impact(depth * impact.notional, impact.move, impact.beyond / depth)
