"""What the simulated exchange publishes is consistent, reproducible and like a market."""

import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from detectors.market_data.events import Cancel, Event, Margin, Order, Position, Reference, Trade
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS, simulate
from service.exchange.venue.contracts import contracts

SECOND = 1_000_000_000


def run(name: str = "calm", **changes: Any) -> Iterator[Event | Truth]:
    arguments = {"seed": 1, "symbols": 2, "duration_ns": 300 * SECOND, "events_per_second": 30.0}
    kind = scenario(name, **changes.pop("how", {}))
    return simulate(kind, **(arguments | changes))


@pytest.fixture(scope="module")
def calm() -> list[Event]:
    return [event for event in run(duration_ns=900 * SECOND) if not isinstance(event, Truth)]


class Book:
    """Orders by id, to follow what becomes of them and to see the best prices."""

    def __init__(self) -> None:
        self.left: dict[str, float] = {}
        self.orders: dict[str, Order] = {}
        self.fates: Counter[str] = Counter()

    def apply(self, event: Event) -> None:
        if isinstance(event, Order):
            assert event.order_id not in self.orders
            self.orders[event.order_id] = event
            self.left[event.order_id] = event.quantity
        elif isinstance(event, Cancel):
            assert self.left.pop(event.order_id) > 0
            self.fates["cancelled"] += 1
        elif isinstance(event, Trade):
            assert self.orders[event.maker_order_id].type is None  # nothing of the others rests
            for order_id, account in (
                (event.maker_order_id, event.maker_account),
                (event.taker_order_id, event.taker_account),
            ):
                order = self.orders[order_id]
                assert order.account == account
                if order.price is not None:
                    better = event.price <= order.price
                    assert better if order.side == "buy" else event.price >= order.price
                left = round(self.left[order_id] - event.quantity, 8)
                assert left >= 0
                self.left[order_id] = left
                if not left:
                    del self.left[order_id]
                    self.fates["filled"] += 1


def test_every_order_ends_filled_cancelled_or_resting(calm: list[Event]):
    books: dict[str, Book] = {}
    for event in calm:
        books.setdefault(event.symbol, Book()).apply(event)
    for book in books.values():
        resting = sum(book.orders[order_id].type != "market" for order_id in book.left)
        unfilled = len(book.left) - resting
        assert len(book.orders) == book.fates.total() + resting + unfilled
        assert 0 < resting < 1_000
        assert 0.80 <= book.fates["cancelled"] / len(book.orders) <= 0.97


def test_time_and_sequence_only_go_forward(calm: list[Event]):
    times = [event.ts_event for event in calm]
    assert times == sorted(times)
    assert times[0] >= START_NS
    for symbol in ("BTC-PERP", "ETH-PERP"):
        sequence = [event.sequence for event in calm if event.symbol == symbol]
        assert sequence == list(range(1, len(sequence) + 1))


def test_what_is_published_passes_the_types_of_the_wire(calm: list[Event]):
    for event in calm[:5_000]:
        decoded = msgspec.json.decode(msgspec.json.encode(event), type=type(event))
        assert decoded == event


def test_same_seed_same_bytes_and_another_seed_other_bytes():
    def published(seed: int) -> bytes:
        return msgspec.json.Encoder().encode_lines(list(run(seed=seed, duration_ns=60 * SECOND)))

    assert published(7) == published(7)
    assert published(7) != published(8)


def test_positions_sum_to_zero_and_follow_from_the_trades(calm: list[Event]):
    traded: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], float] = {}
    last: dict[tuple[str, str], float] = {}
    for event in calm:
        if isinstance(event, Trade):
            sign = 1 if event.side == "buy" else -1
            traded[event.symbol, event.taker_account] += sign * event.quantity
            traded[event.symbol, event.maker_account] -= sign * event.quantity
        elif isinstance(event, Position):
            key = (event.symbol, event.account)
            if event.ts_event == START_NS:
                first[key] = event.quantity
            last[key] = event.quantity
    for symbol in ("BTC-PERP", "ETH-PERP"):
        opened = sum(quantity for (name, _), quantity in first.items() if name == symbol)
        assert opened == pytest.approx(0, abs=1e-6)
    for key, quantity in last.items():
        assert quantity == pytest.approx(first.get(key, 0.0) + traded[key], abs=1e-6)


def test_references_come_every_second_and_margins_once(calm: list[Event]):
    references = [event for event in calm if isinstance(event, Reference)]
    assert len(references) == pytest.approx(2 * 900, abs=4)
    assert len([event for event in calm if isinstance(event, Margin)]) == 2
    for event in references:
        assert abs(event.mark_price / event.index_price - 1) < 0.005
        assert event.open_interest > 0


def test_calm_keeps_spread_and_depth(calm: list[Event]):
    spreads, depths = [], []
    resting: dict[str, Order] = {}
    left: dict[str, float] = {}
    for event in calm:
        if event.symbol != "BTC-PERP":
            continue
        if isinstance(event, Order) and event.type is None:
            resting[event.order_id], left[event.order_id] = event, event.quantity
        elif isinstance(event, Cancel):
            left.pop(event.order_id, None)
        elif isinstance(event, Trade):
            for order_id in (event.maker_order_id, event.taker_order_id):
                if order_id in left:
                    left[order_id] -= event.quantity
                    if left[order_id] < 1e-9:
                        del left[order_id]
        elif isinstance(event, Reference) and event.ts_event > START_NS + 10 * SECOND:
            book = [(resting[order_id], quantity) for order_id, quantity in left.items()]
            bid = max(order.price for order, _ in book if order.side == "buy")
            ask = min(order.price for order, _ in book if order.side == "sell")
            spreads.append((ask / bid - 1) * 1e4)
            near = (bid + ask) / 2 * 1e-3
            depths.append(
                sum(quantity for order, quantity in book if abs(order.price - bid) < near)
            )
    assert min(spreads) > 0
    assert 0.5 < statistics.median(spreads) < 5
    assert max(spreads) < 20
    assert min(depths) > 0.2 * statistics.median(depths)


@pytest.mark.parametrize(("events_per_second", "seconds"), [(3.0, 3600), (30.0, 900), (250.0, 120)])
def test_activity_is_about_what_was_asked_for(events_per_second: float, seconds: int):
    events = run(symbols=2, duration_ns=seconds * SECOND, events_per_second=events_per_second)
    count = sum(isinstance(event, Order | Cancel | Trade) for event in events)
    assert 0.6 < count / seconds / 2 / events_per_second < 1.6


def test_symbols_are_counted_or_named_and_move_together():
    named = list(run(symbols=["AAA-PERP", "SOL-PERP"], duration_ns=5 * SECOND))
    assert {event.symbol for event in named} == {"AAA-PERP", "SOL-PERP"}
    assert len(contracts(40)) == 40
    with pytest.raises(ValueError, match="duplicate symbol"):
        contracts(["X", "X"])
    with pytest.raises(ValueError, match="5,000"):
        run(events_per_second=1e6)
    with pytest.raises(ValueError, match="only 1"):
        run("surge", symbols=1, how={"symbols": (3,)})
