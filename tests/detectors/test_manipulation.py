"""Orders of one account on one side of the book: layers, spoofs, and ordinary orders."""

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.events import Cancel, Order, Trade
from detectors.parameters import Parameters
from detectors.spoofing import fleeting_imbalance
from detectors.symbol import SymbolMonitor

BEGIN = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
DEPTH = 200 * 100.0  # what rests, in quote currency


class Market:
    """A quiet book of one symbol with 100 units on each side; it closes a bar every second."""

    def __init__(self) -> None:
        self.monitor = SymbolMonitor("S", Parameters(), CATALOGUE, Counts())
        self.now = BEGIN
        for side, price in (("buy", 99.99), ("sell", 100.01)):
            self.place(f"rest-{side}", side, price, 100.0, account=None)
        self.bar()

    def place(self, order_id, side, price, quantity, account="acc"):
        self.monitor.apply(
            Order(
                ts_event=self.now,
                symbol="S",
                order_id=order_id,
                side=side,
                price=price,
                quantity=quantity,
                account=account,
            )
        )

    def cancel(self, order_id, account="acc"):
        self.monitor.apply(
            Cancel(ts_event=self.now, symbol="S", order_id=order_id, account=account)
        )

    def fill(self, order_id, price, quantity, side):
        self.monitor.apply(
            Trade(
                ts_event=self.now,
                symbol="S",
                trade_id="t",
                price=price,
                quantity=quantity,
                side=side,
                maker_order_id=order_id,
                maker_account="acc",
            )
        )

    def bar(self):
        """Let a second pass."""
        self.now += SECOND
        self.monitor.close_bar(self.now)

    @property
    def layered(self):
        return abs(self.monitor.one_sided.placed.get("acc", 0.0))

    @property
    def fleeting(self):
        return fleeting_imbalance(self.monitor.spans.sums[1], DEPTH)


def test_large_orders_that_stay_on_one_side_are_layers():
    market = Market()
    for number in range(4):
        market.place(f"a{number}", "sell", 100.05, 10.0)
    market.bar()
    assert market.layered == pytest.approx(4 * 0.05, rel=1e-2)
    assert market.fleeting == 0.0


def test_a_quote_that_is_moved_all_the_time_has_no_layers():
    market = Market()
    for number in range(4):
        market.place(f"a{number}", "sell", 100.05, 10.0)
        market.now += SECOND // 10
        market.cancel(f"a{number}")
    market.bar()
    assert market.layered == pytest.approx(0.0)


def test_an_order_that_is_filled_in_many_trades_is_taken_off_once():
    market = Market()
    market.place("a", "sell", 100.01, 100.0)  # counts for a tenth, as any order that large
    market.bar()
    for _ in range(10):
        market.fill("a", 100.01, 10.0, "buy")
    market.bar()
    assert market.layered < 0.01  # a second's forgetting lies between


def test_a_large_order_withdrawn_within_a_second_is_a_spoof_whoever_placed_it():
    market = Market()
    market.place("a", "sell", 100.05, 80.0, account=None)
    market.now += SECOND // 2
    market.cancel("a", account=None)
    market.bar()
    assert market.fleeting == pytest.approx(0.4 / 1.4**0.5, rel=1e-2)


@pytest.mark.parametrize(
    ("quantity", "lived_ns"),
    [pytest.param(10.0, SECOND // 2, id="small"), pytest.param(80.0, 2 * SECOND, id="stayed")],
)
def test_what_is_small_or_stays_is_no_spoof(quantity, lived_ns):
    market = Market()
    market.place("a", "sell", 100.05, quantity)
    market.now += lived_ns
    market.cancel("a")
    market.bar()
    assert market.fleeting == 0.0


def test_large_fleeting_orders_on_both_sides_are_a_maker():
    market = Market()
    for order_id, side, price in (("a", "sell", 100.05), ("b", "buy", 99.95)):
        market.place(order_id, side, price, 80.0)
        market.now += SECOND // 4
        market.cancel(order_id)
    market.bar()
    assert market.fleeting < 0.01
