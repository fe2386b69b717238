"""`mark_lag`: a lag alarms when positions hang on it, and a move alone does not."""

import numpy as np
import pytest

from detectors.conduct.between import between
from detectors.conduct.mark_lag import MarkLag
from detectors.risk.contract import Contract
from detectors.risk.ladder import ladder_of
from detectors.risk.tiers import tiers_of
from tests.conduct.market import Market
from tests.risk_watch.venue import crowd, position


def market(move, **options):
    """A market of ten minutes whose longs a fall by ``move`` liquidates."""
    its = Market(MarkLag(), **options)
    its.take(position("s", -1_000.0, 0.5), position("l", 500.0, 0.5))
    its.take(*crowd(500.0, move))
    its.run(600)
    assert its.output.alerts == []
    return its


def test_a_fall_that_the_mark_price_hides_alarms_with_the_hidden_positions():
    its = market(move=0.01)
    its.run(25, shift=-0.02)
    (alert,) = its.output.alerts
    assert alert.severity == "warning"
    assert "would be below maintenance if it followed at once" in alert.summary
    assert "20 accounts" in alert.summary
    evidence = {each.feature: each.value for each in alert.evidence}
    assert evidence["lag_seconds"] >= 5.0
    assert evidence["distance_bps"] > 50.0


def test_the_same_fall_over_positions_that_are_far_away_does_not_alarm():
    its = market(move=0.08)
    its.run(60, shift=-0.02)
    assert its.output.alerts == []


@pytest.mark.parametrize(("seconds", "alerts"), [(3, []), (12, [("firing", "warning")])])
def test_a_gap_in_the_book_that_hides_positions_for_seconds_does_not_alarm(seconds, alerts):
    """The lag before it was long, but no position was between the prices."""
    its = market(move=0.01, window=90.0)
    its.run(10, shift=-0.007)
    its.run(seconds, shift=-0.02)
    its.run(20, shift=-0.004)
    assert its.alerts() == alerts


def test_positions_that_are_liquidated_after_the_rebound_are_critical():
    its = market(move=0.012, window=90.0, mark_window_ns=90_000_000_000)
    its.run(90, shift=-0.02)
    its.run(20, forced=2e3)
    alert = its.output.alerts[-1]
    assert (alert.status, alert.severity) == ("firing", "critical")
    assert "although the market has come back" in alert.summary
    its.run(400)
    assert its.alerts()[-1] == ("resolved", "critical")


def test_the_lag_is_the_time_constant_of_the_mean():
    its = market(move=0.01, window=30.0)
    detector = its.monitor.conduct.detectors[0]
    its.run(36, shift=-0.02)
    # The area under exp(-t / 30) up to 34 s is 20 s; the peak is lower, as the book takes seconds.
    assert detector._dislocations["X"].lag_seconds == pytest.approx(23.0, abs=3.0)


def test_a_venue_without_positions_is_silent():
    its = Market(MarkLag())
    its.run(600)
    its.run(60, shift=-0.03)
    assert its.output.alerts == []


def test_between_counts_what_one_price_liquidates_and_the_other_does_not():
    trigger = np.array([97.0, 99.0, 104.0, 101.0])
    ladder = ladder_of(
        Contract(tiers_of([0.01])), "short", 100.0, np.arange(4),
        np.array([-1.0, 1.0, -2.0, -3.0]), trigger, trigger + 1.0,
    )  # fmt: skip
    assert between(ladder, 100.0, 102.0) == ("short", 300.0, 1)
    assert between(ladder, 96.0, 105.0) == ("short", 600.0, 3)
    assert between(ladder, 105.0, 96.0).accounts == 0
