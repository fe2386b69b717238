"""Runs in closed form against the chain simulated account by account."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.book_impact import book_impact
from detectors.risk.flow_impact import flow_impact
from detectors.risk.forced import Forced, forced_at, forced_of
from detectors.risk.impact import moved_by
from detectors.risk.reduction import Reduction
from detectors.risk.reproduction import generations, reproduction_number
from detectors.risk.root_impact import root_impact
from detectors.risk.runs import distance, run_ends, runs_of
from tests.risk.books import books, rules
from tests.risk.chain import by_accounts, by_rounds, one_by_one

FULL = Reduction("full")


@st.composite
def impacts(draw):
    """Impacts that make some books run and others not."""
    kind = draw(st.sampled_from(["flow", "book", "root"]))
    if kind == "flow":
        return flow_impact(draw(st.floats(1e-7, 1e-4)))
    if kind == "root":
        return root_impact(draw(st.floats(0.001, 0.1)), 2e4, 1e4)
    steps = draw(st.lists(st.floats(1e-3, 0.02), min_size=1, max_size=5))
    sizes = draw(st.lists(st.floats(0, 3000), min_size=len(steps), max_size=len(steps)))
    return book_impact(np.cumsum(steps), np.cumsum(sizes), 0.8, 10.0, 0.4)


passed_ratios = st.sampled_from([0.0, 0.3, 1.0])
shocks = st.floats(0, 0.1)


def end(runs, shock):
    return float(run_ends(runs, np.array([shock]))[0])


@given(books(), impacts(), passed_ratios, shocks)
def test_a_run_of_whole_positions_ends_where_the_chain_does(book, impact, passed, shock):
    runs = runs_of(forced_of(book.ladder(), FULL), impact, passed)
    found = end(runs, shock)
    # The chain from a slightly smaller and a slightly larger shock: at a knot rounding decides.
    lower, _ = by_rounds(book, FULL, impact, passed, shock - 1e-8)
    upper, _ = by_rounds(book, FULL, impact, passed, shock + 1e-8)
    assert min(lower, 0.9) - 1e-7 <= found
    assert upper > 0.9 or found <= upper + 1e-7


@given(books(), impacts(), passed_ratios, shocks)
def test_the_order_of_liquidations_does_not_matter(book, impact, passed, shock):
    together, total = by_rounds(book, FULL, impact, passed, shock)
    alone, closed = one_by_one(book, impact, passed, shock)
    if together < 0.9:
        assert alone == pytest.approx(together)
        assert total == pytest.approx(book.notional()[closed].sum())


@given(books(), rules(), impacts(), passed_ratios, shocks)
def test_a_run_of_parts_ends_where_the_chain_does(book, rule, impact, passed, shock):
    runs = runs_of(forced_of(book.ladder(), rule), impact, passed)
    found = end(runs, shock)
    # Ramps are straight between knots, which is a shift of less than 0.2 % of the price.
    lower, _ = by_rounds(book, rule, impact, passed, shock - 0.002)
    upper, _ = by_rounds(book, rule, impact, passed, shock + 0.002)
    assert min(lower, 0.9) - 0.002 <= found
    assert upper > 0.9 or found <= upper + 0.002


@given(books(), st.floats(1, 1.5), impacts(), passed_ratios, shocks)
def test_a_venue_that_closes_parts_on_the_way_needs_no_more(book, restored, impact, passed, shock):
    rule = Reduction("sufficient", restored_ratio=restored)
    runs = runs_of(forced_of(book.ladder(), rule), impact, passed)
    found = forced_at(runs.forced, np.array([end(runs, shock + 0.002)]))[0]
    assert by_accounts(book, rule, impact, passed, shock) <= found + 1e-6 * book.notional().sum()


@given(books(), rules(), impacts(), passed_ratios, st.floats(0.01, 0.99))
def test_the_distance_is_the_least_shock_that_does_it(book, rule, impact, passed, share):
    wanted = share * book.notional().sum()
    forced = forced_of(book.ladder(), rule)
    runs = runs_of(forced, impact, passed)
    found = distance(runs, wanted, least_rise_ratio=0.005)

    def does(shock):
        last = end(runs, shock)
        total = forced_at(forced, np.array([last]))[0]
        moved = passed * moved_by(impact, np.array([total]))[0] if passed else 0.0
        return total >= wanted * (1 - 1e-9) and moved >= 0.005 * (1 - 1e-6)

    # Brute force: no shock of a grid below it does it, every one of a grid above it does.
    for at in np.linspace(0, 0.3, 151):
        if at < found - 1e-9:
            assert not does(at)
        elif at > found + 1e-9:
            assert does(at)


@given(books(), rules(), impacts(), passed_ratios)
def test_larger_shocks_end_further_and_every_run_goes_at_least_its_shock(
    book, rule, impact, passed
):
    runs = runs_of(forced_of(book.ladder(), rule), impact, passed)
    shocks = np.linspace(-0.05, 0.3, 200)
    ends = run_ends(runs, shocks)
    assert np.all(ends >= shocks - 1e-12)
    assert not np.any(ends[1:] < ends[:-1] - 1e-12)


@given(books(), rules(), impacts(), passed_ratios, shocks)
def test_generations_add_up_to_the_run(book, rule, impact, passed, shock):
    runs = runs_of(forced_of(book.ladder(), rule), impact, passed)
    rounds = generations(runs, shock, at_most=10_000)
    total = sum(generation.notional for generation in rounds)
    last = end(runs, shock)
    whole = forced_at(runs.forced, np.array([last]))[0]
    assert total == pytest.approx(whole, rel=1e-6, abs=1e-6 * book.notional().sum())
    if rounds:
        assert rounds[0].move == shock


@given(books(), rules(), impacts(), st.floats(1, 1000), shocks)
def test_the_reproduction_number_counts_what_a_seed_newly_forces(book, rule, impact, seed, move):
    forced = forced_of(book.ladder(), rule)
    found = reproduction_number(runs_of(forced, impact), seed, move)
    pushed = moved_by(impact, np.array([seed]))[0]
    before, after = forced_at(forced, np.array([move, move + pushed]))
    assert found == pytest.approx((after - before) / seed)
    assert found >= 0


@given(books(), impacts(), st.floats(0.01, 100), shocks)
def test_a_market_of_another_size_runs_as_far(book, impact, unit, shock):
    if book.contract.tiers.floors[1:]:
        return
    larger = book._replace(quantity=unit * book.quantity, margin=unit * book.margin)
    scaled = impact._replace(notional=unit * impact.notional, beyond=impact.beyond / unit)
    runs = runs_of(forced_of(book.ladder(), FULL), impact)
    found = end(runs_of(forced_of(larger.ladder(), FULL), scaled), shock)
    assert end(runs, shock - 1e-8) - 1e-6 <= found
    upper = end(runs, shock + 1e-8)
    assert found <= upper + 1e-6 * max(1, upper)


def test_what_cannot_be_is_refused_by_name():
    forced = Forced(np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match=r"passed_ratio is 1\.5"):
        runs_of(forced, flow_impact(1.0), 1.5)
    runs = runs_of(forced, flow_impact(1.0))
    with pytest.raises(ValueError, match="notional is 0"):
        distance(runs, 0.0)
    with pytest.raises(ValueError, match="seed_notional is 0"):
        reproduction_number(runs, 0.0)
    assert distance(runs, 1.0) == math.inf
    assert end(runs, 0.1) == 0.1
    assert generations(runs, 0.1) == []
