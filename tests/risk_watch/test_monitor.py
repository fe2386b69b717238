"""The monitor publishes what the positions, the flow and the funds of a venue say."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.market_data.events import Tier
from detectors.market_data.risk_events import Account, Insurance
from detectors.risk.ladder import BPS
from detectors.risk_watch.monitor import RiskMonitor, record_second
from detectors.risk_watch.records import RiskRecord
from tests.risk_watch.venue import BEGIN, MARK, SECOND, Venue, crowd, margin, position, reference


def test_a_record_states_the_ladder_of_the_true_positions():
    venue = Venue()
    venue.take(margin(), reference(open_interest=10.0))
    venue.take(position("a", 3.0, 0.004), position("b", 1.0, 0.015), position("c", -4.0, 0.019))
    venue.run(10)
    record = venue.last()
    assert [rung.move_bps for rung in record.rungs] == list(BPS)
    assert [rung.accounts for rung in record.rungs] == [0, 0, 1, 1, 2, 2]
    assert record.rungs[2].notional == pytest.approx(300.0)
    assert record.rungs[-1].largest_ratio == pytest.approx(0.75)
    assert record.coverage_ratio == pytest.approx(0.4)
    assert record.open_interest == pytest.approx(1_000.0)
    assert venue.last("short").rungs[4].notional == pytest.approx(400.0)
    # Without flow nothing is said about runs, and with less than 0.9 covered nothing about R.
    assert (record.runs, record.impact, record.reproduction) == ([], None, None)


def test_the_distance_is_that_of_the_crowd_less_what_its_first_sales_move():
    venue = Venue()
    venue.take(margin(), reference(), *crowd(900.0, 0.02), position("s", -1_000.0, 0.5))
    venue.run(400)
    record = venue.last()
    cascade = next(run for run in record.runs if run.open_interest_ratio == 0.4)
    # 20 accounts of 4,500 each; a sale of one moves the price by about 1.5 x 0.45 bps.
    assert 150.0 < cascade.distance_bps.p50 < 201.0
    assert cascade.distance_bps.p10 <= cascade.distance_bps.p50 <= cascade.distance_bps.p90
    assert cascade.notional.p50 >= 0.4 * record.open_interest
    assert cascade.accounts.p50 >= 8
    # The same distance as an ordinary sale: no factor, no withdrawal.
    expected = cascade.distance_bps.p50 / 1e4 / (record.impact.slope_bps_per_million / 1e10)
    assert cascade.sale_notional.p50 == pytest.approx(expected)
    assert record.impact.slope_bps_per_million == pytest.approx(1e4, rel=1e-3)
    assert record.reproduction is not None
    assert record.coverage_ratio == pytest.approx(0.9)


def test_records_are_published_every_ten_seconds_of_event_time_where_something_changed():
    venue = Venue()
    venue.take(margin(), reference(), *crowd(900.0, 0.2))
    venue.run(35)
    times = [its.ts_event for its in venue.output.records if its.side == "long"]
    first = (record_second("X") - BEGIN // SECOND) % 10
    assert [(at - BEGIN) // SECOND for at in times] == [first, first + 10, first + 20, first + 30]
    venue.output.records.clear()
    venue.keep(venue.monitor.close_until(venue.now + 30 * SECOND))
    assert len(venue.output.records) <= 2 * 3  # spans end, and the impact is learned anew


def test_a_second_holds_what_came_before_its_end_and_nothing_later():
    venue = Venue()
    end = BEGIN + (record_second("X") - BEGIN // SECOND) % 10 * SECOND
    venue.take(margin(), reference(), position("a", 5.0, 0.004, at=end - 1))
    venue.take(position("b", 7.0, 0.004, at=end))
    assert venue.last().rungs[2].notional == pytest.approx(500.0)


def test_cross_accounts_are_liquidated_by_what_their_other_positions_lose():
    venue = Venue()
    venue.take(margin("X"), margin("Y"), reference("X"), reference("Y"))
    venue.take(
        Account(ts_event=BEGIN, account="a", collateral_value=10.0),
        position("a", 2.0, 0.0, "X", margin=None, margin_mode="cross"),
        position("a", 1.0, 0.0, "Y", margin=None, margin_mode="cross"),
    )
    venue.run(10)
    before = venue.last().rungs
    venue.take(reference("Y", venue.now, mark=95.0))
    venue.run(10)
    # 10 - 1 of Y behind 200: a fall of 3.5 % of X. With 5 lost in Y, 1.0 %.
    assert [rung.accounts for rung in before] == [0, 0, 0, 0, 0, 1]
    assert [rung.accounts for rung in venue.last().rungs] == [0, 0, 0, 0, 1, 1]


def test_tiers_and_announced_margins_apply_when_they_are_in_force():
    venue = Venue()
    venue.take(margin(), reference(), position("a", 5.0, 0.03))
    venue.run(10)
    assert venue.last().rungs[4].accounts == 0
    tiers = (
        Tier(up_to_notional=100.0, maintenance_rate=0.01),
        Tier(up_to_notional=None, maintenance_rate=0.03),
    )
    later = venue.now + 15 * SECOND
    venue.take(margin(at=venue.now, tiers=tiers, effective_at=later, announced_at=venue.now))
    venue.run(10)
    assert venue.last().rungs[4].accounts == 0
    venue.run(10)
    # 1 of 100 + 3 % of 400 less: 8 more of 500 is 1.6 % nearer.
    assert venue.last().rungs[4].accounts == 1


def test_margins_that_contradict_themselves_change_nothing():
    venue = Venue()
    venue.take(margin(), reference(), position("a", 5.0, 0.004))
    bad = (Tier(maintenance_rate=0.05), Tier(maintenance_rate=0.01))
    venue.take(margin(tiers=bad))
    venue.run(10)
    assert venue.monitor.holdings.refused_margins == 1
    assert venue.last().rungs[2].accounts == 1


def test_an_insurance_fund_pays_before_deleveraging():
    def losses(fund):
        venue = Venue(slope=2e-6)
        venue.take(margin(), reference(), *crowd(900.0, 0.01), position("s", -1_000.0, 0.5))
        if fund:
            venue.take(Insurance(ts_event=BEGIN, symbol="*", balance=fund))
        venue.run(400)
        return venue.last().runs[-1], venue.last().assumptions

    without, assumed = losses(0.0)
    assert without.loss.p50 > 0.0
    assert without.beyond_fund == without.loss
    assert "no_insurance_fund" in assumed
    with_fund, assumed = losses(1e9)
    assert with_fund.loss == without.loss
    assert with_fund.beyond_fund.p90 == 0.0
    assert "fund_of_the_venue_for_this_symbol_alone" in assumed


def test_the_smallest_positions_go_first_above_the_limit_and_the_coverage_shows_it():
    venue = Venue(max_positions=64)
    venue.take(margin(), reference(open_interest=2_080.0))
    for number in range(1, 65):
        venue.take(position(str(number), float(number), 0.004))
    venue.run(10)
    assert venue.last().coverage_ratio == pytest.approx(1.0)
    venue.take(position("one more", 50.0, 0.004, at=venue.now))
    venue.run(10)
    held = venue.monitor.holdings
    assert (len(held.positions), held.evicted_positions) == (64, 1)
    assert venue.last().evicted_positions == 1
    assert venue.last().coverage_ratio == pytest.approx((2_080.0 + 50.0 - 1.0) / 2_080.0)


def test_accounts_without_positions_are_bounded():
    venue = Venue(max_positions=64)
    for number in range(100):
        venue.take(Account(ts_event=BEGIN, account=str(number), collateral_value=1.0))
    held = venue.monitor.holdings
    assert (len(held.positions.accounts), held.refused_accounts) == (64, 36)


def test_two_runs_give_the_same_records():
    def run():
        venue = Venue()
        venue.take(margin(), reference(), *crowd(900.0, 0.006), position("s", -1_000.0, 0.5))
        venue.run(300)
        venue.run(60, forced_sold=3_000.0, depth=2e4)
        return msgspec.json.encode((venue.output.records, venue.output.alerts))

    assert run() == run()


def test_a_record_is_json_that_can_be_read_back():
    venue = Venue()
    venue.take(margin(), reference(), *crowd(300.0, 0.02))
    venue.run(400)
    record = venue.last()
    # 30 % of open interest: no shock forces 40 %.
    assert record.runs[-1].distance_bps.p50 is None
    assert record.runs[-1].notional is None
    assert msgspec.json.decode(msgspec.json.encode(record), type=RiskRecord) == record


def test_a_long_silence_ends_what_was_learned_in_bounded_time():
    venue = Venue()
    venue.take(margin(), reference(), *crowd(900.0, 0.02))
    venue.run(400)
    assert venue.last().impact is not None
    venue.keep(venue.monitor.close_until(venue.now + 30 * 86_400 * SECOND))
    venue.take(reference(at=venue.now + 30 * 86_400 * SECOND))
    venue.keep(venue.monitor.close_until(venue.now + (30 * 86_400 + 20) * SECOND))
    assert venue.last().impact is None
    assert len(venue.output.records) < 1_000


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcde"),
            st.integers(-5, 5).map(float),
            st.floats(0.001, 0.1),
            st.integers(0, 40),
        ),
        max_size=30,
    ),
    st.integers(1, 5),
)
def test_the_last_record_depends_on_the_last_states_alone(changes, mark_steps):
    """However the positions came about, the ladder is that of a venue that begins with them."""
    venue = Venue()
    venue.take(margin(), reference())
    states = {}
    for account, quantity, move, seconds in sorted(changes, key=lambda change: change[3]):
        event = position(account, quantity, move, at=BEGIN + seconds * SECOND)
        venue.take(event)
        states[account] = event
    mark = MARK * (1.0 - 0.001 * mark_steps)
    venue.take(reference(at=BEGIN + 45 * SECOND, mark=mark))
    venue.keep(venue.monitor.close_until(BEGIN + 60 * SECOND))
    fresh = Venue()
    fresh.take(margin(), reference(mark=mark))
    fresh.take(*(msgspec.structs.replace(its, ts_event=BEGIN) for its in states.values()))
    fresh.keep(fresh.monitor.close_until(BEGIN + 10 * SECOND))

    def told(its):
        return msgspec.structs.replace(its, ts_event=0)

    for side in ("long", "short"):
        assert told(venue.last(side)) == told(fresh.last(side))


def test_nothing_is_published_of_a_symbol_without_mark_or_margins():
    monitor = RiskMonitor()
    outputs = [monitor.take(position("a", 1.0, 0.01)), monitor.close_until(BEGIN + 60 * SECOND)]
    assert not any(its.records or its.alerts for its in outputs)
    assert not np.isnan(monitor.holdings.positions.quantity).any()
    assert math.isnan(monitor.holdings.of("X").mark)
