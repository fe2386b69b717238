"""Liquidity crises: withdrawals of makers, clustered trades in a thin book, a crash that rebounds.

Every function has the parameters of those in `service.exchange.scenarios.stress`.
"""

from service.exchange.controls import Episode, Ramp
from service.exchange.scenarios.stress import Symbols

RETURN_SECONDS = 60.0
"""Makers that stayed away return over this time."""


def pulled_book(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers pull all their bids within a second and quote none until the end.

    On 6 May 2010 the bids of the E-mini future fell below one per cent of the morning's
    (CFTC & SEC 2010). On 10 October 2025 the bitcoin books of the large venues looked empty,
    above all on the bid side (Kaiko 2025).
    """
    end = start + length
    ramps = (
        Ramp("bids", start, start, max(1 - strength, 0.0)),
        Ramp("bids", end, end + RETURN_SECONDS, 1.0),
    )
    return (Episode("pulled_book", start, end, strength, ramps, symbols),)


def market_wide(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers leave several contracts within the same ten seconds.

    On 10 October 2025 makers withdrew from bitcoin and nearly all other contracts at once, without
    coordination, because their models saw the same data (Kaiko 2025: a voluntary gap).
    """
    end = start + length
    ramps = (
        Ramp("makers", start, start + 10, max(1 - 0.8 * strength, 0.0)),
        Ramp("makers", start + 0.5 * length, end, 1.0),
    )
    return (Episode("market_wide", start, end, strength, ramps, symbols),)


NEAR_CRITICAL = 1.5
HASTE = 5.0
"""Each market order triggers 0.9 others on average, against 0.6 in calm conditions, at a fraction
of the delay. Hardiman, Bercot & Bouchaud (2013) find a ratio near one, mostly at short delays."""


def thin_clustering(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Trades cluster in a thin book that is refilled slowly.

    Makers show a third of their sizes and renew them a third as often. Bouchaud, Farmer & Lillo
    (2009) call slow refilling after trades a crisis of liquidity. They find the book to be a small
    flow between revealed and taken liquidity, not a stock.
    """
    end = start + length
    ramps = (
        Ramp("excitement", start, start, 1 + (NEAR_CRITICAL - 1) * min(strength, 1.0)),
        Ramp("haste", start, start, 1 + (HASTE - 1) * min(strength, 1.0)),
        Ramp("depth", start, start + 20, max(1 - 0.67 * strength, 0.1)),
        Ramp("requotes", start, start + 20, max(1 - 0.67 * strength, 0.1)),
        Ramp("excitement", end, end, 1.0),
        Ramp("haste", end, end, 1.0),
        Ramp("depth", end, end + RETURN_SECONDS, 1.0),
        Ramp("requotes", end, end + RETURN_SECONDS, 1.0),
    )
    return (Episode("thin_clustering", start, end, strength, ramps, symbols),)


FALL_SHARE = 0.4
FALL_DEPTHS = 30.0
"""Near depths sold over the first part of a flash crash."""


def flash_crash(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A seller ignores the price and makers leave; then selling stops and the price recovers.

    Modelled on 6 May 2010: the E-mini future fell by five per cent within minutes, most of its bids
    disappeared, and the price recovered most of the fall within minutes (CFTC & SEC 2010).
    """
    turn = start + FALL_SHARE * length
    end = start + length
    ramps = (
        Ramp("sell_flow", start, start, FALL_DEPTHS * strength / (turn - start)),
        Ramp("makers", start, turn, max(1 - 0.8 * strength, 0.0)),
        Ramp("sell_flow", turn, turn, 0.0),
        Ramp("makers", turn, turn + 0.5 * (end - turn), 1.0),
    )
    return (Episode("flash_crash", start, end, strength, ramps, symbols),)
