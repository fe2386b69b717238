"""Scenarios: which market parameters change, when, and how the ground truth labels it.

A scenario is data. It never creates events: it changes a market's `Controls`. The participants and
the venue's mechanism produce the events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.exchange.controls import Episode
from service.exchange.scenarios import (
    conduct,
    crises,
    feeds,
    marks,
    parameters,
    positions,
    sessions,
    stress,
)
from service.exchange.scenarios.stress import SHOCK_SECONDS, Symbols
from service.exchange.structure import USUAL, Structure


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named list of episodes. `description` is one line for people.

    ``structure`` is what the venue and its participants are like, from the start.
    """

    name: str
    description: str
    episodes: tuple[Episode, ...] = ()
    structure: Structure = USUAL


Build = Callable[[float, float, float, Symbols], tuple[Episode, ...]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A catalogue entry: the function that builds a scenario, and its defaults.

    ``build`` takes strength, start and length in seconds, and the symbols: positions in the list
    of symbols, or None for all symbols.
    """

    description: str
    build: Build
    start_seconds: float = 900.0
    length_seconds: float = 120.0
    symbols: Symbols = (0,)
    structure: Structure = USUAL


SCENARIOS: dict[str, Entry] = {
    "calm": Entry("no injection", stress.nothing),
    "surge": Entry(
        "all participants are ten times as active for some minutes, without stress",
        stress.surge,
        length_seconds=300.0,
    ),
    "cancel_burst": Entry(
        "makers of one symbol pull nearly all quotes within two seconds and return slowly",
        stress.cancel_burst,
    ),
    "leverage_buildup": Entry(
        "many accounts raise leverage towards the maximum over minutes, and buy",
        stress.leverage_buildup,
        length_seconds=480.0,
    ),
    "leverage_jump": Entry(
        "one account moves to maximum leverage at once and keeps buying",
        stress.leverage_jump,
        length_seconds=180.0,
    ),
    "draining_book": Entry(
        "makers reduce their quote sizes over minutes",
        stress.draining_book,
        length_seconds=420.0,
    ),
    "big_trade": Entry(
        "one large, orderly sale by market orders within a minute; no cascade",
        stress.big_trade,
        length_seconds=SHOCK_SECONDS,
    ),
    "layering": Entry(
        "one account layers large orders on one side, moves them, and trades on the other",
        stress.layering,
    ),
    "quote_stuffing": Entry(
        "one account floods the market with orders and cancels them within milliseconds",
        stress.quote_stuffing,
        length_seconds=30.0,
    ),
    "spread_blowout": Entry("makers quote ten times as wide within seconds", stress.spread_blowout),
    "volatility_regime": Entry(
        "volatility is three times as high for half an hour; the market stays orderly",
        stress.volatility_regime,
        length_seconds=1_800.0,
    ),
    "lull": Entry(
        "almost no activity for some minutes, then normal activity",
        stress.lull,
        length_seconds=600.0,
    ),
    "requote_rhythm": Entry(
        "makers renew their quotes three times as often, permanently",
        stress.requote_rhythm,
        length_seconds=600.0,
    ),
    "cascade": Entry(
        "leverage builds up, the book thins, and an orderly sale triggers liquidations",
        stress.cascade,
        start_seconds=840.0,
        length_seconds=600.0,
    ),
    "leverage_creep": Entry(
        "one account raises its leverage to the maximum over minutes and keeps buying",
        stress.leverage_creep,
        length_seconds=480.0,
    ),
    "leverage_rush": Entry(
        "many accounts raise leverage towards the maximum at once, and buy",
        stress.leverage_rush,
        length_seconds=180.0,
    ),
    "pulled_book": Entry(
        "makers pull all their bids at once and quote none for some minutes",
        crises.pulled_book,
        length_seconds=300.0,
    ),
    "spoofing": Entry(
        "one account repeatedly shows a large ask for a fraction of a second, and buys",
        stress.spoofing,
    ),
    "thin_clustering": Entry(
        "trades cluster in a thin book that is refilled slowly",
        crises.thin_clustering,
        length_seconds=300.0,
    ),
    "flash_crash": Entry(
        "a seller ignores the price, makers leave, the price crashes and recovers",
        crises.flash_crash,
        length_seconds=600.0,
    ),
    "market_wide": Entry(
        "makers leave all symbols within ten seconds and return over minutes",
        crises.market_wide,
        length_seconds=300.0,
        symbols=None,
    ),
    "opening_burst": Entry(
        "almost no flow, then an opening: ten times the usual activity, declining",
        sessions.opening_burst,
        length_seconds=300.0,
    ),
    "first_minutes": Entry(
        "the streams begin with a session: ten times the usual activity, declining",
        sessions.first_minutes,
        start_seconds=0.0,
        length_seconds=300.0,
    ),
    "long_lull": Entry(
        "almost no activity for an hour, then normal activity",
        sessions.long_lull,
        length_seconds=3_600.0,
    ),
    "quiet_listing": Entry(
        "a contract with a tenth of the usual flow, permanently",
        sessions.quiet_listing,
        start_seconds=0.0,
        length_seconds=14_400.0,
    ),
    "feed_gap": Entry(
        "no event arrives for 90 seconds while the market continues",
        sessions.feed_gap,
        length_seconds=90.0,
        symbols=None,
    ),
    "activity_regime": Entry(
        "all participants are ten times as active for 45 minutes",
        sessions.activity_regime,
        length_seconds=2_700.0,
    ),
    "sequence_gap": Entry(
        "no event of one symbol arrives for three seconds; the sequence numbers show it",
        feeds.sequence_gap,
        length_seconds=3.0,
    ),
    "frozen_cancels": Entry(
        "one symbol's cancels do not arrive for two minutes", feeds.frozen_cancels
    ),
    "ghost_orders": Entry(
        "half of one symbol's cancels and trades are lost for five minutes",
        feeds.ghost_orders,
        length_seconds=300.0,
    ),
    "stale_references": Entry(
        "one symbol's mark and index prices repeat for three minutes",
        feeds.stale_references,
        length_seconds=180.0,
    ),
    "blind_cascade": Entry(
        "a cascade; cancels stop arriving half a minute before the sale that triggers it",
        feeds.blind_cascade,
        start_seconds=840.0,
        length_seconds=600.0,
    ),
    "auction": Entry(
        "one symbol is in a call auction for five minutes: its book crosses, and nothing trades",
        sessions.auction,
        length_seconds=300.0,
    ),
    "halt": Entry(
        "one symbol is halted for five minutes, and reopens with an auction",
        sessions.halt,
        length_seconds=300.0,
    ),
    "expiry": Entry(
        "some symbols expire at the same moment", sessions.expiry, length_seconds=300.0
    ),
    "cross_cascade": Entry(
        "a cascade jumps to a second symbol through accounts that hold both on one collateral",
        positions.cross_cascade,
        start_seconds=840.0,
        length_seconds=600.0,
        symbols=(0, 1),
        structure=positions.SHARED_ACCOUNTS,
    ),
    "maker_cascade": Entry(
        "a cascade is followed by another symbol's, because the same makers quote in both",
        positions.maker_cascade,
        start_seconds=840.0,
        length_seconds=600.0,
        symbols=(0, 1),
        structure=positions.SHARED_MAKERS,
    ),
    "insured_stress": Entry(
        "a few accounts go bankrupt, and the insurance fund bears it; no cascade",
        positions.insured_stress,
        start_seconds=840.0,
        length_seconds=480.0,
        structure=positions.INSURED,
    ),
    "exhausted_fund": Entry(
        "a cascade whose losses exceed the insurance fund: automatic deleveraging",
        positions.exhausted_fund,
        start_seconds=840.0,
        length_seconds=600.0,
        structure=positions.SMALL_FUND,
    ),
    "deep_open_interest": Entry(
        "a large open interest of accounts with little leverage; an ordinary sale",
        positions.deep_open_interest,
        length_seconds=SHOCK_SECONDS,
        structure=positions.DEEP,
    ),
    "far_leverage": Entry(
        "high leverage settings with ample collateral; an ordinary sale",
        positions.far_leverage,
        length_seconds=SHOCK_SECONDS,
        structure=positions.FAR,
    ),
    "stop_run": Entry(
        "a sale triggers stop orders of accounts with little leverage; no liquidations",
        positions.stop_run,
        length_seconds=SHOCK_SECONDS,
        structure=positions.STOPS,
    ),
    "margin_raise": Entry(
        "the venue raises its margins while volatility is high",
        positions.margin_raise,
        start_seconds=840.0,
        length_seconds=900.0,
        structure=positions.RAISED,
    ),
    "parameter_shock": Entry(
        "many accounts raise their leverage, and then the venue doubles its margins",
        parameters.parameter_shock,
        start_seconds=840.0,
        length_seconds=800.0,
    ),
    "parameter_flap": Entry(
        "the venue raises and lowers its margins again and again, though nothing happens",
        parameters.parameter_flap,
        length_seconds=600.0,
        structure=parameters.CAREFUL,
    ),
    "costly_liquidation": Entry(
        "a cascade at a venue whose liquidation fee is more than its maintenance margin",
        conduct.costly_liquidation,
        start_seconds=840.0,
        length_seconds=600.0,
        structure=conduct.COSTLY,
    ),
    "unfair_liquidation": Entry(
        "a cascade at a venue that liquidates small accounts later than large ones",
        conduct.unfair_liquidation,
        start_seconds=840.0,
        length_seconds=600.0,
        structure=conduct.UNFAIR,
    ),
    "margin_step": Entry(
        "the venue announces margins that are a tenth higher; no account is near them",
        parameters.margin_step,
        length_seconds=600.0,
        structure=parameters.CAREFUL,
    ),
    "slow_mark": Entry(
        "a cascade under a mark price that averages over five minutes, as declared",
        marks.slow_mark,
        start_seconds=840.0,
        length_seconds=600.0,
        structure=marks.SLOW,
    ),
    "broken_mark": Entry(
        "a cascade under a mark price that averages three times as long as declared",
        marks.broken_mark,
        start_seconds=840.0,
        length_seconds=600.0,
        structure=marks.BROKEN,
    ),
    "over_liquidation": Entry(
        "a cascade at a venue whose liquidation steps close half more than its rule",
        conduct.over_liquidation,
        start_seconds=840.0,
        length_seconds=600.0,
        structure=conduct.EXCESSIVE,
    ),
    "stepped_liquidation": Entry(
        "a cascade at a venue whose liquidation steps close what its rule says",
        conduct.stepped_liquidation,
        start_seconds=840.0,
        length_seconds=600.0,
    ),
}
"""Every scenario by name. Append new ones at the end: a scorecard's seeds depend on the position.
"""


def scenario(
    name: str,
    *,
    strength: float = 1.0,
    start_seconds: float | None = None,
    length_seconds: float | None = None,
    symbols: Symbols | Literal["usual"] = "usual",
) -> Scenario:
    """Build a scenario from the catalogue.

    Parameters
    ----------
    name
        One of `SCENARIOS`.
    strength
        1 is nominal, less is weaker.
    start_seconds, length_seconds
        Start of the injection after the simulation's start, and its duration. None means the
        entry's defaults.
    symbols
        Positions in the list of symbols. None means all symbols. "usual" means the entry's default:
        the first symbol for most scenarios, all symbols for scenarios of several symbols.

    Raises
    ------
    ValueError
        If the name is unknown, or a number is out of range.

    Examples
    --------
    >>> scenario("cancel_burst", strength=0.5).episodes[0].strength
    0.5
    """
    entry = SCENARIOS.get(name)
    if entry is None:
        raise ValueError(f"unknown scenario {name!r}; scenarios: {', '.join(SCENARIOS)}")
    start = entry.start_seconds if start_seconds is None else start_seconds
    length = entry.length_seconds if length_seconds is None else length_seconds
    if strength <= 0 or length <= 0 or start < 0:
        raise ValueError(
            f"strength is {strength} and length is {length}; both must be positive, "
            f"and start, {start}, must not be negative"
        )
    acted_on = entry.symbols if symbols == "usual" else symbols
    episodes = entry.build(strength, start, length, acted_on)
    return Scenario(name, entry.description, episodes, entry.structure)
