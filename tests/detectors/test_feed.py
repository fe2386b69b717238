"""Faults of a feed are found, reported once, and listed in the market's alerts."""

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.detector import Detector
from detectors.feed.checks import HALTED_NS, Feed, FeedLimits, FeedState, close_streams
from detectors.feed.findings import Finding
from detectors.feed.incidents import FeedIncidents
from detectors.feed.sequence_numbers import LEARNED, MAX_RANGES, Numbering
from detectors.feed.silence import Silences
from detectors.feed.transport_delay import LASTING_BARS, LEARNED_BARS, Transport
from detectors.incidents.suppression import Window
from detectors.incidents.symbol_incidents import Incidents
from detectors.judging.surprise import Contribution, Surprise
from detectors.market_data.book import Book
from detectors.market_data.events import LATEST_NS, Cancel, Late, Order, Reference, Trade
from detectors.market_data.flow import Flow
from detectors.parameters import Parameters
from detectors.scorer import Reading
from detectors.symbol import SymbolMonitor
from detectors.table import Writes

SECOND = 1_000_000_000
BEGIN = 1_767_225_600 * SECOND
QUIET = FeedLimits().quiet_ns


def cancel(sequence, kind=Cancel):
    more = {"trade_id": "1", "price": 1.0, "quantity": 1.0, "side": "buy"}
    its = more if kind is Trade else {"order_id": "1"}
    return kind(ts_event=BEGIN, symbol="A", sequence=sequence, **its)


def take(numbering, event):
    """Process an event's number as the hot path does."""
    if event.sequence == numbering.next:
        numbering.next += 1
        return False
    return numbering.broken(event, event.sequence)


def learned(numbers=range(LEARNED + 1)):
    numbering = Numbering()
    for sequence in numbers:
        take(numbering, cancel(sequence))
    numbering.close_bar()
    return numbering


def lost(numbering):
    """Return the number of lost events after two bars."""
    return numbering.close_bar() + numbering.close_bar()


def test_a_missing_number_is_a_lost_event_where_numbers_are_consecutive():
    numbering = learned()
    take(numbering, cancel(LEARNED + 4))
    assert lost(numbering) == 3
    assert lost(numbering) == 0


def test_an_event_that_comes_late_or_out_of_order_is_not_lost():
    numbering = learned()
    for sequence in (LEARNED + 2, LEARNED + 5):
        take(numbering, cancel(sequence))
    for sequence in (LEARNED + 1, LEARNED + 4):
        event = cancel(sequence)
        late = Late(ts_event=BEGIN, sequence=sequence, symbol="A", event=event)
        assert take(numbering, late)
    assert numbering.next == LEARNED + 6
    assert lost(numbering) == 1


def fill(numbering, sequence):
    take(numbering, Late(ts_event=BEGIN, sequence=sequence, symbol="A", event=cancel(sequence)))


@settings(max_examples=50)
@given(st.sets(st.integers(1, 300)), st.randoms(use_true_random=False))
def test_of_a_gap_only_what_never_came_is_lost(came, rng):
    numbering = learned()
    take(numbering, cancel(LEARNED + 301))
    for place in sorted(came, key=lambda _: rng.random()):
        fill(numbering, LEARNED + place)
    assert lost(numbering) == 300 - len(came)


def test_a_gap_that_falls_into_too_many_pieces_is_lost_at_once_and_takes_no_more_room():
    numbering = learned()
    gap = 4 * MAX_RANGES
    take(numbering, cancel(LEARNED + gap + 1))
    for place in range(2, gap, 2):
        fill(numbering, LEARNED + place)
    assert len(numbering.fresh) == MAX_RANGES
    # The range that was dropped at the last split counts as lost, although half of it arrived.
    assert lost(numbering) == MAX_RANGES + gap - 2 * MAX_RANGES
    assert len(numbering.waiting) == 0


def test_a_numbering_that_starts_anew_is_no_loss():
    numbering = learned(range(5_000, 5_000 + LEARNED + 1))
    for sequence in range(1, 100):
        take(numbering, cancel(sequence))
    assert lost(numbering) == 0
    take(numbering, cancel(101))
    assert lost(numbering) == 1


@pytest.mark.parametrize("step", [3, -1, 0])
def test_numbers_that_are_not_consecutive_say_nothing(step):
    rng = random.Random(1)
    numbering, sequence = Numbering(), 10**6
    for bar in range(300):
        for _ in range(20):
            sequence += step if step <= 0 else rng.randrange(1, step + 1)
            take(numbering, cancel(sequence))
        assert numbering.close_bar() == 0, bar
    assert not numbering.known


def test_streams_that_are_numbered_each_by_itself_are_understood():
    rng = random.Random(2)
    numbering, numbers = Numbering(), {Cancel: 0, Trade: 0}

    def bars(count):
        found = 0
        for _ in range(count):
            for _ in range(20):
                kind = rng.choice((Cancel, Trade))
                numbers[kind] += 1
                take(numbering, cancel(numbers[kind], kind))
            found += numbering.close_bar()
        return found

    assert bars(300) == 0
    assert numbering.known
    numbers[Trade] += 7
    assert bars(3) == 7


class Alone:
    """The feed of a symbol that shares its columns with no other."""

    def __init__(self, **limits):
        self.silences = Silences(1.0)
        self.silences.resize(1)
        self.feed = Feed(FeedLimits(**limits), SECOND, self.silences, 0)

    def close_bar(self, ends_at, book, flow, delays):
        ended = self.feed.end_bar(ends_at, 1, book, flow, delays)
        with Writes() as writes:
            (may_be_silent,) = close_streams(self.silences, np.array([0]), [ended], writes).tolist()
        return self.feed.findings(ended, may_be_silent=may_be_silent)


class Market:
    """A feed with given numbers of orders, cancels and trades a second, bar by bar."""

    def __init__(self, seed, **limits):
        self.rng = random.Random(seed)
        self.alone = Alone(**limits)
        self.bars = 0

    def bar(self, orders=14.0, cancels=13.0, trades=1.5, delays=()):
        self.bars += 1
        came = [
            sum(self.rng.random() < n / 40 for _ in range(40)) for n in (orders, cancels, trades)
        ]
        flow = Flow(orders=came[0], cancels=came[1], trades=came[2])
        at = BEGIN + self.bars * SECOND
        return self.alone.close_bar(at, Book(100), flow, dict(delays))

    def run(self, seconds, **rates):
        """Return the features found, each with the second in which it was found first."""
        first = {}
        for second in range(seconds):
            for problem in self.bar(**rates):
                first.setdefault(problem.feature, second + 1)
        return first


def test_cancels_that_freeze_are_found_within_seconds_and_trades_within_half_a_minute():
    market = Market(1)
    assert market.run(600) == {}
    found = market.run(20, cancels=0.0)
    assert list(found) == ["cancels_frozen_seconds"]
    assert found["cancels_frozen_seconds"] == 5
    assert market.run(300) == {}
    found = market.run(60, trades=0.0)
    assert list(found) == ["trades_frozen_seconds"]
    assert 15 < found["trades_frozen_seconds"] < 40


def test_a_stream_that_is_throttled_to_a_twentieth_is_found():
    market = Market(2)
    market.run(600)
    found = market.run(60, cancels=0.7)
    assert "cancels_throttled_ratio" in found
    assert found["cancels_throttled_ratio"] < 30


@pytest.mark.parametrize("factor", [0.02, 0.2, 5.0])
def test_a_market_that_slows_down_or_wakes_up_is_not_silent(factor):
    market = Market(3)
    rates = {"orders": 7.0, "cancels": 6.5, "trades": 0.7}
    assert market.run(600, **rates) == {}
    assert market.run(600, **{name: n * factor for name, n in rates.items()}) == {}
    assert market.run(300, **rates) == {}


def test_a_flood_in_one_stream_makes_no_silence_of_the_others():
    market = Market(4)
    rates = {"orders": 2.0, "cancels": 2.0, "trades": 0.5}
    market.run(600, **rates)
    assert market.run(60, **{**rates, "orders": 35.0, "cancels": 35.0}) == {}
    assert market.run(120, **rates) == {}


def test_what_is_new_has_no_habit_that_silence_could_break():
    market = Market(5)
    assert market.run(120) == {}
    assert market.run(60, cancels=0.0) == {}


def reference(second, mark):
    return Reference(ts_event=BEGIN + second * SECOND, symbol="A", mark_price=mark, index_price=1.0)


def test_a_price_that_is_repeated_is_stale_however_often_it_comes():
    market, found = Market(6), {}
    for second in range(700):
        market.alone.feed.moved(reference(second, 100.0 + min(second, 600)))
        for problem in market.bar():
            found.setdefault(problem.feature, second)
    assert list(found) == ["stale_reference_seconds"]
    assert 20 < found["stale_reference_seconds"] - 600 < 45


def test_market_orders_are_orders():
    monitor = SymbolMonitor("A", Parameters(), CATALOGUE, Counts())
    for second in range(700):
        for n in range(15):
            at = BEGIN + second * SECOND + n
            its = {"ts_event": at, "symbol": "A", "order_id": f"{second}-{n}"}
            resting = second < 600 and n < 14
            more = {"price": 100.0 - n} if resting else {"type": "market"}
            monitor.apply(Order(**its, side="buy", quantity=1.0, **more))
            monitor.apply(Cancel(**its))
        monitor.close_bar(BEGIN + (second + 1) * SECOND)
    assert monitor.counts.feed.findings == {}


def test_a_symbol_that_is_halted_is_looked_at_again_only_when_it_moves():
    market = Market(8)
    market.run(600)
    feed, last = market.alone.feed, market.alone.feed.state.last_bar_ns
    assert feed.due_ns < last + HALTED_NS
    assert feed.silent(last + HALTED_NS, last) is not None
    assert feed.silent(last + HALTED_NS + 1, last) is None
    assert feed.due_ns == LATEST_NS
    market.bar()
    assert feed.due_ns < LATEST_NS


def crossed_book():
    book = Book(100)
    book.add("a", is_buy=True, price=101.0, quantity=1.0, ts_event=0)
    book.add("b", is_buy=False, price=100.0, quantity=1.0, ts_event=0)
    return book


def test_a_book_that_keeps_crossing_is_found_and_one_that_did_once_is_not():
    feed = Alone()

    def bar(n, book):
        problems = feed.close_bar(BEGIN + n * SECOND, book, Flow(orders=1.0), {})
        return [problem.feature for problem in problems]

    assert bar(1, crossed_book()) == []
    assert [bar(n, Book(100)) for n in range(2, 12)] == [[]] * 10
    assert [bar(n, crossed_book()) for n in range(12, 15)] == [[], [], ["crossed_book_seconds"]]


def test_trades_against_an_empty_side_cannot_be():
    feed = Alone()
    book = Book(100)
    book.add("b", is_buy=False, price=100.0, quantity=1.0, ts_event=0)

    def bar(n, flow):
        problems = feed.close_bar(BEGIN + n * SECOND, book, flow, {})
        return [problem.feature for problem in problems]

    assert [bar(n, Flow(orders=1.0)) for n in range(10)] == [[]] * 10
    sold = Flow(trades=1.0, near_traded_bid=5.0)
    assert [bar(n, sold) for n in range(10, 13)][-1] == ["empty_book_seconds"]


def delays(transport, seconds, bars):
    for _ in range(bars):
        transport.close_bar(seconds, 1.0, 0.1)
    return transport


def test_a_delay_that_grew_and_lasts_is_late_and_a_straggling_bar_is_not():
    transport = delays(Transport(), 0.05, LEARNED_BARS)
    assert not delays(transport, 3.0, 1).late
    assert not delays(transport, 0.05, 1).late
    assert delays(transport, 3.0, LASTING_BARS).late
    assert transport.usual == pytest.approx(0.05)
    assert not delays(transport, 0.05, 1).late


def test_a_record_that_is_logged_before_its_event_is_a_clock_that_is_wrong():
    assert delays(Transport(), -0.5, LASTING_BARS).skewed
    assert not delays(Transport(), -0.05, LASTING_BARS).skewed


def test_a_recording_that_is_played_back_says_nothing_of_delays():
    transport = delays(Transport(), 5e8, 200)
    assert not transport.late
    assert not transport.known


def problem(feature="cancels_frozen_seconds"):
    return Finding(feature, 10.0, 0.0, 4.0, 1e-50, "cancels frozen for 10 s")


def test_a_feed_that_comes_and_goes_is_one_incident_that_opens_and_resolves():
    incidents = FeedIncidents("A", QUIET, ())
    found, alerts = problem(), []
    for second in range(0, 600, 20):
        alerts += incidents.step(BEGIN + second * SECOND, [found] if second < 300 else [])
    alerts += incidents.resolve(BEGIN + 280 * SECOND + QUIET)
    opened, resolved = alerts
    assert (opened.detector, opened.severity, opened.status) == (
        "feed_integrity", "warning", "firing",
    )  # fmt: skip
    assert opened.evidence[0].feature == "cancels_frozen_seconds"
    assert opened.summary == "A: cancels frozen for 10 s"
    assert (resolved.alert_id, resolved.status) == (opened.alert_id, "resolved")
    assert resolved.ends_at == BEGIN + 280 * SECOND + QUIET
    assert incidents.inputs(resolved.ends_at) == []


def test_a_second_check_or_a_minute_makes_it_critical_once():
    incidents = FeedIncidents("A", QUIET, ())
    incidents.step(BEGIN, [problem()])
    (critical,) = incidents.step(BEGIN + SECOND, [problem("crossed_book_seconds")])
    assert critical.severity == "critical"
    assert incidents.step(BEGIN + 2 * SECOND, [problem()]) == []
    lasting = FeedIncidents("A", QUIET, ())
    alerts = [a for n in range(100) for a in lasting.step(BEGIN + n * SECOND, [problem()])]
    assert [alert.severity for alert in alerts] == ["warning", "critical"]


def test_planned_work_opens_no_incident_but_the_inputs_are_still_not_trusted():
    window = Window(symbols=("*",), begins_ns=(BEGIN,), length_ns=600 * SECOND, weekly=False,
                    reason="upgrade")  # fmt: skip
    incidents = FeedIncidents("A", QUIET, (window,))
    assert incidents.step(BEGIN + SECOND, [problem()]) == []
    assert incidents.inputs(BEGIN + SECOND) == ["cancels frozen for 10 s"]
    assert incidents.active


def test_an_alert_of_the_market_says_what_is_known_against_its_inputs():
    detector = Detector("d", 1, lambda bar: bar, {"x": "x is {value:.1f}"}, Surprise)
    change = [Contribution("x", 9.0, 1.0, 1.0)]
    readings = {"d": Reading("scoring", {"x": 9.0}, 9.0, 1e-6, alarm=True, contributions=change)}
    trusted, doubted = Incidents("A", QUIET), Incidents("A", QUIET)
    (plain,) = trusted.step(BEGIN, (detector,), readings)
    (marked,) = doubted.step(BEGIN, (detector,), readings, ["cancels frozen for 12 s"])
    assert (plain.inputs, marked.inputs) == ([], ["cancels frozen for 12 s"])
    assert marked.summary == "A: x is 9.0; do not trust it: cancels frozen for 12 s"
    assert marked.alert_id == plain.alert_id


@settings(max_examples=15)
@given(st.integers(1, 400))
def test_a_feed_that_is_restored_anywhere_finds_what_the_other_would_have(cut):
    rates = [{}] * 320 + [{"cancels": 0.0}] * 40 + [{}] * 40
    one, other = Market(7), Market(7)
    expected = [one.bar(**its) for its in rates]
    found = [other.bar(**its) for its in rates[:cut]]
    saved = msgspec.msgpack.encode(other.alone.feed.snapshot())
    other.alone = Alone()
    other.alone.feed.restore(msgspec.msgpack.decode(saved, type=FeedState))
    assert found + [other.bar(**its) for its in rates[cut:]] == expected
