"""Scenarios in which the venue changes its margins: a shock, an oscillation, an orderly step.

Every function has the parameters of those in `service.exchange.scenarios.stress`. Each change is
announced, and takes effect after the venue's notice.
"""

from service.exchange.controls import Episode, Ramp
from service.exchange.scenarios.stress import Symbols, leverage_buildup
from service.exchange.structure import Structure

CAREFUL = Structure(takeover=True, leverage_range=(0.0, 0.25))
"""Accounts far from a liquidation."""

SHOCK_SCALE = 2.0
SHOCK_SHARE = 0.4
"""Margin rates double for this share of the length."""

FLAP_SCALE = 1.1
FLAPS = 4
"""Margin rates rise by a tenth and fall again, four times."""

STEP_SCALE = 1.1


def parameter_shock(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Many accounts raise their leverage, and then the venue doubles its margins."""
    raised, end = start + (1.0 - SHOCK_SHARE) * length, start + length
    (buildup,) = leverage_buildup(strength, start, raised - start, symbols)
    ramps = (
        Ramp("margin_scale", raised, raised, 1.0 + (SHOCK_SCALE - 1.0) * strength),
        Ramp("margin_scale", end, end, 1.0),
    )
    return buildup, Episode("parameter_shock", raised, end, strength, ramps, symbols)


def parameter_flap(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """The venue raises and lowers its margins again and again, though nothing happens."""
    each = length / (2.0 * FLAPS)
    scales = (1.0 + (FLAP_SCALE - 1.0) * strength, 1.0) * FLAPS
    times = [start + number * each for number in range(len(scales))]
    ramps = tuple(
        Ramp("margin_scale", at, at, scale) for at, scale in zip(times, scales, strict=True)
    )
    return (Episode("parameter_flap", start, start + length, strength, ramps, symbols),)


def margin_step(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """The venue announces margins that are a tenth higher; no account is near them."""
    ramps = (Ramp("margin_scale", start, start, 1.0 + (STEP_SCALE - 1.0) * strength),)
    return (Episode("margin_step", start, start + length, strength, ramps, symbols),)
