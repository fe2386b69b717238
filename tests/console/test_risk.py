"""What the console says of the risk of a symbol's positions."""

import pytest
from msgspec.structs import replace

from detectors.market_data.risk_events import Insurance
from service.console.detail import detail
from service.console.risk import NO_POSITIONS, nearest_cascade_bps, risk
from service.exchange.scenarios.catalogue import scenario
from service.kafka.risk_watch import RISK_KEY
from service.presentation.assumptions import ASSUMPTIONS
from service.web.view import View
from tests.console.desk import Desk
from tests.risk_watch.venue import Venue, margin, near, position, reference


def a_view(**changes) -> View:
    return replace(Desk(script=scenario("calm"), symbols=["X"], rate=5.0).view(), **changes)


def test_the_last_published_record_is_shown_over_the_depth_of_the_side_that_takes_the_orders():
    venue = near()
    venue.take(Insurance(ts_event=venue.now, symbol="X", balance=5.0))
    venue.run(60)
    shown = risk(a_view(risk=venue.monitor), "X")
    record = venue.last()
    assert (shown.state, shown.note) == ("known", "")
    assert shown.ts_ms == record.ts_event // 1_000_000
    assert shown.insurance_fund == record.insurance_fund
    longs, shorts = shown.sides
    assert [its.notional for its in longs.rungs] == [its.notional for its in record.rungs]
    assert longs.rungs[3].price == pytest.approx(99.0)
    assert shorts.rungs[3].price == pytest.approx(101.0)
    cascade = next(run for run in record.runs if run.open_interest_ratio == 0.4)
    assert longs.cascade == cascade
    assert longs.cascade_probability == record.cascade_probability
    book = replace(venue.monitor.books["X"], bid_depth=(1.0, 2.0, 3.0, 4.0), ask_depth=(5.0,) * 4)
    venue.monitor.books["X"] = book
    longs, shorts = risk(a_view(risk=venue.monitor), "X").sides
    assert [its.depth for its in longs.rungs] == [1.0, 2.0, 3.0, 4.0, None, None]
    assert shorts.rungs[0].depth == 5.0


def test_of_the_quoted_depth_less_survives_a_larger_move():
    venue = near()
    venue.run(60)
    venue.monitor.learned["X"].flow.sigma_60s = 5e-4
    longs = risk(a_view(risk=venue.monitor), "X").sides[0]
    left = [its.stressed_depth / its.depth for its in longs.rungs if its.depth]
    assert left == sorted(left, reverse=True)
    assert 0.0 < left[-1] < left[0] <= 1.0
    assert longs.rungs[-1].depth is longs.rungs[-1].stressed_depth is None


def test_the_distance_in_the_table_is_that_of_the_nearer_side():
    venue = near()
    venue.run(60)
    distances = [
        run.distance_bps.p50
        for side in ("long", "short")
        for run in venue.last(side).runs
        if run.open_interest_ratio == 0.4
    ]
    assert nearest_cascade_bps(venue.monitor, "X") == min(distances) < max(distances)
    assert nearest_cascade_bps(venue.monitor, "Y") is None


def test_between_two_records_the_last_one_stays():
    venue = near()
    venue.run(20)
    published = venue.last()
    venue.take(position("new", 500.0, 0.001, at=venue.now))
    venue.keep(venue.monitor.close_until(venue.now))
    assert venue.last() == published
    longs = risk(a_view(risk=venue.monitor), "X").sides[0]
    assert [its.notional for its in longs.rungs] == [its.notional for its in published.rungs]


def test_a_side_whose_positions_are_gone_is_shown_no_more():
    venue = Venue()
    venue.take(margin(), reference(open_interest=0.0), position("a", 3.0, 0.004))
    venue.run(10)
    assert risk(a_view(risk=venue.monitor), "X").state == "known"
    venue.take(position("a", 0.0, 0.0, at=venue.now))
    venue.run(10)
    shown = risk(a_view(risk=venue.monitor), "X")
    assert (shown.state, shown.note, shown.sides) == ("unknown", NO_POSITIONS, [])


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, "off", "risk.enabled"),
        ({"connected": False}, "connecting", "not connected to Kafka"),
        ({"risk_wanted": True}, "elsewhere", "Another instance watches"),
        (
            {"risk_wanted": True, "venue_alerts": {RISK_KEY: None}},
            "reading",
            "still reading the positions",
        ),
    ],
)
def test_it_says_why_nothing_is_known_of_any_symbol(changes, state, words):
    shown = risk(a_view(**changes), "X")
    assert (shown.state, shown.sides) == (state, [])
    assert words in shown.note


def test_it_says_what_is_missing_of_a_symbol():
    venue = Venue()

    def note():
        return risk(a_view(risk=venue.monitor), "X").note

    assert note() == NO_POSITIONS
    venue.take(position("a", 3.0, 0.004))
    assert "No margin rates" in note()
    venue.take(margin())
    assert "No mark price" in note()
    venue.take(reference())
    assert "first record comes within 10 s" in note()
    venue.run(10)
    assert note() == ""


def test_without_a_topic_of_risk_no_records_are_computed_and_it_says_so():
    venue = Venue(with_records=False)
    venue.take(margin(), reference(), position("a", 3.0, 0.004))
    venue.run(20)
    shown = risk(a_view(risk=venue.monitor), "X")
    assert (shown.state, shown.sides) == ("unpublished", [])
    assert "outputs.risk" in shown.note


def test_every_assumption_of_a_record_is_told_in_words():
    venue = Venue()
    venue.take(margin(), reference(open_interest=None))
    venue.take(position("a", 3.0, 0.004), position("b", 1.0, 0.0, margin=None))
    venue.run(10)
    first = venue.last().assumptions
    venue.take(Insurance(ts_event=venue.now, symbol="*", balance=5.0))
    venue.run(10)
    codes = {*first, *venue.last().assumptions}
    assert {"margin_of_some_positions", "open_interest_from_positions"} <= codes
    assert {"no_insurance_fund", "fund_of_the_venue_for_this_symbol_alone"} <= codes
    assert codes <= set(ASSUMPTIONS)
    told = risk(a_view(risk=venue.monitor), "X").assumptions
    assert told == [ASSUMPTIONS[code] for code in venue.last().assumptions]


def test_the_detail_of_a_symbol_of_another_process_has_its_risk_too():
    venue = near()
    venue.run(20)
    desk = Desk(script=scenario("calm"), symbols=["OTHER"], rate=5.0)
    desk.risk, desk.risk_wanted = venue.monitor, True
    shown, _ = detail(desk.view(), desk.history, "X", 0)
    assert (shown.known, shown.risk.state) == (False, "known")
