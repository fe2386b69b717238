"""Scenarios in which the venue treats liquidated accounts badly, by its rules or against them.

Every function has the parameters of those in `service.exchange.scenarios.stress`.
"""

from service.exchange.breaches import rules_with
from service.exchange.controls import Episode
from service.exchange.scenarios.stress import Symbols, cascade
from service.exchange.structure import Structure

COSTLY = Structure(takeover=True, liquidation_fee=0.0125)
"""Binance takes 1.25 % of a liquidation's notional, and asks 0.4 % in its lowest tier."""

UNFAIR = Structure(rules=rules_with("small_wait", 10.0))
"""Small accounts are liquidated ten seconds after they are due, large ones at once."""

EXCESSIVE = Structure(rules=rules_with("takes_too_much", 0.5))
"""Steps close 30 % of a position, and the venue states that they close 20 %."""


def unfair_liquidation(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade at a venue that lets small accounts wait for their liquidation."""
    return cascade(strength, start, length, symbols)


def over_liquidation(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade at a venue that closes more than its rule in each step."""
    return cascade(strength, start, length, symbols)


def stepped_liquidation(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade at a venue that closes in the steps of its rule."""
    return cascade(strength, start, length, symbols)


def costly_liquidation(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade at a venue whose liquidation fee is more than its maintenance margin."""
    return cascade(strength, start, length, symbols)
