"""Bands against a scan of all prices, and mark rules against a mark price that is averaged."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.band import nearest_band
from detectors.risk.forced import forced_at, forced_of
from detectors.risk.marks import MarkRule, passed_through, seconds_beyond, seconds_until
from detectors.risk.reduction import Reduction
from tests.risk.books import books, rules


@given(books(most=20), rules(), st.floats(1, 50))
def test_a_band_is_the_first_dense_cluster(book, rule, times):
    ladder = book.ladder()
    open_interest = times * ladder.notional.sum()
    band = nearest_band(ladder, rule, open_interest)
    starts = [
        i
        for i, at in enumerate(ladder.move)
        if sum(n for m, n in zip(ladder.move, ladder.notional, strict=True) if at <= m <= at + 1e-3)
        - sum(ladder.notional[:i][ladder.move[:i] == at])
        >= 0.01 * open_interest
    ]
    if not starts:
        assert band is None
        return
    members = {starts[0]}
    for _ in ladder.move:  # single linkage, by its definition
        members |= {
            j
            for i in members
            for j in range(len(ladder.move))
            if abs(j - i) == 1 and abs(ladder.move[i] - ladder.move[j]) <= 0.0025
        }
    chosen = sorted(members)
    assert band.accounts == len(chosen)
    assert band.notional == pytest.approx(ladder.notional[chosen].sum())
    assert band.first_move == ladder.move[starts[0]]
    cluster = ladder._replace(**{
        name: getattr(ladder, name)[chosen]
        for name in ("move", "price", "bankrupt_move", "notional", "quantity", "account")
    })  # fmt: skip
    closed = forced_at(forced_of(cluster, rule), np.array([band.full_move - 1e-9, band.full_move]))
    assert closed[1] >= 0.9 * band.notional * (1 - 1e-9)
    assert closed[0] < 0.9 * band.notional


def averaged(rule, path, step):
    """The mark's move along a path of the book's, the index unmoved."""
    if rule.kind == "sma":
        width = round(rule.seconds / step)
        padded = np.concatenate((np.zeros(width), np.cumsum(path)))
        return (padded[width:] - padded[:-width]) / width
    mark, marks = 0.0, []
    for price in path:
        mark += (price - mark) * -math.expm1(-step / rule.seconds)
        marks.append(mark)
    return np.array(marks)


@given(
    kind=st.sampled_from(["ema_premium", "ema_price", "sma"]),
    seconds=st.integers(5, 60),
    dislocation=st.floats(0.005, 0.05),
    rebound=st.integers(5, 120),
    share=st.floats(0.05, 0.95),
)
def test_the_mark_is_beyond_a_move_as_long_as_an_averaged_price_is(
    kind, seconds, dislocation, rebound, share
):
    rule, step, move = MarkRule(kind, float(seconds)), 0.05, share * dislocation
    path = np.zeros(round(400 / step))
    path[: round(rebound / step)] = dislocation
    marks = averaged(rule, path, step)
    beyond = np.flatnonzero(marks >= move) * step
    found = seconds_beyond(rule, dislocation, float(rebound), move)
    if found is None:
        assert marks.max() < move * (1 + 1e-9)
        return
    first, last = found
    if last - first < 4 * step:
        return  # the grid of the simulation is too coarse to see it
    assert first == pytest.approx(beyond[0], abs=3 * step)
    assert last == pytest.approx(beyond[-1], abs=3 * step)
    assert first == seconds_until(rule, dislocation, move)


@given(
    st.sampled_from(["ema_premium", "ema_price", "sma"]), st.floats(1, 100), st.floats(0.01, 0.99)
)
def test_what_has_passed_through_is_the_inverse_of_the_time_it_takes(kind, seconds, share):
    rule = MarkRule(kind, seconds)
    assert passed_through(rule, seconds_until(rule, 1.0, share)) == pytest.approx(share)


def test_rules_that_cannot_be_are_refused_by_name():
    with pytest.raises(ValueError, match=r"seconds is 0\.0: sma needs a time above 0"):
        passed_through(MarkRule("sma"), 1.0)
    with pytest.raises(ValueError, match="index_share is 2"):
        passed_through(MarkRule("last"), 1.0, 2)
    with pytest.raises(ValueError, match="after_seconds is -1"):
        passed_through(MarkRule("last"), -1)
    with pytest.raises(ValueError, match="move is 0"):
        seconds_beyond(MarkRule("last"), 0.1, 1.0, 0)
    assert passed_through(MarkRule("last"), 0.0) == 1.0
    assert seconds_beyond(MarkRule("last"), 0.02, 10.0, 0.01) == (0.0, 10.0)


@given(books(most=1))
def test_an_open_interest_of_nothing_is_refused(book):
    with pytest.raises(ValueError, match=r"open_interest is 0\.0"):
        nearest_band(book.ladder(), Reduction(), 0.0)
