"""A venue that keeps its claims fails no check; one that claims what it does not keep does.

Breaches of the venue itself are those of `service.exchange.breaches`: see `test_breaches`.
"""

import pytest

from tests.audit.made import audited, cascade, failed, venue_claims


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
