"""The parts of the audit, against hand-computed cases and naive models."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.audit.conservation import Conservation
from detectors.audit.holdings import Held, Holdings, fill
from detectors.audit.numbering import Numbering
from detectors.audit.outcome import WORST, Case, Tally, judged, merged
from detectors.audit.references import References
from detectors.audit.waiting import Waiting
from detectors.fairness.episodes import APART_NS, Slice, assembled
from detectors.fairness.statistics import discoveries, rank_association, wilson
from detectors.market_data.events import Position, Reference
from detectors.risk.contract import Contract
from detectors.risk.mark_path import excursion
from detectors.risk.tiers import tiers_of
from tests.audit.made import SECOND

START = 1_700_000_000 * SECOND


def case(size: float) -> Case:
    return Case(1, "X", "", size, 1.0, "")


@given(st.lists(st.lists(st.floats(0, 100), max_size=40), max_size=5))
def test_merged_tallies_keep_the_worst_cases_of_all(groups: list[list[float]]):
    tallies = []
    for sizes in groups:
        tally = Tally()
        for size in sizes:
            tally.breach(case(size))
        tallies.append(tally)
    total = merged(tallies)
    everything = sorted((size for sizes in groups for size in sizes), reverse=True)
    assert total.breaches == total.population == len(everything)
    assert [its.size for its in total.worst()] == everything[:WORST]


def test_a_hard_rule_fails_with_one_breach_and_another_only_beyond_its_share():
    tally = Tally()
    tally.held(9_999)
    tally.breach(case(1.0))
    assert judged(tally, what="cases").outcome == "fail"
    assert judged(tally, what="cases", allowed_ratio=0.01).outcome == "pass"


@given(st.integers(0, 50), st.integers(0, 50))
def test_an_interval_holds_its_estimate(part: int, more: int):
    found = wilson(part, part + more)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_discoveries_are_those_of_the_definition(p_values: list[float]):
    """The naive reading: the largest i with p_(i) <= i/m q, and all p-values up to it."""
    found = discoveries(p_values)
    ordered = sorted(p_values)
    m = len(p_values)
    limits = [p for i, p in enumerate(ordered, start=1) if p <= i / m * 0.05]
    limit = max(limits, default=-1.0)
    assert sum(found) == sum(p <= limit for p in p_values)


def test_a_rank_test_keeps_its_level_and_finds_what_is_there():
    rng = np.random.default_rng(1)
    stratum = np.repeat(np.arange(10), 12)
    p_values = [
        rank_association(
            rng.random(120), rng.random(120), stratum, seed=seed, permutations=400
        ).p_value
        for seed in range(100)
    ]
    assert sum(p < 0.05 for p in p_values) <= 12  # binomial(100, .05): more than 12 in 0.2 %
    x = rng.random(120)
    assert rank_association(x, x + rng.random(120), stratum, seed=1).p_value < 0.01


@given(
    st.lists(st.tuples(st.integers(-1_000, 1_000).filter(bool), st.integers(1, 1_000)), max_size=30)
)
def test_fills_give_the_position_and_the_entry_price_of_a_naive_ledger(fills: list):
    """A ledger that keeps the lots of a position at their mean price, in whole numbers."""
    held = Held()
    quantity, cost = 0, 0.0
    for size, price in fills:
        fill(held, float(size), float(price))
        if quantity * size >= 0:
            quantity, cost = quantity + size, cost + size * price
        elif abs(size) <= abs(quantity):
            cost += cost / quantity * size
            quantity += size
        else:
            quantity += size
            cost = quantity * price
        assert held.quantity == quantity
        if quantity:
            assert math.isclose(held.entry_price, cost / quantity, rel_tol=1e-6)


def test_a_position_that_no_fill_explains_is_a_breach_once():
    holdings = Holdings("X")

    def record(at: int, quantity: float) -> Position:
        return Position(
            ts_event=START + at, symbol="X", account="a", quantity=quantity, entry_price=100.0
        )

    holdings.on_position(record(0, 5.0))
    holdings.settle(START + 1)
    holdings.on_fill("a", 2.0, 100.0)
    holdings.on_position(record(1, 7.0))
    holdings.on_position(record(2, 6.0))
    holdings.on_position(record(3, 6.0))
    holdings.settle(START + 4)
    assert (holdings.explained.population, holdings.explained.breaches) == (3, 1)
    assert holdings.explained.worst()[0].money == 100.0


def test_longs_and_shorts_that_change_without_a_trade_are_a_breach():
    holdings, conservation = Holdings("X"), Conservation("X")
    for account, quantity in (("a", 5.0), ("b", -5.0)):
        holdings.on_position(
            Position(
                ts_event=START, symbol="X", account=account, quantity=quantity, entry_price=100.0
            )
        )
    holdings.settle(START + 1)
    reference = Reference(ts_event=START, symbol="X", open_interest=5.0)
    conservation.on_reference(reference, holdings, 100.0)
    assert conservation.tally.breaches == 0
    holdings.on_fill("a", 1.0, 100.0)  # a fill without its other side
    conservation.on_reference(reference, holdings, 100.0)
    assert conservation.tally.breaches == 1


@given(st.permutations(range(20)), st.sets(st.integers(0, 19), max_size=5))
def test_numbers_that_come_in_any_order_are_complete(order: list[int], lost: set[int]):
    numbering = Numbering("X")
    numbering.on_number(0, START)
    for number in order:
        if number + 1 not in lost:
            numbering.on_number(number + 1, START)
    numbering.on_number(21, START)
    numbering.close()
    assert numbering.missing == len(lost - {0})
    assert numbering.repeats.breaches == 0


@given(st.floats(0, 10), st.floats(1e-6, 10), st.floats(1e-9, 0.5))
def test_an_excursion_has_the_probability_of_the_bridge(d: float, variance: float, p: float):
    x = excursion(d, variance, p)
    assert x >= 0.0
    assert math.isclose(math.exp(-2.0 * x * (x + d) / variance), p, rel_tol=1e-6)


def test_marks_between_two_references_are_those_of_both_and_a_little_more():
    references = References()
    for second, mark in enumerate([100.0, 101.0, 100.5, 100.7]):
        references.ts_event.append(START + second * SECOND)
        references.mark.append(mark)
    found = references.around("mark", START + SECOND + 1)
    assert found is not None
    assert (found.near_low, found.near_high) == (100.5, 101.0)
    assert found.low < 100.5
    assert found.high > 101.0
    assert references.around("mark", START - 1) is None


def test_slices_belong_together_by_id_by_time_or_by_the_attempts_between_them():
    def part(at: int, liquidation_id: str = "", served: int = 0) -> Slice:
        return Slice(
            at, "X", "a", str(at), selling=True, liquidation_id=liquidation_id,
            served_since_ns=served,
        )  # fmt: skip

    late = 3 * APART_NS
    assert len(assembled([part(0), part(late)])) == 2
    assert len(assembled([part(0, "L"), part(late, "L")])) == 1
    assert len(assembled([part(0, "L"), part(1, "M")])) == 2
    assert len(assembled([part(0, served=1), part(late, served=1)])) == 1


def test_an_account_waits_from_when_it_is_certainly_below_until_the_venue_acts():
    """2 bought at 100 with a margin of 20 at 1 %: below at 90.909 and lower."""
    contract = Contract(tiers_of([0.01]))
    waiting = Waiting("X", max_open_seconds=3.0)
    waiting.put("a", 2.0, 100.0, 20.0, math.nan, START)
    waiting.on_reference(START, 95.0, contract, is_open=True)
    for second in range(1, 4):
        waiting.on_reference(START + second * SECOND, 85.0, contract, is_open=True)
    # The mark fell within the first second: certain is only what follows.
    assert waiting.waited_seconds("a", START + 3 * SECOND) <= 2.0
    for second in range(4, 9):
        waiting.on_reference(START + second * SECOND, 85.0, contract, is_open=True)
    assert (waiting.tally.population, waiting.tally.breaches) == (1, 1)
    assert waiting.tally.worst()[0].account == "a"
    waiting.acted("a", START + 9 * SECOND, 2.0)
    assert waiting.waited_seconds("a", START + 9 * SECOND) == 0.0
    served_since, waited, sizes = waiting.served("a")
    assert (served_since, sizes) == (START + 9 * SECOND, (2.0,))
    assert 5.0 < waited < 9.0


def test_nobody_waits_while_trading_is_halted():
    contract = Contract(tiers_of([0.01]))
    waiting = Waiting("X", max_open_seconds=3.0)
    waiting.put("a", 2.0, 100.0, 20.0, math.nan, START)
    for second in range(20):
        waiting.on_reference(START + second * SECOND, 85.0, contract, is_open=False)
    assert waiting.tally.population == 0


def test_who_is_worse_off_and_waits_longer_is_passed_over():
    contract = Contract(tiers_of([0.01]))
    waiting = Waiting("X")
    waiting.put("poor", 2.0, 100.0, 15.0, math.nan, START)
    waiting.put("rich", 2.0, 100.0, 19.0, math.nan, START)
    # Below 93.43 and 91.41; a slow fall leaves no doubt about the marks between two references.
    for second in range(16):
        mark = 91.5 - 0.05 * second
        waiting.on_reference(START + second * SECOND, mark, contract, is_open=True)
    now = START + 16 * SECOND
    assert waiting.waited_seconds("poor", now) > waiting.waited_seconds("rich", now) > 0.0
    assert waiting.passed_over("rich", now, contract) == ["poor"]
    assert waiting.passed_over("poor", now, contract) == []
    waiting.acted("poor", now, 2.0)
    assert waiting.passed_over("rich", now, contract) == []
