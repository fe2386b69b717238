"""How a session's ordinary turns are made: openings, lulls, little flow, a gap, a busier market.

None of them is stress. Every function has the parameters of the functions in
`service.exchange.scenarios.provocations`.
"""

from service.exchange.controls import Episode, Ramp
from service.exchange.scenarios.provocations import Symbols

QUIET_ACTIVITY = 0.02
"""What is left of everybody's activity before an opening and in a lull."""


def opening_burst(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Hardly anybody acts until the opening; then everybody does, and calms down.

    What comes before the opening is no episode of its own.
    """
    (burst,) = first_minutes(strength, start, length, symbols)
    before = (Ramp("activity", 0.0, 0.0, QUIET_ACTIVITY),) if start > 0 else ()
    ramps = before + burst.ramps
    return (Episode("opening_burst", start, start + length, strength, ramps, symbols),)


def first_minutes(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Everybody acts ten times as often at first, and calms down evenly.

    Activity is highest at the opening and falls from there (Jain & Joh 1988; in LOBSTER's sample of
    AAPL the first five minutes have 3.5 times the events of the median minute, the busiest minute
    nearly seven times). Ten times is as in a surge.
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
    """Hardly anybody acts for an hour, as long as CME Globex stops every day; then all come back.

    Unlike there, a few orders still come in.
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
    """A contract that is traded a tenth as much as the others, for good."""
    ramps = (Ramp("activity", start, start, max(1 - 0.9 * strength, 0.005)),)
    return (Episode("quiet_listing", start, start + length, strength, ramps, symbols),)


def feed_gap(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """What the venue publishes does not arrive, while the market goes on; then it does again.

    At strength 1 nothing arrives, below it that share of the events is lost.
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
    """Everybody acts ten times as often, as in a surge, but it lasts."""
    end = start + length
    ramps = (
        Ramp("activity", start, start + 20, 1 + 9 * strength),
        Ramp("activity", end, end + 60, 1.0),
    )
    return (Episode("activity_regime", start, end, strength, ramps, symbols),)
