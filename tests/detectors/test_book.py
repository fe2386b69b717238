"""Compare the order book with a naive book that recomputes everything from a list of orders."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.market_data.book import Book, bands_of

PRICES = [99.0, 99.5, 99.9, 100.0, 100.1, 100.5, 101.0]

operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.integers(0, 9),
            st.booleans(),
            st.sampled_from(PRICES),
            st.integers(1, 50),
        ),
        st.tuples(st.just("take"), st.integers(0, 12), st.one_of(st.none(), st.integers(1, 60))),
    ),
    max_size=80,
)

BANDS = bands_of(5.0)


class NaiveBook:
    """Resting orders in a list; every query reads all of them."""

    def __init__(self):
        self.orders = []

    def add(self, order_id, is_buy, price, quantity):
        self.orders.append([order_id, is_buy, price, quantity])

    def take(self, order_id, quantity):
        for order in self.orders:
            if order[0] == order_id:
                taken = order[3] if quantity is None else min(quantity, order[3])
                order[3] -= taken
                if order[3] == 0:
                    self.orders.remove(order)
                return taken
        return None

    def best(self, is_buy):
        prices = [o[2] for o in self.orders if o[1] == is_buy]
        return (max(prices) if is_buy else min(prices)) if prices else None

    def depth(self, is_buy, mid, band):
        edge = mid * (1 - band / 1e4) if is_buy else mid * (1 + band / 1e4)
        return sum(
            o[2] * o[3]
            for o in self.orders
            if o[1] == is_buy and (o[2] >= edge if is_buy else o[2] <= edge)
        )


@given(operations)
def test_the_book_agrees_with_a_naive_one(steps):
    book, naive = Book(max_orders=1_000), NaiveBook()
    for step in steps:
        order_id = str(step[1])
        if step[0] == "add":
            if order_id in book.orders:
                assert book.take(order_id, None)[1] == naive.take(order_id, None)
            _, _, is_buy, price, quantity = step
            book.add(order_id, is_buy, price, float(quantity), 0)
            naive.add(order_id, is_buy, price, quantity)
        else:
            taken = book.take(order_id, step[2])
            assert (None if taken is None else taken[1]) == naive.take(order_id, step[2])
        assert {i: o.quantity for i, o in book.orders.items()} == {o[0]: o[3] for o in naive.orders}
        assert book.bids.best == naive.best(True)
        assert book.asks.best == naive.best(False)
        for side, is_buy in ((book.bids, True), (book.asks, False)):
            assert side.prices == sorted(side.prices)
            for band, depth in zip(BANDS, side.depth(100.0, BANDS), strict=True):
                assert depth == pytest.approx(naive.depth(is_buy, 100.0, band))


def rested(*orders, max_orders=1_000):
    book = Book(max_orders)
    for number, (is_buy, price, quantity) in enumerate(orders):
        book.add(str(number), is_buy, price, quantity, number)
    return book


def test_beyond_its_bound_the_order_that_rested_longest_goes():
    book = rested((True, 99.0, 1.0), (True, 98.0, 1.0), (True, 97.0, 1.0), max_orders=2)
    assert list(book.orders) == ["1", "2"]
    assert book.evicted == 1
    assert book.bids.best == 98.0


def test_orders_that_cross_at_rest_are_ghosts_and_the_oldest_go():
    book = rested((False, 100.0, 1.0), (True, 99.0, 1.0), (True, 101.0, 1.0), (False, 102.0, 1.0))
    book.uncross(before_ns=2)
    assert list(book.orders) == ["1", "2", "3"]
    assert book.stale == 1


def test_a_crossing_that_is_just_happening_is_left_alone():
    book = rested((False, 100.0, 1.0), (True, 101.0, 1.0))
    book.uncross(before_ns=0)
    assert len(book.orders) == 2


def test_an_empty_side_has_no_touch_and_no_mid():
    book = rested((True, 99.0, 1.0))
    assert book.asks.best is None
    assert book.mid is None
    assert book.spread_bps is None


def test_rounding_leaves_no_dust_behind():
    book = rested((True, 99.0, 0.3))
    for _ in range(3):
        book.take("0", 0.1)
    assert not book.orders
    assert not book.bids.levels
    assert math.isclose(sum(book.bids.depth(99.0, BANDS)), 0.0)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=60), st.sampled_from([1e-3, 0.1, 0.7]))
def test_no_level_is_left_of_an_order_that_is_filled_in_many_pieces(lots, lot):
    """However the pieces are rounded, and however small the last piece is beside the order."""
    book = rested((True, 99.0, sum(lots) * lot), (True, 98.0, 1e6))
    for number, piece in enumerate(lots):
        assert "0" in book.orders, number
        _, taken = book.take("0", piece * lot)
        assert taken == piece * lot  # nothing counts as more than what rested
    assert list(book.orders) == ["1"]
    assert book.bids.prices == [98.0]


def test_the_rest_of_an_order_stays_however_small_it_is():
    book = rested((True, 99.0, 1e6))
    book.take("0", 1e6 - 0.001)
    assert book.orders["0"].quantity == pytest.approx(0.001)
    _, taken = book.take("0", 0.002)
    assert taken == pytest.approx(0.001)  # more than what rested


def test_a_small_order_beside_a_huge_one_never_makes_a_quantity_negative():
    book = Book(max_orders=10)
    book.add("huge", is_buy=True, price=100.0, quantity=1e15, ts_event=0)
    book.add("small", is_buy=True, price=100.0, quantity=0.05, ts_event=1)
    book.take("huge", None)
    book.take("small", 0.02)
    assert book.bids.levels[100.0].quantity >= 0.0
    book.take("small", None)
    assert (book.bids.levels, book.bids.prices, book.orders) == ({}, [], {})
