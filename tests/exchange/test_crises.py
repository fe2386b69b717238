"""The crises, the misuse and the ordinary turns of a session do to the market what they say."""

import statistics
from collections import Counter
from collections.abc import Iterable
from types import UnionType
from typing import Any

import pytest

from detectors.market_data.book import Book
from detectors.market_data.events import Cancel, Event, Order, Reference, Trade
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS, simulate

SECOND = 1_000_000_000
SEEDS = range(4)


def run(
    name: str,
    seed: int = 1,
    seconds: int = 600,
    symbols: int = 1,
    events_per_second: float = 10.0,
    **how: Any,
) -> list[Event | Truth]:
    return list(
        simulate(
            scenario(name, **({"start_seconds": 300, "length_seconds": 180} | how)),
            seed=seed,
            symbols=symbols,
            duration_ns=seconds * SECOND,
            events_per_second=events_per_second,
        )
    )


def between(events: Iterable[Event | Truth], kind: type | UnionType, start: float, end: float):
    low, high = START_NS + start * SECOND, START_NS + end * SECOND
    return [event for event in events if isinstance(event, kind) and low <= event.ts_event < high]


def label(events: list[Event | Truth], kind: str) -> Truth:
    (found,) = [event for event in events if isinstance(event, Truth) and event.kind == kind]
    return found


def depths(events: list[Event | Truth], start: int, end: int) -> tuple[float, float]:
    """The median of what rests within 25 bps, second by second: bids and asks."""
    book = Book(max_orders=100_000)
    seen = []
    for event in events:
        if isinstance(event, Order) and event.price is not None:
            book.add(
                event.order_id, event.side == "buy", event.price, event.quantity, event.ts_event
            )
        elif isinstance(event, Cancel):
            book.take(event.order_id, event.quantity)
        elif isinstance(event, Trade):
            book.take(event.maker_order_id, event.quantity)
            book.take(event.taker_order_id, event.quantity)
        elif isinstance(event, Reference) and book.mid is not None:
            seconds = (event.ts_event - START_NS) / SECOND
            seen.append(
                (seconds, *(side.depth(book.mid, (25.0,))[0] for side in (book.bids, book.asks)))
            )
    _, bids, asks = zip(*(row for row in seen if start <= row[0] < end), strict=True)
    return statistics.median(bids), statistics.median(asks)


def test_one_accounts_leverage_creeps_up_and_only_its():
    events = run("leverage_creep", seconds=900, length_seconds=480)
    (account,) = label(events, "leverage_creep").accounts
    own = [event.leverage for event in between(events, Order, 300, 780) if event.account == account]
    assert own == sorted(own)
    assert own[-1] > 90
    assert len(set(own)) >= 5, "step by step, not at once"
    others = [
        event.leverage for event in between(events, Order, 300, 780) if event.account != account
    ]
    assert max(others) <= 60


def test_many_accounts_rush_to_high_leverage_at_once():
    events = run("leverage_rush")
    assert len(label(events, "leverage_rush").accounts) >= 10

    def eager(start: float, end: float) -> float:
        orders = between(events, Order, start, end)
        return sum(event.leverage >= 90 for event in orders) / len(orders)

    assert eager(200, 300) == 0
    assert eager(300, 330) > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pulled_book_loses_its_bids_at_once_and_for_as_long_as_it_lasts(seed: int):
    events = run("pulled_book", seed=seed, events_per_second=30.0)
    bids, asks = depths(events, 100, 300)
    left, other = depths(events, 302, 330)
    assert left < 0.45 * bids, "what traders show is still there"
    assert other > 0.5 * asks
    assert depths(events, 400, 480)[0] < 0.45 * bids
    assert depths(events, 560, 600)[0] > 0.5 * bids


def test_a_weaker_pulled_book_leaves_some_makers_bids():
    full = run("pulled_book", events_per_second=30.0)
    weak = run("pulled_book", events_per_second=30.0, strength=0.5)
    assert depths(weak, 302, 330)[0] > 1.3 * depths(full, 302, 330)[0]


def test_a_spoofer_shows_one_large_ask_for_moments_and_buys():
    events = run("spoofing")
    (account,) = label(events, "spoofing").accounts
    own = [event for event in between(events, Order, 300, 482) if event.account == account]
    shown = {event.order_id: event for event in own if event.side == "sell"}
    others = [event for event in between(events, Order, 200, 300) if event.side == "sell"]
    assert len(shown) > 30
    assert min(event.quantity for event in shown.values()) > 10 * statistics.median(
        event.quantity for event in others
    )
    lives = [
        (event.ts_event - shown[event.order_id].ts_event) / SECOND
        for event in between(events, Cancel, 300, 482)
        if event.order_id in shown
    ]
    assert len(lives) >= 0.95 * len(shown)
    assert max(lives) < 1.0
    trades = between(events, Trade, 300, 482)
    sold = sum(event.quantity for event in trades if event.maker_account == account)
    bought = sum(event.quantity for event in trades if event.taker_account == account)
    assert bought > 0
    assert sold < 0.02 * sum(event.quantity for event in shown.values())


def test_trades_cluster_in_a_thin_book_that_nobody_refills():
    def fano(events: list[Event | Truth], start: int, end: int) -> float:
        """Variance over mean of the number of trades in five seconds."""
        counts = Counter(
            (event.ts_event - START_NS) // (5 * SECOND)
            for event in between(events, Trade, start, end)
        )
        each = [counts[window] for window in range(start // 5, end // 5)]
        return statistics.pvariance(each) / max(statistics.mean(each), 1e-9)

    before, during, thinner = [], [], []
    for seed in SEEDS:
        events = run("thin_clustering", seed=seed, events_per_second=30.0)
        before.append(fano(events, 120, 300))
        during.append(fano(events, 300, 480))
        thinner.append(sum(depths(events, 340, 480)) / sum(depths(events, 120, 300)))
    assert statistics.mean(during) > 2 * statistics.mean(before)
    assert statistics.mean(thinner) < 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flash_crash_falls_within_minutes_and_is_made_good_in_part(seed: int):
    events = run("flash_crash", seed=seed, seconds=1_800, length_seconds=600)

    def marks(start: int, end: int) -> list[float]:
        return [event.mark_price for event in between(events, Reference, start, end)]

    before = marks(299, 300)[-1]
    lowest = min(marks(300, 600))
    assert 0.01 < 1 - lowest / before < 0.2
    assert max(marks(1_700, 1_800)) > lowest + 0.3 * (before - lowest)


def test_the_makers_of_several_symbols_leave_together():
    events = run("market_wide", symbols=3, events_per_second=30.0)
    labelled = {event.symbol for event in events if isinstance(event, Truth)}
    assert len(labelled) == 3
    for symbol in labelled:
        its = [event for event in events if event.symbol == symbol]
        assert sum(depths(its, 312, 360)) < 0.6 * sum(depths(its, 200, 300))


@pytest.mark.parametrize(
    ("name", "how", "where"),
    [
        ("market_wide", {}, 3),
        ("market_wide", {"symbols": (0, 2)}, 2),
        ("feed_gap", {}, 3),
        ("spoofing", {}, 1),
        ("spoofing", {"symbols": None}, 3),
    ],
)
def test_a_scenario_takes_place_where_it_usually_does_or_where_it_is_told_to(
    name: str, how: dict[str, Any], where: int
):
    chosen = scenario(name, start_seconds=5, length_seconds=10, **how)
    events = simulate(chosen, seed=1, symbols=3, duration_ns=20 * SECOND)
    labels = [event for event in events if isinstance(event, Truth) and event.kind == name]
    assert len({found.symbol for found in labels}) == len(labels) == where
