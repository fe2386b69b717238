"""Endless order flow: symbols are listed and delisted, accounts and orders are always new."""

import time
from collections.abc import Iterator
from itertools import count, islice
from typing import NamedTuple

from load import START_NS, Load, Record, at_time, generate, symbol_name

_NAME = f'"{symbol_name(0)}"'.encode()
_WITHOUT_END = 10**12
_DRAWN_AT_ONCE = 500  # per symbol, because many symbols are drawn in parallel
_TICKS_PER_SECOND = 20


class Churn(NamedTuple):
    """The produced flow. Event time runs ``speed`` times as fast as the clock.

    ``lasting`` symbols are always listed. Each of ``changing`` slots lists a new symbol every
    ``life_seconds``, in turns. That is less than the warm-up, after which a symbol is kept for a
    day. ``rate`` is in events per second, all symbols together. Each symbol draws evenly from
    ``accounts``; a service that remembers fewer accounts meets new ones all the time.
    """

    lasting: int = 12
    changing: int = 8
    life_seconds: float = 160.0
    rate: float = 50.0
    speed: float = 20.0
    accounts: int = 100_000

    @property
    def symbols(self) -> int:
        """The number of symbols traded at any time."""
        return self.lasting + self.changing


class Produced(NamedTuple):
    """A record, the slot of its symbol, and the symbol's name."""

    stream: int
    place: int
    symbol: str
    value: bytes


def records(churn: Churn) -> Iterator[Produced]:
    """Every record in event-time order. The same churn gives the same records."""
    listed = count()
    places = [_listing(churn, next(listed)) for _ in range(churn.symbols)]
    life_records = churn.life_seconds * churn.rate  # in records, like the variables below
    delisted_at = [
        float("inf") if place < 0 else life_records * (place + 1) / churn.changing
        for place in range(-churn.lasting, churn.changing)
    ]
    for number in count():
        place = number % churn.symbols
        if number >= delisted_at[place]:
            places[place] = _listing(churn, next(listed))
            delisted_at[place] += life_records
        symbol, listing = places[place]
        record = next(listing)
        ts_event = START_NS + int(number / churn.rate * 1e9)
        value = at_time(record.value, ts_event).replace(_NAME, f'"{symbol}"'.encode(), 1)
        yield Produced(record.stream, place, symbol, value)


def flow(churn: Churn) -> Iterator[Produced]:
    """The same records at the times when they are due, some twenty times per second."""
    produced = records(churn)
    rate = churn.rate * churn.speed
    began = time.monotonic()
    sent = 0
    while True:
        time.sleep(1 / _TICKS_PER_SECOND)
        # At most one second's records at once: a pause of the machine must not cause a burst.
        due = min(int((time.monotonic() - began) * rate) - sent, int(rate))
        yield from islice(produced, due)
        sent += due


def _listing(churn: Churn, number: int) -> tuple[str, Iterator[Record]]:
    load = Load(_WITHOUT_END, symbols=1, accounts=churn.accounts, account_skew=0.0, seed=number)
    return f"SYM{number:05}-PERP", generate(load, _DRAWN_AT_ONCE)
