"""Recorded sessions with many injected episodes of all kinds.

A service runs for days and meets one episode after another. What it learns from one decides whether
it finds the next. A session with a single episode cannot show this.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from detectors.market_data.book import Book
from detectors.market_data.events import Event, Order
from service.errors import OperatorError
from service.exchange.measures import Truth
from service.scorecard.accounts import MAX_LEVERAGE, with_accounts
from service.scorecard.background import (
    SECOND,
    SymbolSurvey,
    recorded_events,
    seconds_of,
    survey_events,
)
from service.scorecard.injections import (
    BEGIN,
    BY_AN_ACCOUNT,
    KINDS,
    Injection,
    MixedKind,
)
from service.scorecard.live_book import LiveBook, apply_to, ghosts
from service.scorecard.numbering import numbering, renumbered
from service.scorecard.stage import Stage

MIXED_KINDS: tuple[MixedKind, ...] = (*KINDS, "leverage_jump")
"""All kinds of episodes of a mixed session."""

LENGTH_SECONDS: dict[MixedKind, float] = {
    "cancel_burst": 60.0,
    "pulled_book": 90.0,
    "draining_book": 180.0,
    "quote_stuffing": 30.0,
    "layering": 90.0,
    "spoofing": 90.0,
    "leverage_jump": 90.0,
}
"""Length of each kind. Shorter than alone in a recording, so that a quiet stretch follows."""

SPACING_SECONDS = 280.0
"""Least time from the start of an episode to the start of the next."""

WARMUP_SECONDS = 1_200.0
"""Time before the first episode."""

AFTER_SECONDS = 90.0
"""Time of the recording after the end of the last episode."""

NEAR_SPREADS = 2.5
"""The near band reaches at least this many median spreads from the mid price. A narrower band holds
little more than the touch of a book with a wide spread."""

PULL_SECONDS = 2.0
AWAY_SHARE = 0.4
"""An emptied book loses its orders within this time. Nothing returns in this share of the episode;
then orders return gradually until its end."""

PULLED_REACH = 5.0
"""The reach of an emptied book in widths of the near band."""

EAGER_FLOW = 0.25
LEVERAGE_FACTOR = 2.0
"""The accounts that raise their leverage place this share of the orders. At strength 1 their
leverage grows by this multiple of itself, up to the maximum."""

INJECTED_LEVERAGE = 10.0


class Recording(Struct, frozen=True):
    """A recording in memory: its events in order, its symbols' baselines, and their ghosts.

    See `service.scorecard.live_book` for ghosts.
    """

    directory: str
    events: list[Event]
    surveys: dict[str, SymbolSurvey]
    ghosts: dict[str, set[str]]

    @property
    def began_ns(self) -> int:
        """The time of the first event of a surveyed symbol."""
        return min(survey.began_ns for survey in self.surveys.values())

    @property
    def ended_ns(self) -> int:
        """The time of the last event of a surveyed symbol."""
        return max(survey.ended_ns for survey in self.surveys.values())


class MixedSession(Struct, frozen=True):
    """A session: all events in the order in which replay processes them, and the episodes."""

    events: list[Event]
    truths: list[Truth]


def mixed_session(
    directory: Path | str,
    seed: int,
    episodes: int = 15,
    kinds: Sequence[MixedKind] = MIXED_KINDS,
    *,
    strength: float = 1.0,
) -> MixedSession:
    """A recording with many injected episodes; deterministic.

    Parameters
    ----------
    directory
        The recorded streams. They are read once per process, and not changed.
    seed
        Draws the times, the order of the kinds, the symbols and the affected orders. It draws the
        accounts and leverages too, if ``kinds`` has leverage jumps and the recording has none.
    episodes
        The number of episodes. A short recording has as many as fit.
    kinds
        The kinds. All occur before one occurs again.
    strength
        1 is nominal, less is weaker.

    Raises
    ------
    OperatorError
        If a stream is missing or damaged, or not a single episode fits.
    """
    recording = load(str(directory))
    events = background(recording, seed, kinds)
    stages = {
        symbol: Stage(
            survey,
            Random(f"{seed}/{symbol}/mixed"),  # noqa: S311  seeded
            ghosts=recording.ghosts[symbol],
            drops_trades=True,
        )
        for symbol, survey in recording.surveys.items()
    }
    leveraged = _leveraged_orders(events)
    injections = planned(recording, seed, episodes, kinds, strength=strength)
    accounts: dict[int, tuple[str, ...]] = {}
    for injection in injections:
        stage, orders = stages[injection.symbol], leveraged[injection.symbol]
        stage.leverage = INJECTED_LEVERAGE if orders else None
        stage.at(injection.start_ns, partial(_begin, stage, injection, orders, accounts))
    mixed: list[Event] = []
    for event in events:
        if event.symbol in stages:
            mixed += stages[event.symbol].until(event.ts_event)
            mixed += stages[event.symbol].take(event)
        else:
            mixed.append(event)
    truths = [
        Truth(
            kind=injection.kind,
            symbol=injection.symbol,
            starts_at=injection.start_ns,
            ends_at=injection.end_ns,
            strength=injection.strength,
            accounts=accounts.get(injection.start_ns, ()),
        )
        for injection in injections
    ]
    numbered = renumbered(mixed, numbering(events))
    numbered.sort(key=_place)
    return MixedSession(numbered, truths)


@lru_cache(maxsize=4)
def load(directory: str) -> Recording:
    """A recording, with the baselines of its books without ghosts. Read once per process.

    Raises
    ------
    OperatorError
        If a required stream is missing or damaged, or no symbol has a book on both sides.
    """
    events = list(recorded_events(Path(directory)))
    by_symbol: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_symbol[event.symbol].append(event)
    unreported = {symbol: ghosts(its) for symbol, its in by_symbol.items()}

    def seconds(read: Iterable[Event]) -> Iterator[tuple[str, Book, Event]]:
        books: dict[str, Book] = {s: LiveBook(gone) for s, gone in unreported.items()}
        return seconds_of(read, books, apply_to)

    surveys = survey_events(lambda: events, seconds, near_spreads=NEAR_SPREADS)
    if not surveys:
        raise OperatorError(f"no symbol in {directory} has orders on both sides for long enough")
    return Recording(directory, events, surveys, unreported)


def background(recording: Recording, seed: int, kinds: Sequence[str] = MIXED_KINDS) -> list[Event]:
    """The events of a session before the episodes are injected.

    They have accounts and leverages if ``kinds`` has leverage jumps.
    """
    if "leverage_jump" in kinds:
        return with_accounts(recording.events, seed)
    return recording.events


def planned(
    recording: Recording,
    seed: int,
    episodes: int,
    kinds: Sequence[MixedKind],
    *,
    strength: float = 1.0,
) -> list[Injection]:
    """The episodes of a session, by start: as many as fit, at most ``episodes``.

    Raises
    ------
    OperatorError
        If the recording is too short for one.
    """
    rng = Random(f"{seed}/{Path(recording.directory).name}/episodes")  # noqa: S311  seeded
    longest = max(LENGTH_SECONDS[kind] for kind in kinds)
    first_ns = recording.began_ns + round(WARMUP_SECONDS * SECOND)
    last_ns = recording.ended_ns - round((longest + AFTER_SECONDS) * SECOND)
    room = (last_ns - first_ns) / SECOND
    count = min(episodes, 1 + int(room // SPACING_SECONDS))
    if room < 0.0 or count < 1:
        needed = WARMUP_SECONDS + longest + AFTER_SECONDS
        raise OperatorError(f"{recording.directory} is too short: {needed:.0f} s are needed")
    slack = room - (count - 1) * SPACING_SECONDS
    offsets = sorted(rng.uniform(0.0, slack) for _ in range(count))
    order: list[MixedKind] = []
    while len(order) < count:
        order += rng.sample(list(kinds), len(kinds))
    injections = []
    for number, (offset, kind) in enumerate(zip(offsets, order, strict=False)):
        start_ns = first_ns + round((offset + number * SPACING_SECONDS) * SECOND)
        end_ns = start_ns + round((LENGTH_SECONDS[kind] + AFTER_SECONDS) * SECOND)
        warm_ns = start_ns - round(WARMUP_SECONDS * SECOND)
        symbols = sorted(
            symbol
            for symbol, survey in recording.surveys.items()
            if survey.began_ns <= warm_ns and end_ns <= survey.ended_ns
        )
        if symbols:  # else no symbol is recorded from long before to long after
            symbol = rng.choice(symbols)
            injections.append(
                Injection(kind, symbol, start_ns, LENGTH_SECONDS[kind], strength, seed)
            )
    return injections


def _begin(
    stage: Stage,
    injection: Injection,
    leveraged: Counter[str],
    accounts: dict[int, tuple[str, ...]],
) -> None:
    """Begin an episode; record the account that causes it."""
    stage.new_episode()
    if injection.kind in BY_AN_ACCOUNT:
        accounts[injection.start_ns] = (stage.account,)
    if injection.kind == "leverage_jump":
        accounts[injection.start_ns] = _leverage_jump(stage, injection, leveraged)
    elif injection.kind == "pulled_book":
        _emptied_book(stage, injection)
    else:
        BEGIN[injection.kind](stage, injection)


def _emptied_book(stage: Stage, injection: Injection) -> None:
    """Withdraw one side or both within seconds; nothing returns at first, then orders gradually."""
    withdrawn_share = min(injection.strength, 1.0)
    stage.reach = PULLED_REACH
    bids, asks = stage.rng.choice([(True, False), (False, True), (True, True)])
    orders = stage.resting(bids=bids, asks=asks)
    stage.withdraw_some(orders, withdrawn_share, PULL_SECONDS)

    def fewer(order: Order) -> Order | None:
        passed = (stage.now_ns - injection.start_ns) / (injection.end_ns - injection.start_ns)
        away = withdrawn_share * min(1.0, (1.0 - passed) / (1.0 - AWAY_SHARE))
        affected = bids if order.side == "buy" else asks
        return None if affected and stage.rng.random() < away else order

    stage.rewrite = fewer


def _leverage_jump(stage: Stage, injection: Injection, leveraged: Counter[str]) -> tuple[str, ...]:
    """Raise the leverage of many accounts' new orders; return the accounts."""
    accounts = sorted(leveraged)
    stage.rng.shuffle(accounts)
    raised, orders = set(), 0
    for account in accounts:
        if orders >= EAGER_FLOW * leveraged.total():
            break
        raised.add(account)
        orders += leveraged[account]
    factor = 1.0 + LEVERAGE_FACTOR * injection.strength

    def higher(order: Order) -> Order:
        if order.leverage is None or order.account not in raised:
            return order
        if stage.now_ns >= injection.end_ns:
            return order
        leverage = max(order.leverage, min(round(order.leverage * factor, 1), MAX_LEVERAGE))
        return msgspec.structs.replace(order, leverage=leverage)

    stage.relever = higher
    return tuple(sorted(raised))


def _leveraged_orders(events: Iterable[Event]) -> dict[str, Counter[str]]:
    """The number of orders that state a leverage, by symbol and account."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if isinstance(event, Order) and event.leverage is not None and event.account is not None:
            counts[event.symbol][event.account] += 1
    return counts


def _place(event: Event) -> tuple[int, int, int]:
    return event.ts_event, event.sequence or 0, event.kind
