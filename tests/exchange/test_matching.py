"""The book keeps price-time priority and loses nothing, against a model too simple to err."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL, OrderBook, RestingOrder


@dataclass
class Row:
    order_id: str
    account: int
    side: int
    ticks: int
    lots: int
    arrival: int


def naive_match(rows: list[Row], account: int, side: int, lots: int, limit: int):
    """Look through everything, best price first, then oldest."""
    fills, expired = [], []
    queue = [row for row in rows if row.side == -side and (row.ticks - limit) * side <= 0]
    queue.sort(key=lambda row: (row.ticks * side, row.arrival))
    for row in queue:
        if not lots:
            break
        if row.account == account:
            expired.append(row.order_id)
            rows.remove(row)
            continue
        traded = min(lots, row.lots)
        lots -= traded
        row.lots -= traded
        fills.append((row.order_id, row.ticks, traded))
        if not row.lots:
            rows.remove(row)
    return fills, expired, lots


orders = st.tuples(
    st.integers(0, 3),
    st.sampled_from([BUY, SELL]),
    st.integers(90, 110),
    st.integers(1, 20),
    st.sampled_from(["limit", "limit", "limit", "take", "cancel"]),
)


@settings(max_examples=200)
@given(st.lists(orders, max_size=60))
def test_the_book_trades_as_the_naive_model_does(actions: list[tuple[int, int, int, int, str]]):
    accounts = [Holding(str(number), 1.0, margined=False) for number in range(4)]
    book = OrderBook()
    rows: list[Row] = []
    resting: dict[str, RestingOrder] = {}
    for arrival, (account, side, ticks, lots, action) in enumerate(actions):
        if action == "cancel":
            if rows:
                row = rows.pop(arrival % len(rows))
                book.cancel(resting.pop(row.order_id))
            continue
        expected, expected_expired, left = naive_match(rows, account, side, lots, ticks)
        fills, expired = book.match(accounts[account], side, lots, ticks)
        assert [(fill.maker.order_id, fill.ticks, fill.lots) for fill in fills] == expected
        assert [order.order_id for order in expired] == expected_expired
        assert sum(fill.lots for fill in fills) == lots - left
        if action == "limit" and left:
            order_id = str(arrival)
            resting[order_id] = RestingOrder(order_id, accounts[account], side, ticks, left)
            book.rest(resting[order_id])
            rows.append(Row(order_id, account, side, ticks, left, arrival))
        bids = [row.ticks for row in rows if row.side == BUY]
        asks = [row.ticks for row in rows if row.side == SELL]
        assert book.best_bid() == max(bids, default=None)
        assert book.best_ask() == min(asks, default=None)
        assert book.depth(BUY, 95) == sum(
            row.lots for row in rows if row.side == BUY and row.ticks >= 95
        )


def test_an_account_never_trades_with_itself():
    account, other = Holding("a", 1.0, margined=False), Holding("b", 1.0, margined=False)
    book = OrderBook()
    own = RestingOrder("1", account, SELL, 100, 5)
    book.rest(own)
    book.rest(RestingOrder("2", other, SELL, 100, 5))
    fills, expired = book.match(account, BUY, 3, 100)
    assert expired == [own]
    assert [(fill.maker.order_id, fill.lots) for fill in fills] == [("2", 3)]
