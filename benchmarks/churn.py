"""Order flow without end: symbols listed and delisted, accounts and orders always new."""

import time
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from load import START_NS, Load, Record, at_time, generate, symbol_name

_NAME = f'"{symbol_name(0)}"'.encode()
_WITHOUT_END = 10**12
_DRAWN_AT_ONCE = 500  # of one symbol: many are drawn side by side
_TICKS_PER_SECOND = 20


class Churn(NamedTuple):
    """What is produced.

    ``lasting`` symbols are always there. Each of ``changing`` places lists a new symbol every
    ``life_seconds``, in turns. ``rate`` is in events a second, all symbols together; event time
    passes ``speed`` times as fast as the clock. Each symbol draws evenly from ``accounts``: a
    service that remembers fewer meets new ones all the time.
    """

    lasting: int = 12
    changing: int = 8
    life_seconds: float = 20.0
    rate: float = 400.0
    speed: float = 8.0
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


def flow(churn: Churn) -> Iterator[list[Produced]]:
    """What is due, as it becomes due, some twenty times a second; it paces itself."""
    listed = count()
    began = time.monotonic()
    places = [_listing(churn, next(listed)) for _ in range(churn.symbols)]
    delisted_at = [
        float("inf")
        if place < churn.lasting
        else churn.life_seconds * (place - churn.lasting + 1) / churn.changing
        for place in range(churn.symbols)
    ]
    sent = 0
    while True:
        time.sleep(1 / _TICKS_PER_SECOND)
        now = time.monotonic() - began
        for place, at in enumerate(delisted_at):
            if now >= at:
                places[place] = _listing(churn, next(listed))
                delisted_at[place] = now + churn.life_seconds
        due = []
        # Not more than a second's at once: a machine that stood still is no burst.
        for number in range(sent, min(int(now * churn.rate), sent + int(churn.rate))):
            place = number % churn.symbols
            symbol, records = places[place]
            record = next(records)
            ts_event = START_NS + int(number / churn.rate * churn.speed * 1e9)
            value = at_time(record.value, ts_event).replace(_NAME, f'"{symbol}"'.encode(), 1)
            due.append(Produced(record.stream, place, symbol, value))
        sent += len(due)
        yield due


def _listing(churn: Churn, number: int) -> tuple[str, Iterator[Record]]:
    load = Load(_WITHOUT_END, symbols=1, accounts=churn.accounts, account_skew=0.0, seed=number)
    return f"SYM{number:05}-PERP", generate(load, _DRAWN_AT_ONCE)
