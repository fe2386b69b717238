"""The notice that accounts need is learned from how they answered earlier changes."""

import pytest

from detectors.conduct.margin_change import MarginChange
from detectors.conduct.top_ups import MOST_WATCHED, TopUps
from detectors.risk.reduction import Reduction
from detectors.risk_watch.holdings import Holdings
from tests.conduct.market import Market
from tests.conduct.test_margin_change import change
from tests.risk_watch.venue import BEGIN, SECOND, crowd, margin, position, reference


def market():
    """Twenty longs that a raise from 1 % to 2 % liquidates, and others that it does not."""
    its = Market(MarginChange())
    its.take(position("s", -1_000.0, 0.5), position("l", 500.0, 0.5), *crowd(500.0, 0.005))
    its.run(3)
    return its


def test_the_notice_that_nine_in_ten_needed_is_told_with_the_next_change():
    its = market()
    assert change(its, 0.02, notice=400).least_notice_seconds is None
    announced = its.now - 2 * SECOND
    for number in range(18):
        its.run(10)
        its.take(position(str(number), 25.0, 0.2, at=its.now))
    needed = (its.now - announced) / SECOND
    assert change(its, 0.021, notice=60).least_notice_seconds is None  # two may still answer
    its.run(400)
    record = change(its, 0.02, notice=60)
    assert record.least_notice_seconds == pytest.approx(needed)
    assert needed == pytest.approx(182.0)


def test_accounts_that_do_not_answer_are_not_left_out():
    its = market()
    change(its, 0.02, notice=300)
    for number in range(10):
        its.run(10)
        its.take(position(str(number), 25.0, 0.2, at=its.now))
    its.run(300)
    assert change(its, 0.021, notice=60).least_notice_seconds is None


def watching(accounts, **changes):
    holdings = Holdings(10_000_000, Reduction())
    holdings.put_margin(margin())
    holdings.put_reference(reference())
    for each in accounts:
        holdings.put_position(each)
    top_ups = TopUps()
    top_ups.watch(
        margin(at=BEGIN, maintenance_margin_rate=0.02, effective_at=BEGIN + 60 * SECOND, **changes),
        holdings,
    )
    return top_ups, holdings


def test_what_is_no_answer_does_not_count():
    top_ups, holdings = watching(crowd(500.0, 0.005))
    at = BEGIN + 5 * SECOND
    top_ups.take(position("0", 25.0, 0.005, at=at), holdings)  # as it was
    top_ups.take(position("1", 25.0, 0.0051, at=at), holdings)  # not enough
    top_ups.take(position("2", 0.0, 0.005, at=at), holdings)  # closed, by whom is not known
    top_ups.take(position("stranger", 25.0, 0.2, at=at), holdings)
    assert list(top_ups.answers) == []
    top_ups.take(position("3", 10.0, 0.02, at=at), holdings)  # smaller
    top_ups.take(position("4", 25.0, 0.2, at=at), holdings)  # more margin
    assert list(top_ups.answers) == [(5.0, True)] * 2
    top_ups.close(BEGIN + 60 * SECOND)
    assert list(top_ups.answers)[2:] == [(60.0, False)] * 17


def test_unknown_margins_and_cross_accounts_are_not_watched():
    accounts = [
        position("a", 25.0, 0.005, margin=None),
        position("b", 25.0, 0.005, margin_mode="cross"),
        position("c", 25.0, 0.5),
    ]
    top_ups, _ = watching(accounts)
    top_ups.close(BEGIN + 60 * SECOND)
    assert list(top_ups.answers) == []


def test_the_accounts_that_are_watched_are_bounded():
    top_ups, _ = watching([position(str(n), 25.0, 0.005) for n in range(MOST_WATCHED + 10)])
    assert len(top_ups._watched) == MOST_WATCHED
