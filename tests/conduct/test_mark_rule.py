"""`mark_rule_broken`: a mark price that its declared rule cannot give alarms, no other does."""

import pytest

from detectors.conduct.mark_rule import MarkRuleBroken
from detectors.market_data.book_summary import BookSummary
from tests.conduct.market import DECLARED, Market
from tests.risk_watch.venue import BEGIN, SECOND, crowd, margin, position


def market(**options):
    return Market(MarkRuleBroken(), **options)


def test_a_venue_that_keeps_its_rule_never_alarms_whatever_the_book_does():
    its = market()
    for shift in (0.0, 0.01, -0.02, 0.004, 0.0):
        its.run(120, shift=shift)
    assert its.output.alerts == []


@pytest.mark.parametrize("window", [10.0, 90.0])
def test_another_window_than_the_declared_one_alarms_when_the_book_leaves_the_index(window):
    its = market(window=window)
    its.run(120)
    assert its.output.alerts == []
    its.run(40, shift=0.01)
    (alert,) = its.output.alerts
    assert "ema_premium over 30 s" in alert.summary
    assert alert.p_value == 1.0


def test_a_changed_window_that_is_declared_is_no_breach():
    its = market()
    its.run(60, shift=0.005)
    its.window = 90.0
    its.take(margin(at=its.now, **{**DECLARED, "mark_window_ns": 90 * SECOND}))
    its.run(200, shift=-0.005)
    assert its.output.alerts == []


def test_a_mark_price_that_is_shifted_alarms_and_resolves_and_says_for_whom_it_decides():
    its = market()
    its.take(position("s", -1_000.0, 0.5), *crowd(1_000.0, 0.005))
    its.run(60)
    its.run(60, published=lambda mark: mark * 0.99)
    (alert,) = its.output.alerts
    assert (alert.status, alert.severity) == ("firing", "critical")
    assert "20 accounts" in alert.summary
    its.run(200)
    assert its.alerts()[-1] == ("resolved", "critical")


def test_a_mark_price_beyond_its_clamp_alarms():
    its = market(mark_method="median", mark_clamp=0.01)
    its.run(60)
    its.run(10, published=lambda mark: mark * 1.02)
    (alert,) = its.output.alerts
    assert "beyond the declared 1.0% from the index" in alert.summary


def test_an_index_that_stands_still_while_the_book_moves_alarms():
    its = market(mark_method="median")
    its.run(400)
    fixed = its.index
    its.run(120, index=fixed)
    assert its.output.alerts == []
    its.run(60, index=fixed, shift=0.03)
    assert "the index has stood still" in its.output.alerts[0].summary


def test_without_a_declared_method_no_mark_price_is_wrong():
    its = market(mark_method=None)
    its.run(60)
    its.run(60, published=lambda mark: mark * 0.99)
    assert its.output.alerts == []


def test_a_mean_of_prices_over_a_window_is_recomputed_as_well():
    its = market(mark_method="sma", mark_window_ns=10 * SECOND)
    recent = []

    def mean(_):
        recent.append(its.index)
        return sum(recent[-10:]) / len(recent[-10:])

    its.run(120, published=mean)
    assert its.output.alerts == []
    its.run(30, published=lambda mark: 1.004 * mean(mark))
    assert its.alerts() == [("firing", "warning")]


def test_a_mid_price_below_zero_is_left_out():
    detector, depth = MarkRuleBroken(), (1.0,) * 4
    for second, mid in enumerate((100.0, -1.0, 0.0, 100.1)):
        detector.summarise("X", BEGIN + second * SECOND, BookSummary(mid, 1.0, depth, depth))
    assert [mid for _, mid in detector._tracks["X"].mids] == [100.0, 100.1]
