"""A symbol in an auction, in a halt, closed or expired: no damage to its book, and no alarm."""

import itertools
import random

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.feed.checks import FeedLimits
from detectors.incidents.suppression import Suppression, Window
from detectors.market_data.events import Cancel, Late, Order, Status, Trade
from detectors.parameters import Parameters
from detectors.reconfigure import reconfigure
from detectors.state import capture, revive
from detectors.symbol import SETTLING_BARS, SymbolMonitor
from detectors.venue.calendar import Calendar, Expiry, Session
from detectors.venue.trading import PATIENCE_BARS

BEGIN = 1_767_571_200 * 10**9  # Monday, 2026-01-05T00:00:00Z
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
WARM_UP = 20


def usual_depth(venue):
    return venue.monitor.columns.market.depth.usual[venue.monitor.row]


class Venue:
    """One symbol of a venue, and what its monitor makes of it, second by second."""

    def __init__(self, symbol="S", **parameters):
        parameters.setdefault("warmup_bars", WARM_UP)
        self.parameters = Parameters(**parameters)
        self.monitor = SymbolMonitor(symbol, self.parameters, CATALOGUE, Counts())
        self.symbol = symbol
        self.now = BEGIN
        self.alerts = []
        self.signals = []
        self._ids = map(str, itertools.count())
        self._rng = random.Random(1)
        self._resting = []

    def order(self, side, price, quantity=1.0):
        """Place an order; return its id."""
        order_id = next(self._ids)
        self.now += 1_000
        self._apply(
            Order, order_id=order_id, side=side, price=price, quantity=quantity, account="a"
        )
        return order_id

    def trade(self, price, maker, quantity=1.0):
        self._apply(
            Trade, trade_id="t", price=price, quantity=quantity, side="buy", maker_order_id=maker
        )

    def status(self, state, until=None):
        self.now += 1_000
        self._apply(Status, state=state, until=until)

    def second(self):
        """End the second, and its bar."""
        self.now = self.now // SECOND * SECOND + SECOND
        signal, alerts = self.monitor.close_bar(self.now)
        self.signals.append(signal)
        self.alerts += alerts
        return signal

    def trading(self, seconds):
        """Trade continuously: orders, cancels and trades around 100, never crossed."""
        for _ in range(seconds):
            for _ in range(8):
                side = self._rng.choice(("buy", "sell"))
                away = 0.01 * self._rng.randrange(1, 20)
                price = 100.0 - away if side == "buy" else 100.0 + away
                self._resting.append(self.order(side, price))
            while len(self._resting) > 80:
                gone = self._resting.pop(self._rng.randrange(len(self._resting)))
                if self._rng.random() < 0.3:
                    self.trade(100.0, gone)
                else:
                    self._apply(Cancel, order_id=gone)
            self.second()

    def auction(self, seconds):
        """Orders of both sides beyond the other side's prices; nothing trades. Return their ids."""
        ids = []
        for _ in range(seconds):
            for _ in range(4):
                ids.append(self.order("buy", 100.0 + 0.01 * self._rng.randrange(20), 30.0))
                ids.append(self.order("sell", 100.0 - 0.01 * self._rng.randrange(20), 30.0))
            self.second()
        return ids

    def uncross(self):
        """End an auction: everything that crosses trades."""
        book = self.monitor.book
        while book.crossed:
            for side in (book.bids, book.asks):
                best = side.best
                maker = next(i for i, order in book.orders.items() if order.price == best)
                self.trade(100.0, maker, book.orders[maker].quantity)

    def restart(self):
        """Continue from a snapshot."""
        state = capture(self.monitor, None)
        self.monitor = revive(self.symbol, state, self.parameters, CATALOGUE, self.monitor.counts)

    @property
    def firing(self):
        return [alert for alert in self.alerts if alert.status == "firing"]

    def _apply(self, kind, **fields):
        self.monitor.apply(kind(ts_event=self.now, symbol=self.symbol, **fields))


def statuses(signal):
    return {reading.status for reading in signal.detectors.values()}


def every_day(start, minutes, state, symbols=("S",)):
    begins = tuple(BEGIN + day * 1440 * MINUTE + start for day in range(7))
    window = Window(
        symbols=symbols, begins_ns=begins, length_ns=minutes * MINUTE, weekly=True, reason=""
    )
    return Session(window=window, state=state)


# With statuses.


@pytest.mark.parametrize("state", ["auction", "halted", "closed"])
def test_while_a_symbol_does_not_trade_nothing_is_judged_and_the_book_may_cross(state):
    venue = Venue()
    venue.trading(300)
    before = dict(venue.monitor.book.orders)
    venue.status(state)
    placed = venue.auction(120)
    assert before.keys() | set(placed) == venue.monitor.book.orders.keys()
    assert venue.monitor.counts.stale_orders == 0
    assert [statuses(signal) for signal in venue.signals[-120:]] == [{"paused"}] * 120
    assert venue.alerts == []


def test_after_an_auction_the_symbol_settles_as_after_a_lull():
    venue = Venue()
    venue.trading(300)
    usual = usual_depth(venue)
    venue.status("auction")
    venue.auction(120)
    assert usual_depth(venue) == usual
    venue.uncross()
    venue.status("open")
    venue.second()
    venue.trading(SETTLING_BARS)
    assert "scoring" not in statuses(venue.signals[-1])
    venue.trading(WARM_UP)
    assert "scoring" in statuses(venue.signals[-1])
    assert venue.alerts == []


def test_a_halt_ends_by_itself_where_the_venue_says_until_when():
    venue = Venue()
    venue.trading(300)
    venue.status("halted", until=venue.now + 30 * SECOND)
    venue.trading(30)
    assert statuses(venue.signals[-1]) == {"paused"}
    venue.trading(2)
    assert statuses(venue.signals[-1]) != {"paused"}


def test_a_status_that_is_older_than_the_last_one_changes_nothing():
    venue = Venue()
    venue.status("halted")
    old = Status(ts_event=venue.now - 1, symbol="S", state="open")
    venue.monitor.apply(Late(ts_event=venue.now, symbol="S", event=old))
    assert venue.monitor.trading.phase(venue.now) == "halted"


def test_a_restart_within_an_auction_changes_nothing():
    one, other = Venue(), Venue()
    for venue in (one, other):
        venue.trading(300)
        venue.status("auction")
        venue.auction(10)
        if venue is other:
            venue.restart()
        venue.auction(10)
        venue.uncross()
        venue.status("open")
        venue.trading(80)
    assert one.signals == other.signals


def test_a_cleared_book_is_empty_and_takes_what_is_published_again():
    venue = Venue()
    venue.trading(300)
    venue.status("book_cleared")
    assert venue.monitor.book.orders == {}
    again = [venue.order("buy", 99.9), venue.order("sell", 100.1)]
    assert statuses(venue.second()) == {"paused"}
    venue.trading(30)
    assert set(again) <= venue.monitor.book.orders.keys()
    assert "scoring" not in statuses(venue.signals[-1])
    assert venue.alerts == []


def test_orders_of_the_same_time_as_the_clearing_are_those_published_again():
    venue = Venue()
    venue.order("buy", 99.0)
    venue.now += 1
    again = venue.order("buy", 99.5)
    venue._apply(Status, state="book_cleared")
    assert list(venue.monitor.book.orders) == [again]
    venue._apply(Status, state="book_cleared", sequence=9)
    assert list(venue.monitor.book.orders) == []


def test_an_expired_symbol_has_no_open_incident_and_is_not_judged():
    venue = Venue(false_alarms_per_day=100.0)
    venue.trading(400)
    for order_id in list(venue.monitor.book.orders):
        venue._apply(Cancel, order_id=order_id)
    venue.second()
    assert [alert.status for alert in venue.alerts] == ["firing"]
    venue.status("expired")
    venue.second()
    resolved = venue.alerts[-1]
    assert (resolved.status, resolved.ends_at) == ("resolved", venue.now)
    assert resolved.summary == "S: it has expired"
    assert not venue.monitor.with_incident
    venue.trading(5)
    assert statuses(venue.signals[-1]) == {"paused"}
    venue.status("open")  # listed again under the same name
    venue.trading(2)
    assert statuses(venue.signals[-1]) != {"paused"}


def test_in_a_halt_no_stream_is_frozen():
    venue = Venue()
    venue.trading(400)
    venue.status("halted")
    venue.auction(200)  # orders, and no trades or cancels
    assert venue.alerts == []


# With a calendar.


def test_the_calendar_pauses_a_symbol_where_there_are_no_statuses():
    calendar = Calendar(sessions=(every_day(5 * MINUTE, 2, "auction"),))
    venue = Venue(calendar=calendar)
    venue.trading(300)
    venue.auction(120)
    assert [statuses(signal) for signal in venue.signals[-120:]] == [{"paused"}] * 120
    venue.uncross()
    venue.trading(1)
    assert statuses(venue.signals[-1]) != {"paused"}
    assert venue.alerts == []
    assert venue.monitor.counts.stale_orders == 0


def test_a_pause_without_an_event_is_a_pause_all_the_same():
    # Half a minute: shorter than a lull.
    window = Window(
        symbols=("S",), begins_ns=(BEGIN + 300 * SECOND,), length_ns=30 * SECOND, reason=""
    )
    venue = Venue(calendar=Calendar(sessions=(Session(window=window, state="halted"),)))
    venue.trading(300)
    assert "scoring" in statuses(venue.signals[-1])
    venue.now += 30 * SECOND
    venue.trading(2)
    assert "scoring" not in statuses(venue.signals[-1])


def test_outside_of_its_sessions_a_symbol_is_closed_and_the_last_entry_decides():
    day = every_day(0, 60, "open")
    auction = every_day(55 * MINUTE, 5, "auction")
    its = Calendar(sessions=(day, auction)).of("S")
    assert its.state(BEGIN) == "open"
    assert its.state(BEGIN + 55 * MINUTE) == "auction"
    assert its.state(BEGIN + 60 * MINUTE) == "closed"
    assert Calendar(sessions=(day, auction)).of("T").state(BEGIN + 60 * MINUTE) == "open"


@pytest.mark.parametrize(
    ("name_format", "symbol", "date"),
    [
        ("-%d%b%y", "ETH-5JAN26", 5),
        ("-%d%b%y", "ETH-05JAN26-3000-P", 5),
        ("_%y%m%d", "ETHUSD_260105", 5),
        ("-%Y-%m-%d", "ETH-2026-01-05", 5),
        ("-%b%y", "ETH-Jan26", 31),
    ],
)
def test_the_expiry_is_read_from_the_name(name_format, symbol, date):
    expiry = Expiry(symbols=("ETH*",), name_format=name_format, time_ns=8 * 60 * MINUTE)
    expires_ns = Calendar(expiries=(expiry,)).of(symbol).expires_ns
    assert expires_ns == BEGIN + (date - 5) * 1440 * MINUTE + 480 * MINUTE


@pytest.mark.parametrize(
    "symbol", ["ETH-PERP", "ETH-32JAN26", "ETH-30FEB26", "ETH-01FOO26", "BTC-5JAN26"]
)
def test_a_name_without_a_date_does_not_expire(symbol):
    expiry = Expiry(symbols=("ETH*",), name_format="-%d%b%y")
    assert Calendar(expiries=(expiry,)).of(symbol).expires_ns is None


def test_an_incident_ends_with_the_symbol_by_the_calendar_although_no_event_comes():
    expiry = Expiry(symbols=("*",), name_format="-%d%b%y", time_ns=402 * SECOND)
    venue = Venue("S-5JAN26", calendar=Calendar(expiries=(expiry,)), false_alarms_per_day=100.0)
    venue.trading(400)
    for order_id in list(venue.monitor.book.orders):
        venue._apply(Cancel, order_id=order_id)
    venue.second()
    assert [alert.status for alert in venue.alerts] == ["firing"]
    (resolved,) = venue.monitor.resolve(BEGIN + 403 * SECOND)
    assert (resolved.ends_at, resolved.summary) == (
        BEGIN + 402 * SECOND,
        "S-5JAN26: it has expired",
    )


def test_a_new_calendar_applies_to_a_running_symbol():
    venue = Venue()
    calendar = Calendar(sessions=(every_day(0, 60, "closed"),))
    venue.trading(2)
    reconfigure(venue.monitor, Parameters(warmup_bars=WARM_UP, calendar=calendar))
    venue.trading(1)
    assert statuses(venue.signals[-1]) == {"paused"}


# With neither.


def test_an_auction_that_nobody_reports_destroys_no_book_and_raises_nothing():
    venue = Venue()
    venue.trading(300)
    before = dict(venue.monitor.book.orders)
    placed = venue.auction(300)
    assert before.keys() | set(placed) == venue.monitor.book.orders.keys()
    assert venue.monitor.counts.stale_orders == 0
    venue.uncross()
    venue.trading(100)
    assert [alert for alert in venue.firing if alert.detector != "feed_integrity"] == []
    # The trades have stopped, which may be a fault: a warning says so, and nobody is paged.
    assert {alert.severity for alert in venue.firing} <= {"warning"}
    assert "scoring" in statuses(venue.signals[-1])


def test_a_slow_auction_is_not_destroyed_either():
    venue = Venue()
    venue.trading(300)
    placed = []
    for number in range(60):
        side = "buy" if number % 3 else "sell"
        placed.append(venue.order(side, 100.1 if side == "buy" else 99.9, 10.0))
        venue.now += 4 * SECOND
        venue.second()
    assert set(placed) <= venue.monitor.book.orders.keys()
    assert venue.monitor.counts.stale_orders == 0


def test_a_stale_order_goes_as_soon_as_trades_go_on_across_it():
    venue = Venue()
    stale = venue.order("buy", 100.15)  # its end is lost
    venue.trading(1)
    assert stale in venue.monitor.book.orders
    venue.trading(20)
    assert stale not in venue.monitor.book.orders
    assert venue.monitor.counts.stale_orders == 1


def test_without_trades_a_stale_order_goes_after_some_bars():
    venue = Venue()
    venue.order("buy", 99.0)
    venue.order("sell", 101.0)
    stale = venue.order("buy", 100.5)
    venue.second()
    real = venue.order("sell", 100.2)
    for number in range(PATIENCE_BARS):
        assert stale in venue.monitor.book.orders
        venue.order("sell", 102.0 + number)
        venue.second()
    assert stale not in venue.monitor.book.orders
    assert real in venue.monitor.book.orders


# Maintenance.


def test_nothing_fires_after_maintenance_for_what_happened_within_it():
    window = Window(
        symbols=("*",), begins_ns=(BEGIN + 400 * SECOND,), length_ns=20 * SECOND, reason="upgrade"
    )
    venue = Venue(suppression=Suppression(windows=(window,)), feed=FeedLimits(quiet_ns=30 * SECOND))
    venue.trading(400)
    for order_id in list(venue.monitor.book.orders)[:-4]:
        venue._apply(Cancel, order_id=order_id)
    for number in range(20):  # crossed and trading: in continuous trading that is a fault
        venue.order("buy", 100.5 + number)
        venue.order("sell", 99.5)
        venue.trade(100.0, "unknown")
        venue.second()
    for order_id in list(venue.monitor.book.orders):
        venue._apply(Cancel, order_id=order_id)
    venue._resting.clear()
    venue.trading(150)
    assert venue.firing == []
