"""Stress, manipulation and changes of activity, as changes of the participants' parameters.

Every function takes the strength (1 is nominal), the start and length in seconds, and the positions
of the affected symbols (None: all).
"""

from service.exchange.controls import Episode, Ramp

Symbols = tuple[int, ...] | None


def nothing(_: float, __: float, ___: float, ____: Symbols) -> tuple[Episode, ...]:
    """Inject nothing."""
    return ()


def surge(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """All participants are ten times as active."""
    end = start + length
    ramps = (
        Ramp("activity", start, start + 20, 1 + 9 * strength),
        Ramp("activity", end - 20, end, 1.0),
    )
    return (Episode("surge", start, end, strength, ramps, symbols),)


def cancel_burst(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers pull their quotes within two seconds and return slowly."""
    ramps = (
        Ramp("makers", start, start + 1.5, max(1 - 0.9 * strength, 0.0)),
        Ramp("makers", start + 15, start + length, 1.0),
    )
    return (Episode("cancel_burst", start, start + length, strength, ramps, symbols),)


def leverage_buildup(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Many accounts raise their leverage and buy."""
    end = start + length
    ramps = (
        Ramp("leverage", start, end, 0.6 + 0.4 * min(strength, 1.0)),
        Ramp("eager_share", start, end, 0.35 * strength),
        Ramp("eager_flow", start, start + 0.3 * length, 0.5 * min(strength, 1.0)),
        Ramp("eager_flow", end, end + 30, 0.0),
        Ramp("eager_share", end + 30, end + 31, 0.0),
    )
    return (Episode("leverage_buildup", start, end, strength, ramps, symbols),)


def leverage_jump(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """One account moves to maximum leverage at once and keeps trading."""
    end = start + length
    ramps = (
        Ramp("leverage", start, start, min(strength, 1.0)),
        Ramp("eager_share", start, start, 1e-6),
        Ramp("eager_flow", start, start, 0.1),
        Ramp("eager_flow", end, end, 0.0),
        Ramp("eager_share", end, end, 0.0),
    )
    return (Episode("leverage_jump", start, end, strength, ramps, symbols),)


def leverage_creep(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """One account raises its leverage step by step and keeps trading."""
    end = start + length
    ramps = (
        Ramp("leverage", start, end, min(strength, 1.0)),
        Ramp("eager_share", start, start, 1e-6),
        Ramp("eager_flow", start, start, 0.1),
        Ramp("eager_flow", end, end, 0.0),
        Ramp("eager_share", end, end, 0.0),
    )
    return (Episode("leverage_creep", start, end, strength, ramps, symbols),)


def leverage_rush(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Many accounts raise their leverage at once and buy."""
    end = start + length
    ramps = (
        Ramp("leverage", start, start, 0.6 + 0.4 * min(strength, 1.0)),
        Ramp("eager_share", start, start, 0.35 * strength),
        Ramp("eager_flow", start, start, 0.5 * min(strength, 1.0)),
        Ramp("eager_flow", end, end + 30, 0.0),
        Ramp("eager_share", end + 30, end + 31, 0.0),
    )
    return (Episode("leverage_rush", start, end, strength, ramps, symbols),)


def draining_book(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers reduce their quote sizes over the whole length."""
    end = start + length
    ramps = (
        Ramp("depth", start, end, max(1 - 0.85 * strength, 0.05)),
        Ramp("depth", end + 60, end + 180, 1.0),
    )
    return (Episode("draining_book", start, end, strength, ramps, symbols),)


SHOCK_SECONDS = 60.0
SHOCK_DEPTHS = 10.0
"""The size of the shock sale within a minute, in near depths of the calm book. On its own it is an
orderly trade (scenario big_trade) that moves the price by some tens of basis points."""


def big_trade(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """One urgent seller."""
    rate = SHOCK_DEPTHS * strength / length
    ramps = (
        Ramp("sell_flow", start, start, rate),
        Ramp("sell_flow", start + length, start + length, 0),
    )
    return (Episode("big_trade", start, start + length, strength, ramps, symbols),)


def cascade(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """A leverage build-up, a draining book, then a sale."""
    shock = start + length
    (buildup,) = leverage_buildup(strength, start, length, symbols)
    (drain,) = draining_book(strength, start + 0.3 * length, 0.7 * length, symbols)
    (trade,) = big_trade(1.0, shock, SHOCK_SECONDS, symbols)
    return (buildup, drain, trade)


def layering(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """One account layers the ask side and buys at the same time."""
    end = start + length
    ramps = (
        Ramp("layering", start, start, 1.5 * strength),
        Ramp("layering", end, end, 0.0),
    )
    return (Episode("layering", start, end, strength, ramps, symbols),)


def spoofing(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """One account repeatedly shows a large ask for a fraction of a second, and buys."""
    end = start + length
    ramps = (
        Ramp("spoofing", start, start, strength),
        Ramp("spoofing", end, end, 0.0),
    )
    return (Episode("spoofing", start, end, strength, ramps, symbols),)


def quote_stuffing(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """One account places and cancels orders faster than all other participants together."""
    end = start + length
    ramps = (
        Ramp("stuffing", start, start, 4 * strength),
        Ramp("stuffing", end, end, 0.0),
    )
    return (Episode("quote_stuffing", start, end, strength, ramps, symbols),)


def spread_blowout(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers quote ten times as wide within seconds."""
    end = start + length
    ramps = (
        Ramp("spread", start, start + 3, 1 + 9 * strength),
        Ramp("spread", end, end + 30, 1.0),
    )
    return (Episode("spread_blowout", start, end, strength, ramps, symbols),)


def volatility_regime(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Volatility is three times as high."""
    end = start + length
    ramps = (
        Ramp("volatility", start, start + 60, 1 + 2 * strength),
        Ramp("volatility", end, end + 60, 1.0),
    )
    return (Episode("volatility_regime", start, end, strength, ramps, symbols),)


def lull(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """Almost no activity, then normal activity."""
    end = start + length
    ramps = (
        Ramp("activity", start, start + 30, max(1 - 0.98 * strength, 0.005)),
        Ramp("activity", end, end + 10, 1.0),
    )
    return (Episode("lull", start, end, strength, ramps, symbols),)


def requote_rhythm(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers renew their quotes three times as often, permanently."""
    end = start + length
    ramps = (Ramp("requotes", start, start, 1 + 2 * strength),)
    return (Episode("requote_rhythm", start, end, strength, ramps, symbols),)
