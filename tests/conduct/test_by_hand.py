"""The three liquidations that docs/liquidations.md checks by hand, with the inputs stated there."""

from pathlib import Path

import pytest

from detectors.conduct.liquidations import Liquidations
from tests.conduct.liquidated import Desk

PAGE = Path(__file__).parents[2] / "docs" / "liquidations.md"


def liquidated(quantity, entry, margin, *, mark, parts, wait=0):
    """The record of a long with a maintenance of .5 %; ``parts`` are fields of its slices."""
    its = Desk(Liquidations(), maintenance=0.005)
    its.mid = its.mark = its.index = entry
    its.run(400)
    its.position("a", quantity, margin, entry=entry)
    its.run(1)
    equity, required = margin + quantity * (mark - entry), 0.005 * quantity * mark
    its.record("L", "a", "start", 0.6, mark=mark, equity_before=equity, maintenance_before=required)
    its.run(wait)
    for fields in parts:
        stated = {"equity_before": equity, "maintenance_before": required, **fields}
        its.record("L", "a", stated.pop("phase", "slice"), 0.6, mark=mark, **stated)
    its.record("L", "a", "end", 0.8)
    its.run(301)
    (statement,) = its.statements
    return statement.record


def stated(*figures):
    page = PAGE.read_text()
    assert [its for its in figures if its not in page] == []


def test_a_large_long_that_is_closed_in_part():
    record = liquidated(
        66.04, 3007.83572711, 3911.0744, mark=2963.4177995599484,
        parts=[{"quantity_filled": 13.208, "price": 2963.2571850393742}],
    )  # fmt: skip
    stated("2963.4300670", "0.0544019", "242.785", "0.199176", "0.541991")
    assert record.trigger_price == pytest.approx(2963.4300670, abs=5e-7)
    assert record.needed == pytest.approx(0.0544019, abs=1.1e-6)  # of the rounded margin
    assert record.taken_ratio == pytest.approx(242.785, rel=2e-5)
    assert record.excess_ratio == pytest.approx(0.199176, abs=5e-7)
    assert record.concession_mark_bps == pytest.approx(0.541991, abs=5e-7)


def test_b_small_long_that_is_closed_whole():
    record = liquidated(
        0.2901, 59732.50604292, 130.0523, mark=59579.802931349725,
        parts=[{"quantity_filled": 0.2901, "price": 59263.261978628056}],
    )  # fmt: skip
    stated("0.00224045", "0.992277", "53.1289", "6.0754")
    assert record.needed == pytest.approx(0.00224045, abs=2e-7)
    assert record.excess_ratio == pytest.approx(0.992277, abs=1e-6)
    assert record.beyond_rule_ratio == 0.0
    assert record.concession_mark_bps == pytest.approx(53.1289, abs=5e-5)
    assert record.loss == pytest.approx(6.0754, abs=5e-5)


def test_c_small_long_that_is_taken_over():
    record = liquidated(
        0.5885, 59868.12965166, 366.9095, mark=59539.775626665374, wait=18,
        parts=[{"phase": "takeover", "method": "backstop", "quantity_filled": 0.5885,
                "price": 59244.66402275543}],
    )  # fmt: skip
    stated("59542.3759", "0.0000226", "18.4542")
    assert record.trigger_price == pytest.approx(59542.3759, abs=5e-5)
    assert record.loss == pytest.approx(0.0000226, abs=5e-8)
    assert record.wait_seconds == pytest.approx(18.0)
    assert record.concession_mark_bps is None  # at no market price
