"""Order flow for measurements: a zero-intelligence market, seeded, fast to generate.

Orders come at a geometric distance from the other side's best price. Cancels take any resting
order. Trades take the oldest order at the best price (Smith, Farmer, Gillemot and Krishnamurthy,
2003). So every cancel and trade names a resting order, the book is never crossed, and the price
drifts because trades empty its levels. Half of the events are orders, 45 % cancels, 5 % trades.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

STREAMS = ("orders", "cancels", "trades")
SIDES = ("sell", "buy")
START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
CANCELS_FROM = 0.50
TRADES_FROM = 0.95
RESTING_ORDERS = 100  # per symbol, before cancels and trades begin
TICK_BPS = 1.0
MEAN_DISTANCE_TICKS = 8
RANKS_APART = 7_919  # between neighbouring symbols, so that each has its own busy accounts
CHUNK = 50_000
_TIME_DIGITS = slice(len('{"ts_event":'), len('{"ts_event":') + len(str(START_NS)))


class Load(NamedTuple):
    """The generated load. The same load gives the same records, byte for byte.

    ``events_per_symbol_second`` is in event time: bars cost per symbol and second. Every order
    states a leverage and an account. The accounts' shares of a symbol's orders decrease as
    1 / rank ** ``account_skew``, with separate ranks for each symbol. 0 spreads them evenly, which
    gives the largest state.
    """

    records: int
    symbols: int = 64
    accounts: int = 10_000
    events_per_symbol_second: float = 100.0
    account_skew: float = 1.0
    seed: int = 1

    @property
    def event_seconds(self) -> float:
        """The event time that the records cover."""
        return self.records / (self.symbols * self.events_per_symbol_second)


class Record(NamedTuple):
    """One event: the stream (an index into STREAMS), its symbol's number, and its JSON."""

    stream: int
    symbol: int
    value: bytes


class _Resting(NamedTuple):
    """An order in the book. Bids (side 1) have negated ticks: a side's best tick is its minimum."""

    order_id: str
    account: int
    side: int
    tick: int
    quantity: int

    def price(self, tick_size: float) -> str:
        return f"{abs(self.tick) * tick_size:.9g}"


class _Book:
    """One symbol's resting orders."""

    def __init__(self, start_tick: int) -> None:
        self.resting: list[_Resting] = []
        self.position_of: dict[str, int] = {}
        self.levels: tuple[dict[int, dict[str, _Resting]], ...] = ({}, {})
        self.best = [start_tick, 1 - start_tick]

    def add(self, side: int, distance: int, order_id: str, account: int, quantity: int) -> _Resting:
        """Rest an order ``distance`` ticks (at least one) from the other side's best."""
        tick = distance - self.best[1 - side]
        levels = self.levels[side]
        self.best[side] = min(self.best[side], tick) if levels else tick
        order = _Resting(order_id, account, side, tick, quantity)
        levels.setdefault(tick, {})[order_id] = order
        self.position_of[order_id] = len(self.resting)
        self.resting.append(order)
        return order

    def oldest_at_best(self, side: int) -> _Resting | None:
        level = self.levels[side].get(self.best[side])
        return next(iter(level.values())) if level else None

    def remove(self, order: _Resting) -> None:
        levels = self.levels[order.side]
        level = levels[order.tick]
        del level[order.order_id]
        if not level:
            del levels[order.tick]
            if order.tick == self.best[order.side] and levels:
                self.best[order.side] = min(levels)
        position = self.position_of.pop(order.order_id)
        last = self.resting.pop()
        if last is not order:
            self.resting[position] = last
            self.position_of[last.order_id] = position


class _Draws(NamedTuple):
    """The random values of a chunk of events, drawn at once."""

    kind: list[float]
    symbol: list[int]
    side: list[int]
    distance: list[int]
    quantity: list[int]
    account: list[int]
    leverage: list[int]
    pick: list[float]


def _draw(load: Load, shares: np.ndarray, random: np.random.Generator, size: int = CHUNK) -> _Draws:
    leverages = np.array([1, 2, 3, 5, 5, 10, 10, 20, 25, 50])
    symbols = random.integers(0, load.symbols, size)
    ranks = np.searchsorted(shares, random.random(size) * shares[-1])
    return _Draws(
        random.random(size).tolist(),
        symbols.tolist(),
        random.integers(0, 2, size).tolist(),
        random.geometric(1 / MEAN_DISTANCE_TICKS, size).tolist(),
        random.integers(1, 500, size).tolist(),
        ((ranks + symbols * RANKS_APART) % load.accounts).tolist(),
        random.choice(leverages, size).tolist(),
        random.random(size).tolist(),
    )


def at_time(value: bytes, ts_event: int) -> bytes:
    """The same record at another time."""
    return value[: _TIME_DIGITS.start] + str(ts_event).encode() + value[_TIME_DIGITS.stop :]


def symbol_name(number: int) -> str:
    """The name of a symbol."""
    return f"SYM{number:04}-PERP"


def generate(load: Load, chunk: int = CHUNK) -> Iterator[Record]:
    """The records in event-time order, after filling the books. ``chunk`` are drawn at once."""
    random = np.random.default_rng(load.seed)
    shares = np.cumsum(np.arange(1, load.accounts + 1) ** -load.account_skew)
    books = [_Book(10_000) for _ in range(load.symbols)]
    prices = random.uniform(0.5, 60_000.0, load.symbols)
    tick_sizes = [float(f"{price * TICK_BPS / 1e4:.3g}") for price in prices]
    names = [symbol_name(number) for number in range(load.symbols)]
    step_ns = round(1e9 / (load.symbols * load.events_per_symbol_second))
    to_fill = load.symbols * RESTING_ORDERS
    for start in range(0, load.records, chunk):
        draws = zip(*_draw(load, shares, random, chunk), strict=True)
        for number, draw in zip(range(start, min(start + chunk, load.records)), draws):  # noqa: B905
            kind, symbol, side, distance, quantity, account, leverage, pick = draw
            book = books[symbol]
            ts_event = START_NS + number * step_ns
            head = f'{{"ts_event":{ts_event},"sequence":{number},"symbol":"{names[symbol]}"'
            maker = None
            if number >= to_fill and kind >= TRADES_FROM:
                maker = book.oldest_at_best(side)
            if maker is not None:
                book.remove(maker)
                yield Record(2, symbol, _trade(head, maker, tick_sizes[symbol], number, account))
            elif number >= to_fill and kind >= CANCELS_FROM and book.resting:
                order = book.resting[int(pick * len(book.resting))]
                book.remove(order)
                yield Record(1, symbol, _cancel(head, order))
            else:
                order = book.add(side, distance, f"ord-{number:012}", account, quantity)
                yield Record(0, symbol, _order(head, order, tick_sizes[symbol], leverage))


def _order(head: str, order: _Resting, tick_size: float, leverage: int) -> bytes:
    return (
        f'{head},"order_id":"{order.order_id}","account":"acct-{order.account:07}",'
        f'"side":"{SIDES[order.side]}","price":{order.price(tick_size)},'
        f'"quantity":{order.quantity / 100},"leverage":{leverage}}}'
    ).encode()


def _cancel(head: str, order: _Resting) -> bytes:
    return (
        f'{head},"order_id":"{order.order_id}","account":"acct-{order.account:07}",'
        f'"quantity":{order.quantity / 100}}}'
    ).encode()


def _trade(head: str, maker: _Resting, tick_size: float, number: int, taker: int) -> bytes:
    return (
        f'{head},"trade_id":"trd-{number:012}","price":{maker.price(tick_size)},'
        f'"quantity":{maker.quantity / 100},"side":"{SIDES[1 - maker.side]}",'
        f'"maker_order_id":"{maker.order_id}","taker_order_id":"ord-{number:012}",'
        f'"maker_account":"acct-{maker.account:07}","taker_account":"acct-{taker:07}"}}'
    ).encode()
