"""Forced flow is known from the venue's liquidations where it publishes them, else from flags."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.market_data.book_summary import BookSummary
from detectors.market_data.risk_events import Liquidation
from detectors.risk_watch.liquidation_flow import MOST_IDS, REPORTED_NS, LiquidationFlow
from tests.risk_watch.venue import BEGIN, MARK, SECOND, Venue, crowd, margin, position, reference

DEPTH = (1e5, 1e5, 1e5, 1e5)


def liquidation(at, quantity=1.0, **changes):
    fields = {
        "liquidation_id": "1", "account": "a", "phase": "slice", "side": "sell",
        "quantity_filled": quantity, "price": MARK, **changes,
    }  # fmt: skip
    return Liquidation(ts_event=at, symbol="X", **fields)


def venue_with_shorts(**limits):
    venue = Venue(flow=100.0, slope=2e-6, **limits)
    venue.take(margin(), reference(), *crowd(900.0, 0.5), position("s", -1_000.0, 0.5))
    return venue


def forced(venue, seconds, *, flags=True, records=True, notional=5_000.0):
    """Longs are sold by force in each second; flags, records or both say so."""
    for _ in range(seconds):
        if records:
            at = venue.now + SECOND // 2
            venue.take(liquidation(at, notional / MARK, liquidation_id=f"{at}"))
        if flags:
            venue.run(1, forced_sold=notional, factor=2.0)
        else:
            run_without_flag(venue, notional)


def run_without_flag(venue, notional):
    """As `Venue.run` for a second: the sale is in the flow, but no trade is flagged."""
    summarise = venue.monitor.summarise

    def unflagged(symbol, at, its):
        fields = {name: getattr(its, name) for name in BookSummary.__struct_fields__}
        return summarise(symbol, at, BookSummary(**{**fields, "forced_sold": 0.0}))

    venue.monitor.summarise = unflagged
    venue.run(1, forced_sold=notional, factor=2.0)
    venue.monitor.summarise = summarise


def told(flags, records):
    venue = venue_with_shorts()
    venue.run(300)
    forced(venue, 40, flags=flags, records=records)
    venue.run(60)
    return venue.last()


def test_records_teach_what_flags_teach_and_both_together_teach_it_once():
    by_flags, by_records = told(True, False), told(False, True)
    both = told(True, True)
    assert by_flags.impact.forced_events > 4.0  # it was learned
    for its in (by_records, both):
        assert its.impact.forced_factor == pytest.approx(by_flags.impact.forced_factor)
        assert its.impact.slope_bps_per_million == by_flags.impact.slope_bps_per_million
        assert its.liquidated_notional_15m == pytest.approx(200_000.0)
        assert (its.forced_flow_source, its.liquidations_15m) == ("liquidations", 40)
    assert by_flags.liquidated_notional_15m == pytest.approx(200_000.0)
    assert (by_flags.forced_flow_source, by_flags.liquidations_15m) == ("trades", None)


def test_what_was_liquidated_is_forgotten_after_a_quarter_of_an_hour():
    venue = venue_with_shorts()
    venue.take(liquidation(venue.now))
    venue.run(880)
    assert venue.last().liquidations_15m == 1
    assert venue.last("short").liquidations_15m == 0
    venue.run(60)
    assert (venue.last().liquidations_15m, venue.last().liquidated_notional_15m) == (0, 0.0)


def test_the_ladder_stands_at_the_mark_price_of_the_trigger_between_two_references():
    venue = venue_with_shorts()
    venue.run(10)
    venue.take(liquidation(venue.now, phase="start", mark_price=97.0, index_price=98.0))
    venue.run(10)
    assert venue.last().mark_price == 97.0
    assert venue.monitor.holdings.of("X").index == 98.0
    # An older one does not set it back.
    venue.take(liquidation(venue.now - 5 * SECOND, phase="start", mark_price=99.0))
    venue.run(10)
    assert venue.last().mark_price == 97.0


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({"side": "sell"}, "long"),
        ({"side": "buy", "equity_before": 5.0, "mark_price": 99.0, "bankruptcy_price": 98.0},
         "short"),
        ({"equity_before": 5.0, "mark_price": 99.0, "bankruptcy_price": 98.0}, "long"),
        ({"equity_before": -5.0, "mark_price": 99.0, "bankruptcy_price": 99.5}, "long"),
        ({"equity_before": 5.0, "mark_price": 99.0, "bankruptcy_price": 99.5}, "short"),
        ({}, "short"),  # the position that is known of the account
        ({"account": "nobody"}, None),
    ],
)  # fmt: skip
def test_the_side_is_what_the_record_or_else_the_position_says(fields, side):
    flow = LiquidationFlow()
    its = liquidation(BEGIN, **{"side": None, **fields})
    flow.put(its, 0.0 if its.account == "nobody" else -3.0, inverse=False)
    flow.close_second(BEGIN + SECOND, None)
    found = {side: flow.recent(side) for side in ("long", "short")}
    expected = {each: (MARK, 1) if each == side else (0.0, 0) for each in ("long", "short")}
    assert found == expected


def test_what_is_taken_over_or_deleveraged_is_liquidated_but_no_flow():
    flow = LiquidationFlow()
    flow.put(liquidation(BEGIN, 2.0, phase="start"), 0.0, inverse=False)
    flow.put(liquidation(BEGIN, 3.0, method="book"), 0.0, inverse=False)
    flow.put(liquidation(BEGIN, 5.0, method="adl"), 0.0, inverse=False)
    flow.put(
        liquidation(BEGIN, 5.0, method="adl", account="b", reason="counterparty", side="buy"),
        0.0, inverse=False,
    )  # fmt: skip
    flow.put(liquidation(BEGIN, 7.0, phase="takeover"), 0.0, inverse=False)
    flow.put(liquidation(BEGIN, 9.0, phase="end"), 0.0, inverse=False)
    summary = flow.close_second(BEGIN + SECOND, BookSummary(MARK, 1.0, DEPTH, DEPTH))
    assert (summary.forced_sold, summary.forced_bought) == (300.0, 0.0)
    assert flow.recent("long") == (1_500.0, 1)
    assert flow.recent("short") == (0.0, 0)


def test_a_face_value_is_its_notional():
    flow = LiquidationFlow()
    flow.put(liquidation(BEGIN, 300.0), 0.0, inverse=True)
    flow.close_second(BEGIN + SECOND, None)
    assert flow.recent("long") == (300.0, 1)


def test_without_a_record_for_half_an_hour_the_flags_count_again():
    flow = LiquidationFlow()
    flow.put(liquidation(BEGIN), 0.0, inverse=False)
    flagged = BookSummary(MARK, 1.0, DEPTH, DEPTH, sold=50.0, forced_sold=50.0)
    assert flow.close_second(BEGIN + SECOND, flagged).forced_sold == MARK
    assert flow.close_second(BEGIN + 2 * SECOND, flagged).forced_sold == 0.0
    assert flow.close_second(BEGIN + REPORTED_NS + SECOND, flagged).forced_sold == 50.0


def test_the_remembered_liquidations_of_a_symbol_are_bounded():
    flow = LiquidationFlow()
    for number in range(2 * MOST_IDS):
        flow.put(liquidation(BEGIN, liquidation_id=str(number)), 0.0, inverse=False)
    assert len(flow._sides) == MOST_IDS


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=12, unique=True
    )
)
def test_no_sale_counts_twice_whenever_its_record_comes(sales):
    """Each sale is flagged in its second; its record comes some seconds later, or never."""
    flow = LiquidationFlow()
    counted = 0.0
    for second in range(20):
        for sold_at, delay, recorded in sorted(sales):
            if recorded and sold_at + delay == second:
                at = BEGIN + sold_at * SECOND + SECOND // 2
                its = liquidation(at, liquidation_id=f"{sold_at}-{delay}")
                flow.put(its, 0.0, inverse=False)
        now = [its for its in sales if its[0] == second]
        flagged = MARK * len(now)
        summary = BookSummary(MARK, 1.0, DEPTH, DEPTH, sold=flagged, forced_sold=flagged)
        closed = flow.close_second(BEGIN + (second + 1) * SECOND, summary)
        counted += closed.forced_sold
        flow.next_second()
    assert counted <= MARK * len(sales)
    in_time = all(recorded and delay == 0 for _, delay, recorded in sales)
    if in_time or not any(recorded for *_, recorded in sales):
        assert counted == MARK * len(sales)


def test_the_totals_are_of_what_this_monitor_published():
    venue = venue_with_shorts()
    venue.take(liquidation(venue.now + 1))
    venue.run(20)
    assert venue.monitor.liquidated.of("long") == (MARK, 1)
    successor = venue_with_shorts()
    successor.monitor.resume(venue.output.records, [])
    successor.take(liquidation(successor.now + 1))
    successor.run(20)
    assert successor.monitor.liquidated.of("long") == (0.0, 0)
