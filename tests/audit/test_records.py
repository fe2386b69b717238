"""The venue's own records: escalation, fees, fund and deleveraging, kept and broken."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from detectors.audit.claims import (
    AdlClaims,
    Book,
    FundingClaims,
    InsuranceClaims,
    MarginClaims,
    RetailClaims,
)
from detectors.fairness.queue import Candidate, Deleveraging, distance, pro_rata, water_filling
from detectors.market_data.events import Margin, Tier
from detectors.market_data.risk_events import Account
from tests.audit.made import (
    audited,
    changed,
    deleveraged,
    edited,
    failed,
    recorded,
    venue_claims,
)


def claims(**more) -> Book:
    """What the simulated venue keeps of fees, fund and deleveraging."""
    default = venue_claims(fee=0.0, remainder_returned=True).default
    sections = {
        "adl": AdlClaims(score="pnl_ratio_leverage", reserve_ratio=0.02),
        # The name that the exchange draws for its fund.
        "insurance": InsuranceClaims(account=f"{Random('3/fund').randrange(2**32):08x}", floor=0.0),
        "funding": FundingClaims(cap=0.01),
        **more,
    }
    return Book(structs.replace(default, **sections))


def test_a_venue_that_deleverages_by_its_rules_fails_no_check():
    found = audited(deleveraged(), claims())
    assert failed(found) == set()
    assert found["adl_order"].population > 50
    assert found["adl_exact"].outcome == "pass_weak"
    assert found["positions_explained"].outcome == "pass"
    assert found["conservation"].outcome == "pass"
    assert "book then adl" in " ".join(found["escalation"].facts)
    assert found["adl_benchmark"].facts["distance to water-filling"] > 0.0


def test_records_of_a_cascade_are_kept():
    found = audited(recorded(), claims())
    assert failed(found) == set()
    assert found["fee_and_remainder"].population > 100
    assert found["prints"].population > 100
    assert found["below_maintenance"].borderline == 0  # the records state the mark
    assert found["loss_complete"].facts["of which nobody paid"] > 0.0


def test_what_nobody_pays_is_a_breach_if_the_fund_is_to_cover_all():
    covering = InsuranceClaims(covers_all=True)
    assert audited(recorded(), claims(insurance=covering))["loss_complete"].outcome == "fail"


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"funding": FundingClaims(cap=1e-9)}, "funding"),
        ({"insurance": InsuranceClaims(floor=1e9)}, "fund_reconciles"),
        ({"adl": AdlClaims(score="size", reserve_ratio=0.02)}, "adl_order"),
        ({"margin": MarginClaims(buffer=0.5)}, "below_maintenance"),
    ],
    ids=str,
)
def test_a_claim_of_the_loss_waterfall_that_is_not_kept_fails(more: dict, name: str):
    assert audited(deleveraged(), claims(**more))[name].outcome == "fail"


def test_the_order_of_methods_and_own_orders_are_judged_by_their_claims():
    order = audited(deleveraged(), venue_claims(escalation=("backstop", "book")))["escalation"]
    assert order.outcome == "fail"
    assert "book, then adl" in " ".join(case.story for case in order.cases)
    own = audited(deleveraged(), venue_claims(cancel_orders_first=True))["escalation"]
    assert own.outcome == "fail"
    assert "own orders still rested" in own.cases[0].story


def test_retail_accounts_below_zero_and_late_close_outs_are_breaches():
    professional = edited(
        recorded(), lambda e: changed(e, segment="pro") if isinstance(e, Account) else e
    )
    late = RetailClaims(closeout=0.9, negative_balance=True)
    assert audited(recorded(), claims(retail=late))["retail"].outcome == "fail"
    assert audited(professional, claims(retail=late))["retail"].outcome == "not_tested"


def test_tiers_are_compared_with_the_claimed_ones():
    tiers = (Tier(maintenance_rate=0.004),)
    claimed = claims(margin=MarginClaims(tiers=tiers))

    def published(rate: float) -> list:
        own = (Tier(maintenance_rate=rate),)
        return [changed(e, tiers=own) if isinstance(e, Margin) else e for e in recorded()]

    assert audited(published(0.004), claimed)["tiers"].outcome == "pass_weak"
    assert audited(published(0.005), claimed)["tiers"].outcome == "fail"


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=8),
    st.floats(0.01, 0.99),
)
def test_water_filling_closes_what_is_needed_and_lowers_the_largest_leverage(rows, share: float):
    """No other rule that closes as much leaves a smaller largest leverage: pro rata does not."""
    candidates = [
        Candidate(str(i), -float(quantity), 1.0, float(equity) + 0.5)
        for i, (quantity, equity) in enumerate(rows)
    ]
    total = share * sum(quantity for quantity, _ in rows)
    first = candidates[0].account
    its = Deleveraging(0, "X", "L", 1.0, 1.0, total, {first: total}, candidates)

    def largest(closed) -> float:
        return max(
            (abs(one.quantity) - part) / one.equity
            for one, part in zip(candidates, closed, strict=True)
        )

    filled, even = water_filling(its), pro_rata(its)
    assert math.isclose(filled.sum(), total, rel_tol=1e-6)
    assert math.isclose(even.sum(), total, rel_tol=1e-9)
    assert largest(filled) <= largest(even) + 1e-6
    assert 0.0 <= distance(its, filled) <= 1.0 + 1e-9
