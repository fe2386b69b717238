"""A record that is small enough to be judged by hand.

10 % maintenance. An account holds 4 bought at 100 with a margin of 30. At a mark of 100 its equity
is 30 of a required 40. Closing d at 100 without a fee leaves 30 of a required 10 (4 - d): d = 1
restores.
"""

import pytest

from detectors.audit.claims import Book, Claims, FairnessClaims, LiquidationClaims, MarginClaims
from detectors.market_data.events import Margin, Order, Position, Reference, Trade
from detectors.market_data.risk_events import Liquidation
from tests.audit.made import SECOND, audited

START = 1_700_000_000 * SECOND


def liquidated(sold: float, mark: float = 100.0) -> list:
    """Two seconds before, the position; then one slice of ``sold`` at 100, and the rest of it."""
    common = {"symbol": "X", "ts_event": START + 2 * SECOND + 1}
    return [
        Margin(ts_event=START, symbol="X", maintenance_margin_rate=0.1, max_leverage=10.0),
        Position(
            ts_event=START, symbol="X", account="a", quantity=4.0, entry_price=100.0, margin=30.0
        ),
        *(
            Reference(
                ts_event=START + second * SECOND, symbol="X", mark_price=mark, index_price=mark
            )
            for second in range(3)
        ),
        Order(order_id="bid", account="b", side="buy", price=100.0, quantity=9.0,
              **{**common, "ts_event": START + 1}),
        Order(order_id="ask", account="c", side="sell", price=100.1, quantity=9.0,
              **{**common, "ts_event": START + 1}),
        Order(order_id="L", account="a", side="sell", quantity=sold, type="market", **common),
        Trade(trade_id="1", price=100.0, quantity=sold, side="sell", maker_order_id="bid",
              taker_order_id="L", maker_account="b", taker_account="a", liquidation=True, **common),
        Liquidation(liquidation_id="X1", account="a", phase="slice", method="book", order_id="L",
                    quantity_requested=sold, quantity_filled=sold, price=100.0, mark_price=mark,
                    **common),
        Position(account="a", quantity=4.0 - sold, entry_price=100.0, margin=30.0, **common),
        Reference(ts_event=START + 4 * SECOND, symbol="X", mark_price=mark, index_price=mark),
    ]  # fmt: skip


def claims(**liquidation) -> Book:
    return Book(Claims(liquidation=LiquidationClaims(**liquidation)))


def found(events: list, book: Book) -> dict:
    return audited(sorted(events, key=lambda e: e.ts_event), book)


def test_the_sufficient_reduction_passes_and_half_as_much_again_is_named():
    assert found(liquidated(1.0), claims(strategy="sufficient"))["strategy"].outcome == "pass_weak"
    # The tolerance is one smallest trade, which is the slice itself: take another trade's size.
    events = liquidated(3.0)
    small = Trade(ts_event=START + 2, symbol="X", trade_id="0", price=100.0, quantity=0.01,
                  side="sell")  # fmt: skip
    finding = found([*events, small], claims(strategy="sufficient"))["strategy"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story.startswith("slice 1 asks for 3 of a position of 4")
    assert "the claim gives 1" in finding.cases[0].story
    assert finding.money == pytest.approx(200.0)  # 2 too much at 100


def test_the_excess_over_what_suffices_is_its_share_of_the_position():
    finding = found(liquidated(3.0), claims(strategy="full", over_median_ratio=0.4))["sufficiency"]
    assert finding.facts["excess over sufficient, all"] == pytest.approx((3.0 - 1.0) / 4.0)
    assert finding.outcome == "fail"


def test_a_whole_closing_passes_where_it_is_claimed():
    assert found(liquidated(4.0), claims(strategy="full"))["strategy"].outcome == "pass_weak"


def test_equity_of_40_or_more_is_not_due():
    """At a mark of 105 equity is 50 of a required 42."""
    healthy = found(liquidated(1.0, mark=105.0), claims())["below_maintenance"]
    assert healthy.outcome == "fail"
    assert "with 8.00 more than its maintenance margin" in healthy.cases[0].story
    assert found(liquidated(1.0), claims())["below_maintenance"].outcome == "pass_weak"


def test_a_claimed_buffer_moves_the_limit():
    """Liquidated below 1.2 times maintenance: 50 is less than 1.2 x 42 = 50.4."""
    book = Book(Claims(margin=MarginClaims(buffer=1.2)))
    assert found(liquidated(1.0, mark=105.0), book)["below_maintenance"].outcome == "pass_weak"


def test_a_slice_that_flips_the_position_is_named_with_the_excess():
    finding = found(liquidated(5.0), claims())["reduce_only"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story == "sold 5 of a position of 4: this flips it"
    assert finding.money == pytest.approx(100.0)


def test_too_few_liquidations_are_not_compared():
    book = Book(Claims(fairness=FairnessClaims(equal_treatment=True)))
    assert found(liquidated(1.0), book)["equal_treatment"].outcome == "not_tested"
