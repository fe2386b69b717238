"""Order flow without end: symbols listed and delisted, accounts and orders always new."""

import time
from collections.abc import Iterator
from itertools import count, islice
from typing import NamedTuple

from load import START_NS, Load, Record, at_time, generate, symbol_name

_NAME = f'"{symbol_name(0)}"'.encode()
_WITHOUT_END = 10**12
_DRAWN_AT_ONCE = 500  # of one symbol: many are drawn side by side
_TICKS_PER_SECOND = 20


class Churn(NamedTuple):
    """What is produced, by event time, which passes ``speed`` times as fast as the clock.

    ``lasting`` symbols are always there. Each of ``changing`` places lists a new symbol every
    ``life_seconds``, in turns: less than the warm-up, after which a symbol is kept for a day.
    ``rate`` is in events a second, all symbols together. Each symbol draws evenly from
    ``accounts``: a service that remembers fewer meets new ones all the time.
    """

    lasting: int = 12
    changing: int = 8
    life_seconds: float = 160.0
    rate: float = 50.0
    speed: float = 20.0
    accounts: int = 100_000

    @property
    def symbols(self) -> int:
        """How many are traded at any moment."""
        return self.lasting + self.changing


class Produced(NamedTuple):
    """A record, the place of its symbol among those traded, and the symbol's name."""

    stream: int
    place: int
    symbol: str
    value: bytes


def records(churn: Churn) -> Iterator[Produced]:
    """Every record, in the order of event time. The same churn is the same records."""
    listed = count()
    places = [_listing(churn, next(listed)) for _ in range(churn.symbols)]
    life = churn.life_seconds * churn.rate  # in records, like all that follows
    delisted_at = [
        float("inf") if place < 0 else life * (place + 1) / churn.changing
        for place in range(-churn.lasting, churn.changing)
    ]
    for number in count():
        place = number % churn.symbols
        if number >= delisted_at[place]:
            places[place] = _listing(churn, next(listed))
            delisted_at[place] += life
        symbol, its = places[place]
        record = next(its)
        ts_event = START_NS + int(number / churn.rate * 1e9)
        value = at_time(record.value, ts_event).replace(_NAME, f'"{symbol}"'.encode(), 1)
        yield Produced(record.stream, place, symbol, value)


def flow(churn: Churn) -> Iterator[Produced]:
    """The same as they become due, some twenty times a second; it paces itself."""
    produced = records(churn)
    rate = churn.rate * churn.speed
    began = time.monotonic()
    sent = 0
    while True:
        time.sleep(1 / _TICKS_PER_SECOND)
        # Not more than a second's at once: a machine that stood still is no burst.
        due = min(int((time.monotonic() - began) * rate) - sent, int(rate))
        yield from islice(produced, due)
        sent += due


def _listing(churn: Churn, number: int) -> tuple[str, Iterator[Record]]:
    load = Load(_WITHOUT_END, symbols=1, accounts=churn.accounts, account_skew=0.0, seed=number)
    return f"SYM{number:05}-PERP", generate(load, _DRAWN_AT_ONCE)
