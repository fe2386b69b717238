"""Scenarios of the risk of positions: contagion, the insurance fund, margins, and safe positions.

Every function has the parameters of those in `service.exchange.scenarios.stress`. Where two symbols
take part, the first is where the stress begins.
"""

from dataclasses import replace

from service.exchange.controls import Episode, Ramp
from service.exchange.scenarios.stress import (
    SHOCK_SECONDS,
    Symbols,
    big_trade,
    cascade,
    draining_book,
    leverage_buildup,
    volatility_regime,
)
from service.exchange.structure import CrossAccounts, Structure

FEE = 0.0005
"""Liquidation fee, as a ratio to the notional of a step; about a taker fee. Number chosen."""

SHARED_ACCOUNTS = Structure(
    liquidation_fee=FEE,
    tiered=True,
    stop_share=0.1,
    cross=CrossAccounts(
        accounts=16, symbols=(0, 1), weights=(0.4, 0.6), open_interest_ratio=0.3, leverage=8.0
    ),
)
"""Cross-margin accounts hold two symbols on one collateral."""

CROSS_LEVERAGE = 60.0
"""What the cross-margin accounts raise their leverage to: notional over equity."""

SHARED_MAKERS = Structure(shared_makers=True)
"""No account holds two symbols, but every maker quotes in all."""

INSURED = Structure(takeover=True, liquidation_fee=FEE, fund_ratio=0.02, leverage_range=(0.0, 0.2))
"""A fund that can bear the losses of a few bankrupt positions; all others are far from any."""

RAISED = Structure(takeover=True, liquidation_fee=FEE, leverage_range=(0.0, 0.25))
"""Only accounts that raise their leverage are near a liquidation."""

SMALL_FUND = Structure(takeover=True, liquidation_fee=0.0, fund_ratio=0.0002)
"""A fund that the first bankruptcies exhaust."""

DEEP = Structure(open_interest=3.0, depth=4.0, leverage_range=(0.0, 0.05), takeover=True)
"""Three times the open interest in proportion, of accounts with little leverage."""

FAR = Structure(leverage_range=(0.5, 0.9), spare_margin=12.0, takeover=True)
"""Leverage settings near the maximum, with twelve times the collateral that they need."""

STOPS = Structure(stop_share=0.6, leverage_range=(0.0, 0.08), takeover=True)
"""Most accounts have a stop order, and little leverage."""


def cross_cascade(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade in one symbol that forces accounts to sell in another, which then has its own.

    Cross-margin accounts raise their leverage. Both symbols hold leveraged positions and both books
    thin, but the sale is in the first symbol only.
    """
    first, second = _pair(symbols)
    end = start + length
    ramps = (
        Ramp("cross_leverage", start, start + 0.5 * length, CROSS_LEVERAGE * min(strength, 1.0)),
        Ramp("cross_leverage", end, end, 0.0),
    )
    (buildup,) = leverage_buildup(0.8 * strength, start, length, (second,))
    (drain,) = draining_book(0.8 * strength, start + 0.3 * length, 0.7 * length, (second,))
    return (
        Episode("cross_leverage", start, end, strength, ramps, (first,)),
        buildup,
        drain,
        *cascade(strength, start, length, (first,)),
    )


def maker_cascade(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade in one symbol that another follows only because the same makers quote in both.

    Makers who lose in the first symbol withdraw from both, and sell in the second what they hold in
    the first. The second symbol holds leveraged positions; its book does not thin by itself.
    """
    first, second = _pair(symbols)
    (buildup,) = leverage_buildup(strength, start, length, (second,))
    return (buildup, *cascade(strength, start, length, (first,)))


def insured_stress(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A few accounts go bankrupt in an orderly market, and the fund bears it; no cascade."""
    shock = start + length
    few = _few_eager("insured_stress", strength, start, length, symbols)
    (trade,) = big_trade(1.5 * strength, shock, 0.4 * SHOCK_SECONDS, symbols)
    return (few, trade)


def exhausted_fund(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade whose losses exceed the insurance fund: the venue deleverages the other side."""
    return cascade(strength, start, length, symbols)


def deep_open_interest(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A large open interest of accounts with little leverage, and an ordinary sale."""
    return (_renamed("deep_open_interest", big_trade(strength, start, length, symbols)),)


def far_leverage(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """High leverage settings with ample collateral, and an ordinary sale."""
    return (_renamed("far_leverage", big_trade(strength, start, length, symbols)),)


def stop_run(strength: float, start: float, length: float, symbols: Symbols) -> tuple[Episode, ...]:
    """A sale triggers the stop orders of accounts with little leverage; nobody is liquidated."""
    return (_renamed("stop_run", big_trade(1.5 * strength, start, length, symbols)),)


MARGIN_SCALE = 2.0
"""The venue doubles its margin rates. CME raised its bitcoin and silver margins by a third to a
half within days in 2021; crypto venues change them within minutes."""


def margin_raise(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """The venue raises its margins while volatility is high, and lowers them again at the end."""
    end = start + length
    (volatile,) = volatility_regime(strength, start, length, symbols)
    raised = start + 0.6 * length
    eager = (
        Ramp("leverage", start, start, 0.65),
        Ramp("eager_share", start, start + 0.3 * length, 0.25),
        Ramp("eager_flow", start, start, 0.2),
        Ramp("eager_flow", raised - 30, raised - 30, 0.0),
        Ramp("eager_share", end, end, 0.0),
    )
    ramps = (
        Ramp("margin_scale", raised, raised, 1 + (MARGIN_SCALE - 1) * strength),
        Ramp("margin_scale", end, end, 1.0),
    )
    return (
        volatile,
        Episode("leverage_buildup", start, raised, strength, eager, symbols),
        Episode("margin_raise", raised, end, strength, ramps, symbols),
    )


FEW = 0.033
"""Four of 120 accounts: fewer than a cascade has."""


def _few_eager(
    kind: str, strength: float, start: float, length: float, symbols: Symbols
) -> Episode:
    """A few accounts move to maximum leverage at once and keep trading a little."""
    end = start + length
    ramps = (
        Ramp("leverage", start, start, 1.0),
        Ramp("eager_share", start, start, FEW),
        Ramp("eager_flow", start, start, 0.04),
        Ramp("eager_flow", end, end, 0.0),
        Ramp("eager_share", end + SHOCK_SECONDS, end + SHOCK_SECONDS, 0.0),
    )
    return Episode(kind, start, end + SHOCK_SECONDS, strength, ramps, symbols)


def _pair(symbols: Symbols) -> tuple[int, int]:
    first, second, *_ = symbols or (0, 1)
    return first, second


def _renamed(kind: str, episodes: tuple[Episode, ...]) -> Episode:
    (episode,) = episodes
    return replace(episode, kind=kind)
