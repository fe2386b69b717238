"""Who is deleveraged, for how much, whether it was their turn, and how near it is."""

import pytest

from detectors.conduct.adl import Adl
from detectors.market_data.events import Position
from detectors.market_data.risk_events import Insurance
from tests.conduct.liquidated import SECOND, Desk


def venue():
    its = Desk(Adl())
    its.position("bankrupt", 10.0, 5.0)
    its.position("rich", -6.0, 10.0, entry=110.0)  # at 99: 10 % profit, leverage 594 / 76
    its.position("poor", -6.0, 100.0, entry=100.0)
    its.position("loser", -6.0, 100.0, entry=90.0)
    its.mark = 99.0
    its.run(1)
    return its


def deleverage(its, targets, *, positions_first=True, price=99.5):
    """Deleverage the bankrupt long against these targets, as the venue publishes it."""
    total = sum(taken for _, taken, _ in targets)
    its.record("L", "bankrupt", "start", 0.0, equity_before=-5.0, maintenance_before=9.9)

    def positions():
        its.position("bankrupt", 10.0 - total, 5.0)
        for name, taken, held in targets:
            its.take(
                Position(
                    ts_event=its.now, symbol="X", account=name, quantity=-(held - taken),
                    entry_price=110.0 if name == "rich" else 100.0, margin=10.0,
                )
            )  # fmt: skip

    if positions_first:
        positions()
    for name, taken, _ in targets:
        fields = {"method": "adl", "quantity_filled": taken, "price": price}
        its.record("L", "bankrupt", "slice", **fields)
        its.record("L", name, "slice", reason="counterparty", **fields)
    if not positions_first:
        positions()


@pytest.mark.parametrize("positions_first", [True, False])
@pytest.mark.parametrize(
    ("targets", "out_of_turn"),
    [([("rich", 6.0, 6.0), ("poor", 2.0, 6.0)], 0.0), ([("poor", 6.0, 6.0)], 1.0)],
)
def test_who_paid_how_much_and_whether_it_was_their_turn(targets, out_of_turn, positions_first):
    its = venue()
    deleverage(its, targets, positions_first=positions_first)
    its.run(1)
    (_, name, symbol, verdict) = its.verdicts[-1]
    quantity = sum(taken for _, taken, _ in targets)
    figures = {each.feature: each.value for each in verdict.evidence}
    assert (name, symbol, verdict.severity) == ("adl", "X", "critical")
    assert figures["deleveraged_notional"] == pytest.approx(quantity * 99.0)
    assert figures["cost_to_the_other_side"] == pytest.approx(quantity * 0.5)
    assert figures["out_of_turn_ratio"] == pytest.approx(out_of_turn)
    assert f"of {len(targets)} accounts deleveraged in 1 step," in verdict.summary


def test_it_is_over_five_minutes_after_the_last_one():
    its = venue()
    deleverage(its, [("rich", 6.0, 6.0)])
    began = its.now
    its.run(400)
    assert max(at for at, *_ in its.verdicts) - began == 300 * SECOND


def test_without_the_other_side_nothing_is_said_of_the_order():
    its = venue()
    its.record("L", "bankrupt", "slice", method="adl", quantity_filled=3.0, price=99.5)
    its.run(1)
    verdict = its.verdicts[-1][3]
    assert [each.feature for each in verdict.evidence] == [
        "deleveraged_notional", "cost_to_the_other_side",
    ]  # fmt: skip


def insurance(its, balance, delta, cause="loss", symbol="*"):
    its.take(Insurance(ts_event=its.now, symbol=symbol, balance=balance, delta=delta, cause=cause))


def test_a_fund_that_holds_less_than_it_has_just_paid_is_a_warning():
    its = venue()
    insurance(its, 1_000.0, 1_000.0, "topup")
    its.run(1)
    insurance(its, 600.0, -400.0)
    its.run(1)
    assert its.verdicts == []
    insurance(its, 300.0, -300.0)
    its.run(1)
    (_, _, symbol, verdict) = its.verdicts[-1]
    assert (symbol, verdict.severity) == ("*", "warning")
    assert "holds 300; it paid 700 in ten minutes" in verdict.summary
    its.run(700)  # nothing is lost any more
    assert max(at for at, *_ in its.verdicts) < its.now - 90 * SECOND


def test_bankrupt_positions_that_are_still_open_count():
    its = venue()
    insurance(its, 40.0, 40.0, "topup")
    its.record("L1", "a", "start", equity_before=-30.0)
    its.run(1)
    assert its.verdicts == []
    its.record("L2", "b", "start", equity_before=-30.0)
    its.run(1)
    assert "lack 60" in its.verdicts[-1][3].summary
    its.record("L1", "a", "end")
    count = len(its.verdicts)
    its.run(1)
    assert len(its.verdicts) == count
