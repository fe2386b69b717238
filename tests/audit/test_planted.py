"""A venue that keeps its rules fails no check; one that breaks a rule fails the check of it."""

from collections.abc import Callable

import pytest

from detectors.audit.outcome import Finding
from detectors.market_data.events import Margin, Order, Position, Reference, Trade
from tests.audit.made import SECOND, audited, cascade, changed, edited, failed, venue_claims


@pytest.mark.parametrize("seed", [1, 2])
def test_a_venue_that_keeps_its_rules_fails_no_check(seed: int):
    found = audited(cascade(seed))
    assert failed(found) == set()
    ran = {name for name, its in found.items() if its.outcome in ("pass", "pass_weak")}
    assert {"below_maintenance", "strategy", "sufficiency", "mark_recomputable"} <= ran
    assert found["strategy"].population > 100


def test_nothing_is_judged_without_claims_but_the_habits_are_told():
    from detectors.audit.claims import Book

    found = audited(cascade(), Book())
    assert failed(found) == set()
    assert found["strategy"].outcome == "inferred"
    assert 0.19 < found["strategy"].facts["median share of partial first slices"] < 0.21
    assert "mark price explains" in found["one_reference"].sentence
    assert "ema_premium 30 s" in found["mark_recomputable"].facts["best fit of BTC-PERP"]


# What a venue does wrong, and the checks that may find it: the first must.


def lagging_mark() -> list:
    """The published mark price is the one of five seconds ago."""
    old: list[float] = []

    def change(event):
        if not isinstance(event, Reference):
            return event
        old.append(event.mark_price)
        return changed(event, mark_price=old[max(0, len(old) - 6)])

    return edited(cascade(), change)


def hard_coded_index() -> list:
    """The index stands still from the fifth minute on; the mark price stays as it is."""
    fixed: list[float] = []

    def change(event):
        if not isinstance(event, Reference) or event.ts_event < cascade()[0].ts_event + 400e9:
            return event
        fixed.append(event.index_price)
        return changed(event, index_price=fixed[0])

    return edited(cascade(), change)


def healthy_accounts() -> list:
    """Accounts had twice the margin that the venue counted when it liquidated them."""
    return edited(
        cascade(),
        lambda e: (
            changed(e, margin=2.0 * e.margin + 1.0, liquidation_price=None)
            if isinstance(e, Position) and e.quantity
            else e
        ),
    )


def vanished_position() -> list:
    """One position loses a tenth without a trade."""
    place = [i for i, e in enumerate(cascade()) if isinstance(e, Position) and e.quantity][-1]
    events = list(cascade())
    events[place] = changed(events[place], quantity=events[place].quantity * 0.9)
    return events


def wrong_liquidation_price() -> list:
    """Published liquidation prices are off by ten basis points."""
    return edited(
        cascade(),
        lambda e: (
            changed(e, liquidation_price=e.liquidation_price * 1.001)
            if isinstance(e, Position) and e.liquidation_price
            else e
        ),
    )


def open_interest_too_low() -> list:
    """The open interest leaves out a fifth."""
    return edited(
        cascade(),
        lambda e: (
            changed(e, open_interest=e.open_interest * 0.8) if isinstance(e, Reference) else e
        ),
    )


def oversized_steps() -> list:
    """The venue asks for half as much again as it claims."""
    liquidating = {e.taker_order_id for e in cascade() if isinstance(e, Trade) and e.liquidation}
    return edited(
        cascade(),
        lambda e: (
            changed(e, quantity=e.quantity * 1.5)
            if isinstance(e, Order) and e.order_id in liquidating
            else e
        ),
    )


def wrong_side() -> list:
    """A liquidated long is one that the venue has just bought for."""
    return edited(
        cascade(),
        lambda e: (
            changed(e, side="buy" if e.side == "sell" else "sell", maker_order_id=None)
            if isinstance(e, Trade) and e.liquidation
            else e
        ),
    )


def raised_margin_without_notice() -> list:
    """The maintenance margin doubles for some minutes, announced as it takes effect."""
    first = next(e for e in cascade() if isinstance(e, Margin))
    start = cascade()[0].ts_event
    more = [
        changed(first, ts_event=start + at * SECOND, sequence=None, maintenance_margin_rate=rate)
        for at, rate in ((100, 0.0051), (200, first.maintenance_margin_rate))
    ]
    return sorted([*cascade(), *more], key=lambda e: e.ts_event)


def lost_events() -> list:
    """Every thousandth cancel is missing."""
    return [e for i, e in enumerate(cascade()) if i % 1_000 or not i or isinstance(e, Trade)]


def repeated_trades() -> list:
    """Every hundredth trade comes twice."""
    count = iter(range(10**9))
    return edited(
        cascade(),
        lambda e: [e, e] if isinstance(e, Trade) and next(count) % 100 == 0 else e,
    )


def trades_off_the_book() -> list:
    """Trades of liquidations print one per cent lower than the orders that they fill."""
    return edited(
        cascade(),
        lambda e: changed(e, price=e.price * 0.99) if isinstance(e, Trade) and e.liquidation else e,
    )


def fewer_references_in_stress() -> list:
    """One of ten references is published in the last five minutes."""
    start = cascade()[0].ts_event
    return edited(
        cascade(),
        lambda e: (
            None
            if isinstance(e, Reference)
            and e.ts_event > start + 500 * SECOND
            and e.ts_event // SECOND % 10
            else e
        ),
    )


PLANTED: list[tuple[Callable[[], list], str]] = [
    (lagging_mark, "mark_recomputable"),
    (hard_coded_index, "index_sane"),
    (healthy_accounts, "below_maintenance"),
    (vanished_position, "positions_explained"),
    (wrong_liquidation_price, "liquidation_price"),
    (open_interest_too_low, "conservation"),
    (oversized_steps, "strategy"),
    (wrong_side, "reduce_only"),
    (raised_margin_without_notice, "notice"),
    (raised_margin_without_notice, "cooling"),
    (lost_events, "sequence_gaps"),
    (repeated_trades, "repeats"),
    (trades_off_the_book, "trades_in_book"),
    (trades_off_the_book, "price_received"),
    (fewer_references_in_stress, "reference_rate"),
]


@pytest.mark.parametrize(("plant", "name"), PLANTED, ids=lambda its: getattr(its, "__name__", its))
def test_a_planted_breach_fails_its_check_with_evidence(plant, name: str):
    finding: Finding = audited(plant())[name]
    assert finding.outcome == "fail", finding.sentence
    assert finding.breaches
    assert len(finding.cases) == min(finding.breaches, 20)


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ({"pause_seconds": 1.0}, "cool_down"),
        ({"max_open_seconds": 0.0}, "acts_in_time"),
        ({"share": 0.1}, "strategy"),
        ({"strategy": "full"}, "strategy"),
        ({"price_limit": 0.001}, "price_protection"),
        ({"trigger": "index"}, "one_reference"),
        ({"partial_ratio": 1.0}, "really_partial"),
        ({"rebound_ratio": 0.0}, "rebound"),
    ],
    ids=str,
)
def test_a_claim_that_the_venue_does_not_keep_fails(claim: dict, name: str):
    assert audited(cascade(), venue_claims(**claim))[name].outcome == "fail"


def test_orders_from_before_the_record_are_told_and_judged_only_by_a_claim():
    from detectors.audit.claims import Book

    late = cascade()[5_000:]
    told = audited(late, Book())["unknown_orders"]
    assert told.outcome == "inferred"
    assert told.facts["share"] > 0.001
    assert audited(late)["unknown_orders"].outcome == "fail"
