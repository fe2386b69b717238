"""Scenarios of the mark price: one that follows slowly, and one that breaks its declared rule.

Every function has the parameters of those in `service.exchange.scenarios.stress`.
"""

from dataclasses import replace

from service.exchange.breaches import BREACHES
from service.exchange.controls import Episode
from service.exchange.rules import KEPT, PriceRules
from service.exchange.scenarios.stress import Symbols, cascade
from service.exchange.structure import Structure

SLOW = Structure(rules=replace(KEPT, prices=PriceRules(window_seconds=300.0)))
"""The venue averages the premium over five minutes, and says so."""

BROKEN = Structure(rules=BREACHES["silent_window"].rules("silent_window"))
"""From the fifth minute on the venue averages three times as long as it says."""


def slow_mark(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade under a slow mark price: it begins late, and goes on after the book is back."""
    return _renamed("slow_mark", cascade(strength, start, length, symbols))


def broken_mark(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade under a mark price that does not follow its declared rule."""
    return _renamed("broken_mark", cascade(strength, start, length, symbols))


def _renamed(kind: str, episodes: tuple[Episode, ...]) -> tuple[Episode, ...]:
    """Name the sale that sets the cascade off after the scenario."""
    *before, sale = episodes
    return (*before, replace(sale, kind=kind))
