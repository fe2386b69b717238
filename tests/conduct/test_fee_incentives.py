"""What a venue earns by liquidating is told where it earns more than the rules allow."""

import pytest

from detectors.conduct.fee_incentives import FeeIncentives
from detectors.conduct.liquidations import Liquidations
from detectors.risk.reduction import Reduction
from tests.conduct.liquidated import Desk

STEPS = Reduction("steps", step_ratio=0.2)


def venue(rule=STEPS):
    liquidations = Liquidations()
    its = Desk(liquidations, FeeIncentives(liquidations), rule=rule)
    its.run(5)
    return its


def liquidate(its, count, *, fee_ratio, take=2.0, price=99.3):
    for n in range(count):
        its.liquidate(f"a{n}", 10.0, take=take, price=price, fee=fee_ratio * take * price)
        its.run(2)
    return [verdict for *_, verdict in its.verdicts]


def close_whole(its, count, *, returned):
    """Close longs of 10 with 5 of margin and 3 of loss: 2 are left."""
    for n in range(count):
        its.position(f"b{n}", 10.0, 5.0)
        its.record(f"W{n}", f"b{n}", "start", 0.1, equity_before=2.0, maintenance_before=9.9)
        its.record(f"W{n}", f"b{n}", "slice", 0.2, quantity_filled=10.0, price=99.7, fee=0.0,
                   equity_before=2.0, maintenance_before=9.9)  # fmt: skip
        its.record(f"W{n}", f"b{n}", "end", 0.3, collateral_returned=returned)
        its.run(2)
    return [verdict for *_, verdict in its.verdicts]


def test_an_ordinary_fee_is_no_alarm():
    assert liquidate(venue(), 10, fee_ratio=0.002) == []


def test_a_fee_beyond_the_maintenance_margin_makes_everybody_bankrupt():
    verdict = liquidate(venue(), 3, fee_ratio=0.0125)[-1]
    assert verdict.severity == "critical"
    assert verdict.summary.startswith(
        "liquidations cost a fee of 1.25 %, of a maintenance margin of 1.00 %: whoever is"
    )
    assert verdict.evidence[0].value == pytest.approx(0.0125)
    assert verdict.evidence[0].expected == 0.01


def test_a_large_fee_counts_with_the_price_that_is_received():
    # Half of the maintenance margin, and 99.4 - 98.7 = 70 bps of the price.
    found = liquidate(venue(), 3, fee_ratio=0.006, price=98.7)
    assert found[-1].severity == "warning"
    assert "bps below the mark" in found[-1].summary
    assert liquidate(venue(), 3, fee_ratio=0.006, price=99.3) == []


def test_two_odd_records_are_no_alarm():
    assert liquidate(venue(), 2, fee_ratio=0.0125) == []


def test_collateral_that_is_left_and_kept_is_told_with_its_sum():
    verdict = close_whole(venue(Reduction("full")), 4, returned=0.0)[-1]
    assert "8.0 of 8.0 that was left of 4 accounts was not given back" in verdict.summary
    assert close_whole(venue(Reduction("full")), 4, returned=2.0) == []


def test_fees_for_what_the_rule_would_not_have_closed():
    # Steps of a fifth are declared, a half is taken: three fifths of the fees are beyond it.
    verdict = liquidate(venue(), 4, fee_ratio=0.002, take=5.0)[-1]
    figures = {each.feature: each.value for each in verdict.evidence}
    assert figures["fees_beyond_rule"] == pytest.approx(4 * 0.6 * 0.002 * 5.0 * 99.3)


def test_it_is_over_when_the_last_half_hour_shows_nothing():
    its = venue()
    liquidate(its, 3, fee_ratio=0.0125)
    count = len(its.verdicts)
    its.run(1_900)
    assert 1_700 < len(its.verdicts) - count <= 1_800
