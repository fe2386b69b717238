"""A venue that treats sizes alike is never accused; one that does not is, with what it took."""

import random
from typing import NamedTuple

import pytest
from msgspec import json

from detectors.conduct.fairness_tests import FairnessMemory
from detectors.conduct.liquidation_fairness import LiquidationFairness
from detectors.conduct.liquidations import Liquidations
from detectors.incidents.market_wide import MARKET
from detectors.risk.reduction import Reduction
from service.presentation.phrases import describe_feature
from tests.conduct.liquidated import SECOND, Desk

SUFFICIENT = Reduction("sufficient")


class Case(NamedTuple):
    """A size class, what would do, and the position."""

    size: int
    least: float
    quantity: float


def venue(rule=SUFFICIENT):
    liquidations = Liquidations()
    its = Desk(liquidations, LiquidationFairness(liquidations), rule=rule)
    its.run(5)
    for n in range(8):  # positions of four sizes, which nobody liquidates
        its.position(f"holder{n}", 4.0 * 2.0 ** (n // 2), 1_000.0)
    its.run(1)
    return its


def day(its, take, *, cases=40, seed=1, wait=lambda _: 0, price=lambda _: 99.2):
    """Liquidate accounts of four sizes; ``take`` gives the closed share of a size class."""
    rng = random.Random(seed)
    for n in range(cases):
        size = rng.randrange(4)
        quantity = 4.0 * 2.0**size * rng.uniform(0.8, 1.0)
        least = 1.0 / (0.01 * (99.5 - 1.0 / (quantity * 0.99)))
        its.liquidate(
            f"a{n}", quantity, take=take(Case(size, least, quantity)),
            price=price(size) + rng.gauss(0.0, 0.01), wait=wait(size),
        )  # fmt: skip
        its.run(4)
    return [verdict for *_, verdict in its.verdicts if verdict is not None]


def enough(case):
    return case.least


def whole_of_small(case):
    return case.quantity if case.size == 0 else case.least


def test_a_venue_that_takes_what_is_needed_is_not_accused():
    assert day(venue(), enough, cases=150) == []


def test_one_that_takes_more_from_small_accounts_is_with_the_share_and_the_money():
    found = day(venue(), whole_of_small, cases=90)
    verdict = found[-1]
    assert verdict.severity == "warning"
    assert verdict.summary.startswith(
        "the smallest quarter of positions is closed beyond the declared rule: "
    )
    assert "against 0 % in" in verdict.summary
    assert verdict.p_value <= 1 / 1_000
    assert verdict.evidence[0].feature == "closed_beyond_rule_ratio_smallest"
    assert verdict.evidence[0].expected == 0.05
    assert verdict.score > 1.0
    first = verdict.evidence[0]
    told = describe_feature("liquidation_fairness", first.feature, first.value, first.expected)
    assert told.startswith("the smallest quarter of positions was closed ")


def test_what_the_declared_rule_gives_is_no_offence():
    """The venue declares that it closes small positions whole."""
    declared = Reduction("steps", step_ratio=0.2, whole_below=500.0)

    def by_rule(case):
        return case.quantity if case.quantity * 99.4 < 500.0 else 0.2 * case.quantity

    assert day(venue(declared), by_rule, cases=100) == []


def test_an_effect_below_the_floor_is_no_alarm():
    def little(case):
        return case.least + 0.04 * case.quantity * (case.size == 0)

    assert day(venue(), little, cases=150) == []


def test_small_accounts_that_wait_longer_are_found():
    found = day(venue(), enough, cases=220, wait=lambda size: 9 if size == 0 else 0)
    assert "s longer in" in found[-1].summary
    assert found[-1].summary.startswith("the smallest quarter of positions is left to wait")


@pytest.mark.parametrize("worse_size", [0, 3])
def test_worse_prices_are_found_for_small_orders_and_are_normal_for_large_ones(worse_size):
    def price(size):
        return 99.2 - 0.15 * (size == worse_size)

    found = day(venue(), enough, cases=150, price=price)
    if worse_size == 0:
        assert "bps worse in" in found[-1].summary
    else:
        assert found == []


def test_who_is_passed_over_is_found():
    its = venue()
    for n in range(40):
        margins = {}
        for name, trigger in (("first", 99.6), ("second", 99.5)):
            quantity = 5.0 if name == "first" else 20.0
            margins[name] = 0.01 * quantity * trigger - quantity * (trigger - 100.0)
            its.position(f"{name}{n}", quantity, margins[name])
        its.mark = 99.55
        its.run(2)
        its.mark = 99.4
        its.run(1)
        # The second is served at once, the first, which waited longer, two seconds later.
        for name, quantity in (("second", 20.0), ("first", 5.0)):
            equity = margins[name] - 0.6 * quantity
            for phase, fields in (
                ("start", {}), ("slice", {"quantity_filled": 1.0, "price": 99.2}), ("end", {}),
            ):  # fmt: skip
                its.record(f"{name}{n}", f"{name}{n}", phase, 0.1, equity_before=equity,
                           maintenance_before=0.01 * quantity * 99.4, **fields)  # fmt: skip
            its.run(2)
        its.mark = 100.0
        its.run(2)
    *_, verdict = its.verdicts[-1]
    features = [each.feature for each in verdict.evidence]
    assert "passed_over_ratio_smallest" in features


def test_what_was_found_holds_half_an_hour_and_the_next_day_begins_anew():
    its = venue()
    day(its, whole_of_small, cases=90)
    last = its.now
    its.run(1_900)
    until = max(at for at, *_ in its.verdicts)
    assert 1_780 * SECOND < until - last <= 1_800 * SECOND
    fairness = its.detectors[1]
    assert fairness.tests.reached > 0.0
    its.now += 86_400 * SECOND
    its.run(1)
    assert fairness.tests.reached == 0.0


def test_a_successor_goes_on_with_the_bets_and_counts_none_twice():
    whole, first = venue(), venue()

    day(whole, whole_of_small, cases=60)
    day(first, whole_of_small, cases=60)
    memory = json.decode(json.encode(first.detectors[1].memory(MARKET)), type=FairnessMemory)
    again = venue()
    again.detectors[1].restore(MARKET, memory)
    day(again, whole_of_small, cases=60)  # what it reads again
    assert again.detectors[1].tests.log == pytest.approx(whole.detectors[1].tests.log)
