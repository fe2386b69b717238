"""Ordinary session phases: openings, lulls, low flow, a feed gap, a busier market.

None of them is stress. Every function has the parameters of those in
`service.exchange.scenarios.stress`.
"""

from service.exchange.controls import Episode, Ramp
from service.exchange.scenarios.stress import Symbols

QUIET_ACTIVITY = 0.02
"""The share of normal activity before an opening and in a lull."""


def opening_burst(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Almost no activity until the opening, then a burst that declines.

    The time before the opening is not an episode of its own.
    """
    (burst,) = first_minutes(strength, start, length, symbols)
    before = (Ramp("activity", 0.0, 0.0, QUIET_ACTIVITY),) if start > 0 else ()
    ramps = before + burst.ramps
    return (Episode("opening_burst", start, start + length, strength, ramps, symbols),)


def first_minutes(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """All participants start ten times as active; the activity declines linearly.

    Activity is highest at the opening and falls from there (Jain & Joh 1988; in LOBSTER's sample of
    AAPL the first five minutes have 3.5 times the events of the median minute, the busiest minute
    nearly seven times). The factor of ten is that of a surge.
    """
    end = start + length
    ramps = (
        Ramp("activity", start, start, 1 + 9 * strength),
        Ramp("activity", start + 1, end, 1.0),
    )
    return (Episode("first_minutes", start, end, strength, ramps, symbols),)


def long_lull(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Almost no activity for an hour, the length of CME Globex's daily halt; then normal activity.

    Unlike in that halt, a few orders still arrive.
    """
    end = start + length
    ramps = (
        Ramp("activity", start, start + 30, max(1 - (1 - QUIET_ACTIVITY) * strength, 0.005)),
        Ramp("activity", end, end + 10, 1.0),
    )
    return (Episode("long_lull", start, end, strength, ramps, symbols),)


def quiet_listing(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A contract with a tenth of the other contracts' flow, permanently."""
    ramps = (Ramp("activity", start, start, max(1 - 0.9 * strength, 0.005)),)
    return (Episode("quiet_listing", start, start + length, strength, ramps, symbols),)


def feed_gap(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """Published events do not arrive, while the market continues; afterwards they arrive again.

    At strength 1 no event arrives. Below strength 1, that share of the events is lost.
    """
    end = start + length
    ramps = (
        Ramp("lost", start, start, min(strength, 1.0)),
        Ramp("lost", end, end, 0.0),
    )
    return (Episode("feed_gap", start, end, strength, ramps, symbols),)


def activity_regime(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """All participants are ten times as active, as in a surge, for longer."""
    end = start + length
    ramps = (
        Ramp("activity", start, start + 20, 1 + 9 * strength),
        Ramp("activity", end, end + 60, 1.0),
    )
    return (Episode("activity_regime", start, end, strength, ramps, symbols),)


def auction(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """A call auction: orders rest and cross, and trade at one price when it ends.

    Traders go on as usual, so that the book crosses within seconds.
    """
    return (_state("auction", "auction", strength, start, length, symbols),)


def halt(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """The venue halts a contract, takes no orders, and reopens it with an auction."""
    return (
        _state("halt", "halted", strength, start, length, symbols),
        _state("reopening_auction", "auction", strength, start + length, length / 4, symbols),
    )


def expiry(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """Contracts expire, all at once; ``length`` is that of the episode, they do not come back."""
    ramps = (Ramp("expired", start, start, 1.0),)
    return (Episode("expiry", start, start + length, strength, ramps, symbols),)


def _state(
    kind: str, parameter: str, strength: float, start: float, length: float, symbols: Symbols
) -> Episode:
    end = start + length
    ramps = (Ramp(parameter, start, start, 1.0), Ramp(parameter, end, end, 0.0))
    return Episode(kind, start, end, strength, ramps, symbols)
