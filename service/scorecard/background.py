"""Recorded flow as a background: its events in order, its books, and each symbol's baselines."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from pathlib import Path
from statistics import median

from msgspec import Struct

from detectors.market_data.book import Book
from detectors.market_data.events import Cancel, Event, Order, Trade
from service.errors import OperatorError
from service.exchange.venue.venue import NEAR_DEVIATIONS
from service.pipeline.wire import REQUIRED_STREAMS, STREAMS, Decoder
from service.replay.files import MAX_LINE_BYTES, read_batches, stream_path

SECOND = 1_000_000_000
MAX_ORDERS = 1_000_000
MAX_DECIMALS = 8

USUAL_MOVE_SHARE = 0.99
"""Returns above this quantile are excluded from the deviation: openings, and an incomplete book."""


class SymbolSurvey(Struct, frozen=True):
    """Baselines of one recorded symbol.

    Attributes
    ----------
    began_ns, ended_ns
        Times of the first and last event, in nanoseconds since the epoch.
    events, orders
        Number of orders, cancels and trades, and number of orders.
    near_ratio
        Width of the near band as a ratio: `NEAR_DEVIATIONS` standard deviations of the mid price
        over one second, as on the simulated exchange.
    near_quantity
        Median quantity in the near band, the mean of both sides.
    price_decimals, quantity_decimals
        Decimals of prices and quantities.
    """

    symbol: str
    began_ns: int
    ended_ns: int
    events: int
    orders: int
    near_ratio: float
    near_quantity: float
    price_decimals: int
    quantity_decimals: int

    @property
    def seconds(self) -> float:
        """Duration of the symbol's recording."""
        return (self.ended_ns - self.began_ns) / SECOND


def recorded_events(directory: Path) -> Iterator[Event]:
    """A directory's events, ordered by time, sequence and stream.

    Raises
    ------
    OperatorError
        If one of the required streams is missing, or a file is damaged or has a line that is no
        event.
    """
    streams = []
    for name in STREAMS:
        path = stream_path(directory, name)
        if path is not None:
            streams.append(_decoded(path, name))
        elif name in REQUIRED_STREAMS:
            raise OperatorError(
                f"{directory} lacks {name}.ndjson (it may also be .ndjson.gz or .ndjson.zst)"
            )
    return merge(*streams, key=lambda event: (event.ts_event, event.sequence or 0, event.kind))


def _decoded(path: Path, stream: str) -> Iterator[Event]:
    decoder: Decoder[Event] = Decoder(stream, {}, "ns", MAX_LINE_BYTES)
    read = 0
    try:
        for lines in read_batches(path):
            decoded = decoder.decode(lines, [time.time_ns() // 1_000_000] * len(lines))
            for rejection in decoded.rejections:
                raise OperatorError(
                    f"{path}, line {read + rejection.index + 1} (without blank lines) is not an "
                    f"event of {stream}: {rejection.detail}; correct or remove it"
                )
            yield from decoded.events
            read += len(lines)
    except (OSError, RuntimeError) as error:
        raise OperatorError(str(error)) from None


def apply_event(book: Book, event: Event) -> None:
    """Apply an event to a book. Events of unknown orders change nothing."""
    if isinstance(event, Order):
        book.take(event.order_id, None)
        if event.price is not None and event.type != "market":
            is_buy = event.side == "buy"
            book.add(event.order_id, is_buy, event.price, event.quantity, event.ts_event)
    elif isinstance(event, Cancel):
        book.take(event.order_id, event.quantity)
    elif isinstance(event, Trade):
        for order_id in (event.maker_order_id, event.taker_order_id):
            if order_id is not None:
                book.take(order_id, event.quantity)


def seconds_of(
    events: Iterable[Event],
    books: dict[str, Book],
    apply: Callable[[Book, Event], None] = apply_event,
) -> Iterator[tuple[str, Book, Event]]:
    """Maintain every symbol's book; yield it when an event begins a new second of its symbol.

    The event has not been applied yet. ``apply`` applies an event to a book.
    """
    latest_second: dict[str, int] = {}
    for event in events:
        symbol = event.symbol
        book = books.setdefault(symbol, Book(MAX_ORDERS))
        second = event.ts_event // SECOND
        if latest_second.get(symbol, second) != second:
            book.uncross(event.ts_event - SECOND)
            yield symbol, book, event
        latest_second[symbol] = second
        apply(book, event)


def survey(directory: Path) -> dict[str, SymbolSurvey]:
    """The baselines of each symbol with a book, by symbol.

    Reads the recording twice.

    Raises
    ------
    OperatorError
        If a required stream is missing, or no symbol has a book on both sides.
    """
    surveys = survey_events(
        lambda: recorded_events(directory), lambda events: seconds_of(events, {})
    )
    if not surveys:
        raise OperatorError(f"no symbol in {directory} has orders on both sides for long enough")
    return surveys


def survey_events(
    read: Callable[[], Iterable[Event]],
    seconds: Callable[[Iterable[Event]], Iterator[tuple[str, Book, Event]]],
    *,
    near_spreads: float = 0.0,
) -> dict[str, SymbolSurvey]:
    """The baselines of each symbol with a book on both sides, by symbol.

    Parameters
    ----------
    read
        Reads the events in order. It is called twice.
    seconds
        Maintains the books, as `seconds_of` does.
    near_spreads
        The near band is at least this number of the symbol's median spreads wide.
    """
    tally: dict[str, _Tally] = defaultdict(_Tally)
    for symbol, book, _ in seconds(_counted(read(), tally)):
        if book.mid is not None and book.spread_bps is not None:
            tally[symbol].mids.append(book.mid)
            tally[symbol].spreads.append(book.spread_bps / 1e4)
    near = {
        symbol: max(its.near_ratio(), near_spreads * median(its.spreads or [0.0]))
        for symbol, its in tally.items()
    }
    depths: dict[str, list[float]] = defaultdict(list)
    for symbol, book, _ in seconds(read()):
        mid, ratio = book.mid, near[symbol]
        if mid is not None and ratio > 0.0:
            band = (ratio * 1e4,)
            depths[symbol].append((book.bids.depth(mid, band)[0] + book.asks.depth(mid, band)[0])
                                  / (2 * mid))  # fmt: skip
    return {
        symbol: tally[symbol].survey(symbol, near[symbol], median(its))
        for symbol, its in depths.items()
        if median(its) > 0.0
    }


class _Tally:
    """Counts of one symbol."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.kinds: Counter[type[Event]] = Counter()
        self.mids: list[float] = []
        self.spreads: list[float] = []
        self.prices: set[float] = set()
        self.quantities: set[float] = set()

    def near_ratio(self) -> float:
        moves = sorted(abs(b / a - 1.0) for a, b in zip(self.mids, self.mids[1:], strict=False))
        ordinary = moves[: int(len(moves) * USUAL_MOVE_SHARE)]
        if not ordinary:
            return 0.0
        return float(
            NEAR_DEVIATIONS * (sum(move * move for move in ordinary) / len(ordinary)) ** 0.5
        )

    def survey(self, symbol: str, near_ratio: float, near_quantity: float) -> SymbolSurvey:
        return SymbolSurvey(
            symbol=symbol,
            began_ns=self.times[0],
            ended_ns=self.times[1],
            events=self.kinds[Order] + self.kinds[Cancel] + self.kinds[Trade],
            orders=self.kinds[Order],
            near_ratio=near_ratio,
            near_quantity=near_quantity,
            price_decimals=max(map(_decimals, self.prices)),
            quantity_decimals=max(map(_decimals, self.quantities)),
        )


def _counted(events: Iterable[Event], tally: dict[str, _Tally]) -> Iterator[Event]:
    for event in events:
        symbol_tally = tally[event.symbol]
        symbol_tally.kinds[type(event)] += 1
        symbol_tally.times = [
            symbol_tally.times[0] if symbol_tally.times else event.ts_event,
            event.ts_event,
        ]
        if isinstance(event, Order):
            symbol_tally.quantities.add(event.quantity)
            if event.price is not None:
                symbol_tally.prices.add(event.price)
        yield event


def _decimals(number: float) -> int:
    fraction = f"{number:.{MAX_DECIMALS}f}".split(".")[1].rstrip("0")
    return len(fraction)
