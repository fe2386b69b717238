"""Money, accounts and shortfall against sales that are made one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.expressed import expressed
from detectors.risk.flow_impact import flow_impact
from detectors.risk.forced import forced_at, forced_of
from detectors.risk.impact import moved_by
from detectors.risk.outcome import just_above, outcome_of
from detectors.risk.reduction import Reduction
from detectors.risk.runs import distance, run_ends, runs_of
from detectors.risk.shares import closed_shares
from tests.risk.books import books, rules

slopes = st.floats(1e-7, 1e-4)


@given(books(), rules(), st.floats(-0.01, 0.3))
def test_each_account_closes_what_the_rule_says(book, rule, move):
    ladder = book.ladder()
    if np.any(np.abs(ladder.move - move) < 1e-9):
        return
    shares = closed_shares(ladder, rule, move)
    expected = book.forced_shares(rule, move)[ladder.account]
    assert shares == pytest.approx(expected, abs=1e-6)


@given(books(), rules(), st.sampled_from([None, 1, 2]), st.floats(0, 0.2))
def test_the_shares_add_up_to_the_forced_notional(book, rule, most_steps, move):
    ladder = book.ladder()
    forced = forced_of(ladder, rule, most_steps)
    if np.any(np.abs(forced.move - move) < 1e-9):
        return
    shares = closed_shares(ladder, rule, move, most_steps)
    found = forced_at(forced, np.array([move]))[0]
    assert found == pytest.approx(
        (shares * ladder.notional).sum(), abs=0.02 * book.notional().sum()
    )


@given(books(), slopes, st.floats(0, 0.1), st.floats(0, 100))
def test_the_shortfall_is_what_sales_one_by_one_lose(book, slope, shock, fund):
    ladder, rule, impact = book.ladder(), Reduction(), flow_impact(slope)
    runs = runs_of(forced_of(ladder, rule), impact)
    outcome = outcome_of(ladder, rule, runs, shock, fund)
    if outcome.end > 0.5:
        return
    before, left, lost, deleveraged, accounts = 0.0, fund, 0.0, 0.0, []
    for row in np.argsort(ladder.move, kind="stable"):
        if ladder.move[row] > outcome.end:
            continue
        who = ladder.account[row]
        notional = book.notional()[who]
        accounts.append(who)
        moved = shock + moved_by(impact, np.array([before + notional / 2]))[0]
        price = book.moved(max(moved, ladder.move[row]))
        before += notional
        # What is left after the sale, by the definition of profit; in the quote currency.
        equity = book.equity(price)[who] * (price if book.contract.inverse else 1.0)
        if equity < 0:
            lost -= equity
            left += equity
            if left < 0:
                deleveraged += notional
    tolerance = 1e-6 * (1 + book.notional().sum())
    assert outcome.accounts == len(accounts)
    assert outcome.notional == pytest.approx(before)
    assert outcome.loss == pytest.approx(lost, abs=tolerance)
    assert outcome.beyond_fund == pytest.approx(max(0.0, lost - fund), abs=tolerance)
    if abs(left) > tolerance and lost > tolerance:
        assert outcome.deleveraged_notional == pytest.approx(deleveraged)
    if accounts:
        largest = book.notional()[accounts].max() / before
        assert outcome.largest_ratio == pytest.approx(largest)


@given(books(), rules(), slopes, st.floats(0.02, 0.9))
def test_the_run_at_its_distance_forces_what_was_asked_for(book, rule, slope, share):
    ladder = book.ladder()
    runs = runs_of(forced_of(ladder, rule), flow_impact(slope))
    wanted = share * ladder.notional.sum()
    shock = just_above(distance(runs, wanted))
    if not np.isfinite(shock):
        return
    outcome = outcome_of(ladder, rule, runs, shock, fund=0.0)
    assert outcome.notional >= wanted * (1 - 0.02) - 0.02 * ladder.notional.sum()
    assert outcome.end == run_ends(runs, np.array([shock]))[0]
    assert outcome.beyond_fund == outcome.loss


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(ValueError, match=r"sigma_5m is 0\.0"):
        expressed(0.01, 0.1, 0.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="fund is -1"):
        outcome_of(None, Reduction(), None, 0.0, -1)
    assert expressed(np.inf, 0.1, 0.1, 1.0, 1.0).probability == 0.0
