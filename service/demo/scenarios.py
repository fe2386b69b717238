"""Scenarios: what is done to the participants' parameters, when, and how it is labelled.

A scenario is data. It never makes an event: it turns a market's `Controls`, and what follows comes
out of the participants and the venue's mechanism.
"""

from collections.abc import Callable
from dataclasses import dataclass

from service.demo import provocations
from service.demo.controls import Episode
from service.demo.provocations import SHOCK_SECONDS, Symbols


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

    ``build`` takes strength, start and length in seconds, and the symbols.
    """

    description: str
    build: Build
    start_seconds: float = 900.0
    length_seconds: float = 120.0


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
}
"""Every scenario by its name."""


def scenario(
    name: str,
    *,
    strength: float = 1.0,
    start_seconds: float | None = None,
    length_seconds: float | None = None,
    symbols: tuple[int, ...] | None = (0,),
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
        Positions in the list of symbols where it happens; None means everywhere.

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
    episodes = entry.build(strength, start, length, symbols)
    return Scenario(name, entry.description, episodes)
