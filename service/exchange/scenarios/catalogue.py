"""Scenarios: what is done to the participants' parameters, when, and how it is labelled.

A scenario is data. It never makes an event: it turns a market's `Controls`, and what follows comes
out of the participants and the venue's mechanism.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.exchange.controls import Episode
from service.exchange.scenarios import crises, feeds, provocations, sessions
from service.exchange.scenarios.provocations import SHOCK_SECONDS, Symbols


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named list of episodes; `description` is one line for people."""

    name: str
    description: str
    episodes: tuple[Episode, ...] = ()


Build = Callable[[float, float, float, Symbols], tuple[Episode, ...]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A catalogue entry: how to build a scenario, and its defaults.

    ``build`` takes strength, start and length in seconds, and the symbols: positions in the list
    of symbols, or None for everywhere.
    """

    description: str
    build: Build
    start_seconds: float = 900.0
    length_seconds: float = 120.0
    symbols: Symbols = (0,)


SCENARIOS: dict[str, Entry] = {
    "calm": Entry("nothing is provoked", provocations.nothing),
    "surge": Entry(
        "everybody acts ten times as often for some minutes, without stress",
        provocations.surge,
        length_seconds=300.0,
    ),
    "cancel_burst": Entry(
        "makers of one symbol pull nearly all quotes within two seconds, and come back slowly",
        provocations.cancel_burst,
    ),
    "leverage_buildup": Entry(
        "many accounts raise their leverage towards the maximum and buy, over minutes",
        provocations.leverage_buildup,
        length_seconds=480.0,
    ),
    "leverage_jump": Entry(
        "one account goes to the maximum leverage at once and keeps buying",
        provocations.leverage_jump,
        length_seconds=180.0,
    ),
    "draining_book": Entry(
        "makers quote smaller and smaller sizes over minutes",
        provocations.draining_book,
        length_seconds=420.0,
    ),
    "big_trade": Entry(
        "one large but orderly sale by market orders within a minute; no cascade",
        provocations.big_trade,
        length_seconds=SHOCK_SECONDS,
    ),
    "layering": Entry(
        "one account layers large orders on one side, moves them along, and trades the other",
        provocations.layering,
    ),
    "quote_stuffing": Entry(
        "one account floods the market with orders that it withdraws within milliseconds",
        provocations.quote_stuffing,
        length_seconds=30.0,
    ),
    "spread_blowout": Entry(
        "makers quote ten times as wide within seconds", provocations.spread_blowout
    ),
    "volatility_regime": Entry(
        "the contract moves three times as much for half an hour, and markets stay orderly",
        provocations.volatility_regime,
        length_seconds=1_800.0,
    ),
    "lull": Entry(
        "hardly anybody acts for a while, and then everybody comes back",
        provocations.lull,
        length_seconds=600.0,
    ),
    "requote_rhythm": Entry(
        "makers renew their quotes three times as often from some time on",
        provocations.requote_rhythm,
        length_seconds=600.0,
    ),
    "cascade": Entry(
        "leverage builds up, the book thins, and a sale of ordinary size sets off liquidations",
        provocations.cascade,
        start_seconds=840.0,
        length_seconds=600.0,
    ),
    "leverage_creep": Entry(
        "one account raises its leverage to the maximum over minutes, and keeps buying",
        provocations.leverage_creep,
        length_seconds=480.0,
    ),
    "leverage_rush": Entry(
        "many accounts raise their leverage towards the maximum at once, and buy",
        provocations.leverage_rush,
        length_seconds=180.0,
    ),
    "pulled_book": Entry(
        "makers pull all of their bids at once, and stay away from that side",
        crises.pulled_book,
        length_seconds=300.0,
    ),
    "spoofing": Entry(
        "one account shows a large ask for moments, again and again, and buys meanwhile",
        provocations.spoofing,
    ),
    "thin_clustering": Entry(
        "trades come in clusters, at levels that are thin and that nobody refills",
        crises.thin_clustering,
        length_seconds=300.0,
    ),
    "flash_crash": Entry(
        "somebody sells without looking, makers leave, the price crashes and comes back",
        crises.flash_crash,
        length_seconds=600.0,
    ),
    "market_wide": Entry(
        "makers leave all symbols within the same ten seconds, and come back over minutes",
        crises.market_wide,
        length_seconds=300.0,
        symbols=None,
    ),
    "opening_burst": Entry(
        "hardly any flow, then an opening: ten times the usual activity, which calms down",
        sessions.opening_burst,
        length_seconds=300.0,
    ),
    "first_minutes": Entry(
        "the streams begin with a session: ten times the usual activity, which calms down",
        sessions.first_minutes,
        start_seconds=0.0,
        length_seconds=300.0,
    ),
    "long_lull": Entry(
        "hardly anybody acts for an hour, and then everybody comes back",
        sessions.long_lull,
        length_seconds=3_600.0,
    ),
    "quiet_listing": Entry(
        "a contract with a tenth of the usual flow, from the beginning and for good",
        sessions.quiet_listing,
        start_seconds=0.0,
        length_seconds=14_400.0,
    ),
    "feed_gap": Entry(
        "nothing arrives for a minute and a half while the market goes on, and then it does",
        sessions.feed_gap,
        length_seconds=90.0,
        symbols=None,
    ),
    "activity_regime": Entry(
        "everybody acts ten times as often, and it lasts for three quarters of an hour",
        sessions.activity_regime,
        length_seconds=2_700.0,
    ),
    "sequence_gap": Entry(
        "of one symbol nothing arrives for three seconds; its numbers tell",
        feeds.sequence_gap,
        length_seconds=3.0,
    ),
    "frozen_cancels": Entry(
        "the cancels of one symbol do not arrive for two minutes", feeds.frozen_cancels
    ),
    "ghost_orders": Entry(
        "half of the cancels and trades of one symbol get lost for five minutes",
        feeds.ghost_orders,
        length_seconds=300.0,
    ),
    "stale_references": Entry(
        "the mark and index prices of one symbol stand still for three minutes",
        feeds.stale_references,
        length_seconds=180.0,
    ),
    "blind_cascade": Entry(
        "a cascade, and the cancels freeze half a minute before it is set off",
        feeds.blind_cascade,
        start_seconds=840.0,
        length_seconds=600.0,
    ),
}
"""Every scenario by its name. New ones go to the end: a scorecard's seeds follow from the place."""


def scenario(
    name: str,
    *,
    strength: float = 1.0,
    start_seconds: float | None = None,
    length_seconds: float | None = None,
    symbols: Symbols | Literal["usual"] = "usual",
) -> Scenario:
    """Build a scenario of the catalogue.

    Parameters
    ----------
    name
        One of `SCENARIOS`.
    strength
        1 is the nominal form, less is weaker.
    start_seconds, length_seconds
        When it begins after the simulation's start, and how long the provocation lasts; the
        entry's own defaults if None.
    symbols
        Positions in the list of symbols where it happens; None means everywhere, "usual" what the
        entry has: the first one for most, everywhere for what is about several symbols at once.

    Raises
    ------
    ValueError
        If there is no such scenario, or a number is not positive.

    Examples
    --------
    >>> scenario("cancel_burst", strength=0.5).episodes[0].strength
    0.5
    """
    entry = SCENARIOS.get(name)
    if entry is None:
        raise ValueError(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    start = entry.start_seconds if start_seconds is None else start_seconds
    length = entry.length_seconds if length_seconds is None else length_seconds
    if strength <= 0 or length <= 0 or start < 0:
        raise ValueError(
            f"strength {strength} and length {length} must be above zero, start {start} not below"
        )
    where = entry.symbols if symbols == "usual" else symbols
    episodes = entry.build(strength, start, length, where)
    return Scenario(name, entry.description, episodes)
