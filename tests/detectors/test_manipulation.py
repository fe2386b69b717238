"""Orders of one account on one side of the book: layers, spoofs, and ordinary orders."""

import math

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.events import Cancel, Order, Trade
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor

BEGIN = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
LARGE = 32.0  # sixteen times the median size


class Market:
    """A quiet book of one symbol; its orders have two units. It closes a bar every second."""

    def __init__(self) -> None:
        self.monitor = SymbolMonitor("S", Parameters(), CATALOGUE, Counts())
        self.now = BEGIN
        for number in range(100):
            for side, price in (("buy", 99.99), ("sell", 100.01)):
                self.place(f"{side}-{number}", side, price, 1.0, account=None)
        self.bar()
        for number in range(31):
            self.place(f"usual-{number}", "buy", 99.99, 2.0, account=None)
            self.cancel(f"usual-{number}", account=None)
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
        return self.monitor.bar.layered

    @property
    def spoofed(self):
        return self.monitor.bar.spoofed


def test_large_orders_that_stay_on_one_side_are_layers():
    market = Market()
    for number in range(4):
        market.place(f"a{number}", "sell", 100.02, LARGE)
    market.bar()
    assert market.layered == pytest.approx(4 * math.log(16.0))
    assert market.spoofed == 0.0


def test_a_quote_that_is_moved_all_the_time_has_no_layers():
    market = Market()
    for number in range(4):
        market.place(f"a{number}", "sell", 100.02, LARGE)
        market.now += SECOND // 20
        market.cancel(f"a{number}")
    market.bar()
    assert market.layered == pytest.approx(0.0)


def test_an_order_that_is_filled_in_many_trades_is_taken_off():
    market = Market()
    market.place("a", "sell", 100.01, 100.0)
    market.bar()
    whole = market.layered
    for _ in range(10):
        market.fill("a", 100.01, 10.0, "buy")
    market.bar()
    assert market.layered < 0.05 * whole


@pytest.mark.parametrize(("account", "spoofed"), [("acc", 3 * math.log(2.0)), (None, None)])
def test_large_orders_of_an_account_withdrawn_within_three_seconds_are_spoofs(account, spoofed):
    market = Market()
    for number in range(3):
        market.place(f"a{number}", "sell", 100.02, LARGE, account=account)
        market.now += SECOND // 5
        market.cancel(f"a{number}", account=account)
    market.bar()
    assert market.spoofed == (spoofed if spoofed is None else pytest.approx(spoofed))


@pytest.mark.parametrize(
    ("quantity", "lived_ns"),
    [pytest.param(14.0, SECOND // 2, id="small"), pytest.param(LARGE, 4 * SECOND, id="stayed")],
)
def test_what_is_small_or_stays_is_no_spoof(quantity, lived_ns):
    market = Market()
    market.place("a", "sell", 100.02, quantity)
    market.now += lived_ns
    market.cancel("a")
    market.bar()
    assert market.spoofed == 0.0


def test_large_orders_withdrawn_on_both_sides_are_a_maker():
    market = Market()
    for order_id, side, price in (("a", "sell", 100.02), ("b", "buy", 99.98)):
        market.place(order_id, side, price, LARGE)
        market.now += SECOND // 4
        market.cancel(order_id)
    market.bar()
    assert market.spoofed == pytest.approx(0.0)
