"""How liquidity crises are made: withdrawals, crowding in a thin book, a crash that rebounds.

Every function takes what those of `service.exchange.scenarios.provocations` take.
"""

from service.exchange.controls import Episode, Ramp
from service.exchange.scenarios.provocations import Symbols

RETURN_SECONDS = 60.0
"""Makers that stayed away come back over so long."""


def pulled_book(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Makers pull all of their bids within a second, and stay away from that side.

    On 6 May 2010 the bids of the E-mini future fell to less than a hundredth of the morning's
    (CFTC & SEC 2010); on 10 October 2025 the books for bitcoin looked empty on the large venues,
    the bids above all (Kaiko 2025).
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

    On 10 October 2025 makers withdrew from bitcoin and nearly everything else at once, all by
    themselves, because their models saw the same (Kaiko 2025 calls it a voluntary gap).
    """
    end = start + length
    ramps = (
        Ramp("makers", start, start + 10, max(1 - 0.8 * strength, 0.0)),
        Ramp("makers", start + 0.5 * length, end, 1.0),
    )
    return (Episode("market_wide", start, end, strength, ramps, symbols),)


NEAR_CRITICAL = 1.5
HASTE = 5.0
"""Market orders set off nine tenths of another one each, where it is six tenths in calm, and within
a fraction of the time: Hardiman, Bercot & Bouchaud (2013) find nearly one, and most of it soon."""


def thin_clustering(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Trades come in clusters, at levels that are thin and that nobody refills.

    Makers show a third of their sizes, and renew them a third as often. Slow refilling after
    trades is what Bouchaud, Farmer & Lillo (2009) call a crisis of liquidity: they find the book
    to be a small flow between what is revealed and what is taken, not a stock.
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
"""Selling of so many near depths over the first part of a flash crash."""


def flash_crash(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A seller who does not look at the price; makers leave; it ends, and the price comes back.

    The course is that of 6 May 2010: the E-mini future fell by five per cent within minutes, most
    of its bids went, and most of the fall was made good in the minutes after (CFTC & SEC 2010).
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
