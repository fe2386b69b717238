"""Margins, fees, remainders and index sources: each rule kept, and each broken."""

import msgspec
import pytest

from detectors.audit.claims import (
    Book,
    Claims,
    FeeClaims,
    LiquidationClaims,
    MarginClaims,
    MarkClaims,
)
from detectors.market_data.events import (
    IndexSource,
    Margin,
    Order,
    Position,
    Reference,
    Tier,
    Trade,
)
from detectors.market_data.risk_events import Ack, FeeSchedule, Liquidation
from tests.audit.made import SECOND, audited, changed
from tests.audit.test_by_hand import START, found, liquidated


def taken(quantity: float, margin: float) -> list:
    """An order that trades at once, at 100, and the position with its margin after it; 10 times
    leverage is the most."""
    common = {"symbol": "X", "ts_event": START + 5}
    return [
        Margin(ts_event=START, symbol="X", maintenance_margin_rate=0.05, max_leverage=10.0),
        *(
            Reference(ts_event=START + s * SECOND, symbol="X", mark_price=100.0, index_price=100.0)
            for s in range(2)
        ),
        Order(order_id="ask", account="b", side="sell", price=100.0, quantity=99.0,
              **{**common, "ts_event": START + 1}),
        Order(order_id="bid", account="b", side="buy", price=99.9, quantity=99.0,
              **{**common, "ts_event": START + 1}),
        Order(order_id="o", account="a", side="buy", quantity=quantity, type="market", **common),
        Trade(trade_id="1", price=100.0, quantity=quantity, side="buy", maker_order_id="ask",
              taker_order_id="o", maker_account="b", taker_account="a", **common),
        Position(account="a", quantity=quantity, entry_price=100.0, margin=margin, **common),
    ]  # fmt: skip


ENFORCED = Book(Claims(margin=MarginClaims(initial_enforced=True)))


def test_an_order_within_the_initial_margin_passes_and_one_beyond_it_fails():
    assert found(taken(2.0, 20.0), ENFORCED)["initial_margin"].outcome == "pass_weak"
    finding = found(taken(2.0, 15.0), ENFORCED)["initial_margin"]
    assert finding.outcome == "fail"
    assert "grew with 5.00 less than its initial margin" in finding.cases[0].story
    assert found(taken(2.0, 15.0), Book())["initial_margin"].outcome == "inferred"


def test_the_initial_margin_of_tiers_is_that_of_their_parts():
    tiers = (
        Tier(up_to_notional=100.0, initial_rate=0.1, maintenance_rate=0.05),
        Tier(initial_rate=0.2, maintenance_rate=0.1),
    )
    events = [changed(e, tiers=tiers) if isinstance(e, Margin) else e for e in taken(2.0, 30.0)]
    # 10 % of the first 100, 20 % of the other 100: 30.
    assert found(events, ENFORCED)["initial_margin"].outcome == "pass_weak"
    short = [changed(e, tiers=tiers) if isinstance(e, Margin) else e for e in taken(2.0, 29.0)]
    assert found(short, ENFORCED)["initial_margin"].outcome == "fail"


def reduced(margin: float) -> list:
    """Half of 2 with a margin of 20 is sold by its owner, who keeps this much margin."""
    events = taken(2.0, 20.0)
    common = {"symbol": "X", "ts_event": START + SECOND + 5}
    return [
        *events,
        Order(order_id="p", account="a", side="sell", quantity=1.0, type="market", **common),
        Trade(trade_id="2", price=99.9, quantity=1.0, side="sell", maker_order_id="bid",
              taker_order_id="p", maker_account="b", taker_account="a", **common),
        Position(account="a", quantity=1.0, entry_price=100.0, margin=margin, **common),
    ]  # fmt: skip


def test_a_reduction_that_brings_the_liquidation_nearer_fails():
    assert found(reduced(10.0), Book())["reductions"].outcome == "pass_weak"
    finding = found(reduced(8.0), Book())["reductions"]
    assert finding.outcome == "fail"
    # (200 - 20) / (2 - .1) before, (100 - 8) / (1 - .05) after.
    assert "went from 94.736842 to 96.842105" in finding.cases[0].story


def test_a_reduction_that_is_refused_for_want_of_margin_fails():
    def answered(**fields) -> list:
        ack = Ack(ts_event=START + 9, symbol="X", order_id="r", account="a", side="sell",
                  quantity=1.0, received_at=START + 8, **fields)  # fmt: skip
        return [*taken(2.0, 20.0), ack]

    refused = answered(rejected_at=START + 9, reason="margin")
    finding = found(refused, Book())["reductions"]
    assert finding.outcome == "fail"
    assert "which reduces a position of 2, was refused" in finding.cases[0].story
    accepted = answered(accepted_at=START + 9)
    assert found(accepted, Book())["reductions"].outcome == "pass_weak"
    limited = answered(rejected_at=START + 9, reason="rate_limit")
    assert found(limited, Book())["reductions"].outcome == "pass_weak"


def required(stated: float) -> list:
    """A liquidation whose record states a requirement; 10 % of 4 at 100 are 40."""
    return [
        changed(e, maintenance_before=stated, equity_before=30.0)
        if isinstance(e, Liquidation)
        else e
        for e in liquidated(1.0)
    ]


def test_a_requirement_that_is_not_that_of_the_tiers_fails():
    assert found(required(40.0), Book())["requirements"].outcome == "pass_weak"
    finding = found(required(60.0), Book())["requirements"]
    assert finding.outcome == "fail"
    assert "60.00 were required of a notional of 400.00; its tiers give 40.00" in (
        finding.cases[0].story
    )


def schedule(maker: float, taker: float, forced: float | None = None) -> FeeSchedule:
    return FeeSchedule(
        ts_event=START, symbol="X", maker_rate=maker, taker_rate=taker, liquidation_rate=forced
    )


def test_a_published_fee_of_forced_sales_is_below_maintenance():
    def finding(forced: float):
        events = [*liquidated(1.0), schedule(0.0, 0.0005, forced)]
        return found(events, Book())["fee_below_maintenance"]

    assert finding(0.01).outcome == "pass_weak"
    assert finding(0.1).outcome == "fail"


def charged(fee: float) -> list:
    return [changed(e, fee=fee) if isinstance(e, Liquidation) else e for e in liquidated(1.0)]


def test_a_fee_is_that_of_the_published_schedule_where_nothing_is_claimed():
    published = schedule(0.0, 0.0005, 0.01)
    assert found([*charged(1.0), published], Book())["fee_and_remainder"].outcome == "pass_weak"
    finding = found([*charged(2.0), published], Book())["fee_and_remainder"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story == "fee 2.0000 on 100.00; the schedule gives 1.0000"
    assert found(charged(2.0), Book())["fee_and_remainder"].outcome == "not_tested"


def test_the_liquidator_gains_what_is_published_or_claimed():
    published = schedule(0.0, 0.0005, 0.01)  # 1 % of 100
    assert found([*charged(1.0), published], Book())["liquidator_profit"].outcome == "pass_weak"
    finding = found([*charged(1.5), published], Book())["liquidator_profit"]
    assert finding.outcome == "fail"
    assert finding.money == pytest.approx(0.5, abs=1e-3)
    claimed = Book(Claims(fees=FeeClaims(profit_ratio=0.02)))
    assert found(charged(1.5), claimed)["liquidator_profit"].outcome == "pass_weak"
    assert found(charged(1.5), Book())["liquidator_profit"].outcome == "inferred"


def test_a_takeover_below_the_mark_is_a_gain():
    events = [
        Liquidation(ts_event=START + 3 * SECOND, symbol="X", liquidation_id="T", account="z",
                    phase="takeover", method="backstop", quantity_filled=2.0, price=99.0,
                    mark_price=100.0, fee=0.0),
    ]  # fmt: skip
    holder = Position(
        ts_event=START, symbol="X", account="z", quantity=2.0, entry_price=110.0, margin=5.0
    )
    claimed = Book(Claims(fees=FeeClaims(profit_ratio=0.005)))
    finding = found([holder, *liquidated(1.0)[:5], *events], claimed)["liquidator_profit"]
    assert finding.outcome == "fail"
    assert "by backstop: the liquidator gained 2.00" in finding.cases[0].story


def test_a_rebate_that_pays_for_trading_with_oneself_or_more_than_the_spread_fails():
    quotes = taken(2.0, 20.0)  # a spread of 10 bps, half of it 5

    def finding(maker: float, taker: float, book: Book):
        return found([*quotes, schedule(maker, taker)], book)["maker_rebate"]

    assert finding(-0.0001, 0.0005, Book()).outcome == "pass_weak"
    paid = finding(-0.0006, 0.0005, Book())
    assert paid.outcome == "fail"
    assert "is paid 1.00 bps" in paid.cases[0].story
    half = Book(Claims(fees=FeeClaims(rebate_spread_ratio=0.5)))
    assert finding(-0.0002, 0.0005, half).outcome == "pass_weak"
    assert finding(-0.0004, 0.0005, half).outcome == "fail"


def test_a_slice_beyond_the_claimed_share_of_the_depth_fails():
    """The book has 9 on the other side."""
    quarter = Book(Claims(liquidation=LiquidationClaims(depth_ratio=0.25)))
    assert found(liquidated(2.0), quarter)["step_against_depth"].outcome == "pass_weak"
    finding = found(liquidated(3.0), quarter)["step_against_depth"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story.startswith("asked for 3 when the book had 9")
    assert found(liquidated(3.0), Book())["step_against_depth"].outcome == "inferred"


def test_a_remainder_that_is_too_small_to_trade_fails():
    lots = Book(Claims(liquidation=LiquidationClaims(smallest_quantity=0.1)))
    assert found(liquidated(3.9), lots)["stuck_remainders"].outcome == "pass_weak"
    finding = found(liquidated(3.95), lots)["stuck_remainders"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story == "left 0.05 of 4; the smallest trade is 0.1"
    gone = [
        *liquidated(3.95),
        Position(ts_event=START + 3 * SECOND, symbol="X", account="a", quantity=0.0,
                 entry_price=100.0, margin=0.0),
    ]  # fmt: skip
    assert found(gone, lots)["stuck_remainders"].outcome == "pass_weak"


def priced(*prices: float, weights: tuple[float, ...] = ()) -> Reference:
    sources = tuple(
        IndexSource(name=f"s{n}", price=price, weight=weights[n] if weights else None)
        for n, price in enumerate(prices)
    )
    index = sum(prices) / len(prices)
    return Reference(ts_event=START, symbol="X", index_price=index, index_sources=sources)


LIMIT = Book(Claims(mark=MarkClaims(source_shift_bps=10.0)))


def test_a_source_that_moves_the_index_too_far_fails():
    assert audited([priced(100.0, 100.1, 100.0)], LIMIT)["single_source"].outcome == "pass_weak"
    finding = audited([priced(100.0, 100.0, 101.5)], LIMIT)["single_source"]
    assert finding.outcome == "fail"
    # 100.5 with it, 100 without it: 50 bps.
    assert finding.cases[0].story == "source s2 moves the index by 50.00 bps"
    assert audited([priced(100.0)], LIMIT)["single_source"].outcome == "fail"
    assert audited([priced(100.0, 101.0)], Book())["single_source"].outcome == "inferred"


def test_a_median_holds_a_single_source():
    far = changed(priced(100.0, 100.0, 150.0), index_price=100.0)
    finding = audited([far], LIMIT)["single_source"]
    assert finding.outcome == "pass_weak"
    assert finding.facts["largest shift by a source, bps"] == 0.0


def test_a_liquidation_on_a_reference_that_the_venue_calls_stale_fails():
    assert found(liquidated(1.0), Book())["staleness"].outcome == "inferred"
    stale = [msgspec.structs.replace(e, stale=True) if isinstance(e, Reference) else e
             for e in liquidated(1.0)]  # fmt: skip
    finding = found(stale, Book())["staleness"]
    assert finding.outcome == "fail"
    assert "was marked as stale" in finding.cases[0].story
