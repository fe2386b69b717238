"""The venue's records: small markets that trigger alerts, with all kinds of feed errors.

The log holds out-of-order, late and repeated events, events that are dated ahead, and invalid
records. They are the same for a disturbed and an undisturbed run. The venue announces auctions,
halts, cleared books and an expiry. One partition's cancels, trades and statuses stay empty forever.
"""

import itertools
import random
from typing import NamedTuple

import msgspec

from detectors.market_data.events import Cancel, Event, Order, Status, Trade
from tests.faults.announcements import STRANGERS, dated_ahead, statuses
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

PARTITIONS = 3
SYMBOLS = {0: ("AAA", "BBB"), 1: ("CCC",), 2: ("IDLE",)}
SECONDS = 60
CALM_SECONDS = 27
CLOSING_NS = BEGIN + (SECONDS + 6) * SECOND
"""The time of the last events, after every incident has become quiet."""

MAX_AHEAD_SECONDS = 60
"""An event that is dated further ahead of its record is refused."""

POISON = (
    None,
    b"",
    b"not json",
    b"{",
    b"[]",
    b'{"ts_event": 1}',
    b'{"ts_event": "x", "symbol": "AAA"}',
    b"\xff\xfe\x00",
    b'{"ts_event": 99999999999999999999, "symbol": "AAA", "order_id": "1"}',
    b"[" * 2_000,
)


class Sent(NamedTuple):
    """A record that the venue writes, and its time (seconds from the start)."""

    at: float
    stream: str
    partition: int
    key: bytes
    value: bytes | None
    gap: int = 0
    """How many offsets without a record follow: a transaction's marker, or what was aborted."""


def records(number: int) -> list[Sent]:
    """A market's records in the order in which they are written."""
    rng = random.Random(number)
    sent = []
    for partition, symbols in SYMBOLS.items():
        for i, symbol in enumerate(symbols):
            rate = 3 if symbol == "IDLE" else 6
            seconds = SECONDS - 8 * i - 4 * partition
            events = market(number * 10 + partition + 3 * i, seconds, (symbol,), rate)
            events = _with_bursts(rng, symbol, events)
            if symbol != "IDLE":
                events += [_small_trade(symbol, second) for second in range(1, seconds, 3)]
                events.sort(key=lambda event: event.ts_event)
            for stream, stream_events in by_stream(events).items():
                if symbol == "IDLE" and stream != "orders":
                    continue
                for event in stream_events:
                    sent += _written(rng, stream, partition, event)
            if symbol != "IDLE":
                for status in statuses(symbol, SECONDS):
                    sent += _written(rng, "statuses", partition, status)
    ahead = random.Random(number + 1_000)
    for at, partition, order in dated_ahead(ahead, SECONDS, MAX_AHEAD_SECONDS):
        value = msgspec.json.encode(order)
        sent.append(Sent(at, "orders", partition, order.symbol.encode(), value))
    sent.sort(key=lambda record: record.at)
    return _in_transactions(random.Random(-number), sent + list(_closing()))


def without_dates_ahead(sent: list[Sent]) -> list[Sent]:
    """The records without those of the symbols whose events are dated ahead."""
    return [record for record in sent if record.key.decode() not in STRANGERS]


def _in_transactions(rng: random.Random, sent: list[Sent]) -> list[Sent]:
    """The records with transaction markers after some of them, and after the last of each log."""
    last = {(record.stream, record.partition): i for i, record in enumerate(sent)}
    ends = set(last.values())
    return [
        record._replace(gap=rng.choice((1, 1, 1, 7)))
        if i in ends or rng.random() < 0.05
        else record
        for i, record in enumerate(sent)
    ]


def _with_bursts(
    rng: random.Random, symbol: str, events: list[Order | Cancel | Trade]
) -> list[Order | Cancel | Trade]:
    """The events, with occasional bursts that cancel nearly all resting orders."""
    bursts = []
    at = BEGIN + round(rng.uniform(CALM_SECONDS, CALM_SECONDS + 8) * SECOND)
    while at < events[-1].ts_event:
        cancelled = {event.order_id for event in events if isinstance(event, Cancel)}
        resting = [
            event.order_id
            for event in events
            if isinstance(event, Order) and event.ts_event < at and event.order_id not in cancelled
        ]
        bursts += [
            Cancel(ts_event=at + i * 100_000, symbol=symbol, order_id=order_id)
            for i, order_id in enumerate(resting[:-2])
        ]
        at += round(rng.uniform(5, 11) * SECOND)
    return sorted(events + bursts, key=lambda event: event.ts_event)


def _small_trade(symbol: str, second: int) -> Trade:
    """A trade that changes nothing. Without trades, the topic would count as idle."""
    return Trade(
        ts_event=BEGIN + second * SECOND,
        symbol=symbol,
        trade_id=f"s{second}",
        price=100.0,
        quantity=1e-6,
        side="buy",
    )


def _written(rng: random.Random, stream: str, partition: int, event: Event) -> list[Sent]:
    at = (event.ts_event - BEGIN) / SECOND
    key, value = event.symbol.encode(), msgspec.json.encode(event)
    draw = rng.random()
    delay = rng.uniform(0.001, 0.02)
    if draw < 0.02:
        delay += rng.uniform(0.01, 0.09)  # out of order, but not late
    elif draw < 0.03:
        delay += rng.uniform(0.2, 3.0)  # late
    written = [Sent(at + delay, stream, partition, key, value)]
    if draw > 0.99:
        written.append(Sent(at + delay + rng.uniform(0, 5), stream, partition, key, value))
    elif draw > 0.985:
        poison = rng.choice(POISON)
        written.append(Sent(at + delay, stream, partition, key, poison))
    return written


def _closing() -> "itertools.chain[Sent]":
    """The last two events of every non-empty stream, so that all partitions reach the same time."""
    at = (CLOSING_NS - BEGIN) / SECOND
    closing = []
    for partition, symbols in SYMBOLS.items():
        for i in range(2):
            common = {"ts_event": CLOSING_NS + i * SECOND, "symbol": symbols[0]}
            events = {
                "orders": Order(**common, order_id=f"z{i}", side="buy", price=1e-6, quantity=1.0),
                "cancels": Cancel(**common, order_id=f"z{i}"),
                "trades": Trade(**common, trade_id=f"z{i}", side="buy", price=1.0, quantity=1e-6),
                "statuses": Status(**common, state="open"),
            }
            for stream, event in events.items():
                if symbols[0] != "IDLE" or stream == "orders":
                    value = msgspec.json.encode(event)
                    closing.append(Sent(at + i, stream, partition, symbols[0].encode(), value))
    return itertools.chain(sorted(closing, key=lambda record: record.at))
