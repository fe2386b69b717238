"""What is answered to a scenario, and what is said beside the figures."""

import pytest

from detectors.market_data.events import Margin
from detectors.market_data.risk_events import Account, Insurance
from detectors.risk.what_if.scenario import Scenario
from detectors.risk_watch.what_if import answer, standing
from tests.risk_watch.venue import BEGIN, Venue, margin, position, reference


def venue(*events, seconds=400):
    its = Venue()
    its.take(margin(), reference(), *events)
    its.run(seconds)
    return its


def asked(its, scenario):
    return answer(standing(its.monitor.holdings, its.monitor.learned, its.now), scenario)


def test_the_impact_has_an_interval_and_the_first_generation_has_none():
    its = venue(*(position(f"a{n}", 100.0, 0.01 + 0.0005 * n) for n in range(10)))
    found = asked(its, Scenario({"X": -0.0101}))
    (longs,) = found.after.sides
    assert longs.generations[0] == pytest.approx(10_000 * 1)
    assert longs.forced.p10 <= longs.forced.p50 <= longs.forced.p90
    assert longs.forced.p90 > 10_000
    assert found.after.prices["X"].p10 < found.after.prices["X"].p90 < 0.9899 * 100
    assert found.after.forced == longs.forced
    assert found.before is found.after
    assert "whole_positions_are_closed" in found.assumptions
    assert "no_insurance_fund" in found.assumptions
    assert found.after.beyond_fund is None


def test_losses_are_borne_by_the_fund_of_the_symbol_and_then_by_that_of_the_venue():
    holder = position("a", 1_000.0, 0.01)
    its = venue(
        holder,
        Insurance(ts_event=BEGIN, symbol="X", balance=1_000.0),
        Insurance(ts_event=BEGIN, symbol="*", balance=500.0),
    )
    found = asked(its, Scenario({"X": -0.05}))
    assert found.after.loss.p50 > 1_500
    assert found.insurance_fund == 1_500
    for beyond, loss in zip(
        (found.after.beyond_fund.p10, found.after.beyond_fund.p90),
        (found.after.loss.p10, found.after.loss.p90),
        strict=True,
    ):
        assert beyond == pytest.approx(loss - 1_500)


def test_a_cross_account_is_closed_in_all_its_symbols_if_its_collateral_is_known():
    held = [
        position("a", 100.0, 0.5, margin=None, margin_mode="cross"),
        position("a", 50.0, 0.5, symbol="Y", margin=None, margin_mode="cross", leverage=10.0),
    ]
    others = [margin("Y"), reference("Y")]
    known = venue(*others, *held, Account(ts_event=BEGIN, account="a", collateral_value=650.0))
    found = asked(known, Scenario({"X": -0.06}))
    assert {its.symbol for its in found.after.sides} == {"X", "Y"}
    assert found.after.accounts.p50 == 1
    assert "accounts_are_closed_pro_rata" in found.assumptions
    assert "no_impact_known_of:Y" in found.assumptions
    unknown = venue(*others, *held)
    assert "assumed_isolated" in asked(unknown, Scenario({"X": -0.06})).assumptions


def test_coverage_is_told_and_null_without_an_open_interest():
    its = venue(position("a", 250.0, 0.3), margin("Y"), position("b", 1.0, 0.3, symbol="Y"),
                reference("Y", open_interest=None))  # fmt: skip
    assert asked(its, Scenario()).coverage_ratio == {"X": 0.25, "Y": None}


def test_nothing_is_closed_where_the_venue_has_told_no_margins():
    its = venue(position("a", 100.0, 0.01), position("b", 100.0, 0.01, symbol="Y"), reference("Y"))
    found = asked(its, Scenario({"*": -0.05}))
    assert {each.symbol for each in found.after.sides} == {"X"}
    assert "nothing_moves_in:Y" in found.assumptions
    with pytest.raises(ValueError, match="no mark price or no margins of Y are known"):
        asked(its, Scenario({"Y": -0.05}))
    with pytest.raises(ValueError, match="no positions of Z are known; known symbols: X, Y"):
        asked(its, Scenario({"Z": -0.05}))


def test_a_raised_maintenance_rate_says_who_is_hit_before_any_price_moves():
    near, far = position("a", 100.0, 0.005), position("b", 100.0, 0.2)
    its = venue(near, far)
    found = asked(its, Scenario(maintenance={"X": 2.0}))
    assert (found.before.below_at_once, found.after.below_at_once) == (0, 1)
    assert found.before.forced.p90 == 0
    assert found.after.forced.p10 == pytest.approx(10_000)


def test_the_reproduction_number_is_that_of_the_rules():
    crowd = [position(f"a{n}", 100.0, 0.004 + 0.0004 * n) for n in range(10)]
    short = position("s", -1_000.0, 0.5)
    its = venue(*crowd, short)
    whole, half, raised, halted = (
        asked(its, scenario) for scenario in (
            Scenario(), Scenario(depth={"*": 2.0}), Scenario(maintenance={"X": 1.6}),
            Scenario(halted=frozenset({"X"})),
        )
    )  # fmt: skip
    slopes = its.monitor.learned["X"].impact_slopes("long")
    middle = float(slopes[len(slopes) // 2])
    assert whole.after.radius.p50 == pytest.approx(middle * 100_000 / 0.0085, rel=0.05)
    assert whole.after.radius.p10 < whole.after.radius.p50 < whole.after.radius.p90
    assert half.after.radius.p50 == pytest.approx(0.5 * half.before.radius.p50)
    assert half.before.radius == whole.after.radius
    assert halted.after.radius.p90 == 0
    # Those that the raise itself puts below maintenance are none of a move's.
    assert raised.after.radius.p50 < raised.before.radius.p50
    partly = venue(*crowd[:5], short)
    assert asked(partly, Scenario()).after.radius is None


def test_a_mark_window_is_compared_with_the_rule_of_the_venue():
    told = Margin(
        ts_event=BEGIN, symbol="X", maintenance_margin_rate=0.01, initial_margin_rate=0.02,
        mark_window_ns=30 * 10**9,
    )  # fmt: skip
    its = venue(told, *(position(f"a{n}", 100.0, 0.01 + 0.0005 * n) for n in range(10)))
    found = asked(its, Scenario({"X": -0.0101}, mark_window_seconds=300.0))
    assert found.after.forced.p90 <= found.before.forced.p90
    assert found.after.prices["X"].p50 >= found.before.prices["X"].p50
    assert "mark_follows_fully" not in found.assumptions
