"""The detector `cascade` opens when a run is near for a minute, and tells it once."""

from itertools import pairwise

import pytest

from detectors.market_data.risk_events import Insurance
from detectors.risk_watch.cascade import HOLD_NS, UPDATE_NS
from tests.risk_watch.venue import (
    BEGIN,
    SECOND,
    Venue,
    crowd,
    margin,
    near,
    position,
    reference,
)


def test_it_opens_after_a_minute_and_says_how_far_and_how_much():
    venue = near()
    venue.take(Insurance(ts_event=venue.now, symbol="X", balance=2_000.0))
    begins = venue.now
    venue.run(60)
    assert venue.output.alerts == []
    venue.run(2)
    (alert,) = venue.output.alerts
    assert alert.starts_at == alert.ts_event == begins + SECOND + HOLD_NS
    assert (alert.detector, alert.status, alert.symbol) == ("cascade", "firing", "X")
    assert alert.runbook == "docs/runbook.md#cascade"
    assert alert.score >= 0.8
    assert alert.p_value == pytest.approx(1.0 - alert.score)
    assert alert.summary.startswith("X: a fall of 0.")
    assert "% of open interest, 20 accounts)" in alert.summary
    assert "90 k of longs" in alert.summary
    assert "the fund holds 2.0 k" in alert.summary
    assert "A sale of" in alert.summary
    features = {its.feature: its.value for its in alert.evidence}
    assert features["forced_ratio"] == pytest.approx(0.9)
    assert "whale" not in features
    # The record of that second goes with it.
    assert venue.last().ts_event == alert.ts_event


def test_it_does_not_open_for_positions_that_are_far_or_few():
    for venue in (near(move=0.03), near(total=300.0)):
        venue.run(200)
        assert venue.output.alerts == []


def test_it_is_critical_while_depth_is_withdrawn():
    venue = near()
    venue.run(62)
    assert [its.severity for its in venue.output.alerts] == ["warning"]
    venue.run(30, depth=1e4)
    assert [its.severity for its in venue.output.alerts] == ["warning", "critical"]
    first, second = venue.output.alerts
    assert (second.update, second.reason) == (0, "severity")
    assert second.alert_id == first.alert_id
    assert second.opening == first.summary


def test_it_is_critical_where_an_ordinary_minute_moves_as_far():
    quiet, busy = near(), near(move=0.004)
    busy.monitor.learned["X"].flow._minute_moves.extend([0.006] * 12)
    for venue in (quiet, busy):
        venue.run(62)
    assert quiet.output.alerts[0].severity == "warning"
    assert busy.output.alerts[0].severity == "critical"


def test_it_resolves_when_the_run_is_no_longer_near_and_may_open_again():
    venue = near()
    venue.run(62)
    gone = [position(str(n), 0.0, 0.5, at=venue.now) for n in range(20)]
    venue.take(*gone)
    venue.run(2)
    opened, resolved = venue.output.alerts
    assert resolved.status == "resolved"
    assert resolved.alert_id == opened.alert_id
    assert resolved.ends_at == resolved.ts_event > opened.ts_event
    assert "no move would force out 40 %" in resolved.summary
    venue.take(*crowd(900.0, 0.008, at=venue.now))
    venue.run(65)
    assert len(venue.output.alerts) == 3
    assert venue.output.alerts[-1].alert_id != opened.alert_id


def test_what_is_near_for_less_than_a_minute_is_not_told():
    venue = near()
    for _ in range(5):
        venue.run(50)
        far = crowd(900.0, 0.08, at=venue.now)
        venue.take(*far)
        venue.run(2)
        venue.take(*crowd(900.0, 0.008, at=venue.now))
    assert venue.output.alerts == []


def test_it_is_told_again_at_most_once_a_minute_and_only_if_it_changes():
    venue = near()
    venue.run(62)
    venue.run(300)
    assert len(venue.output.alerts) == 1
    for step in range(1, 200):
        move = 0.008 - 0.00003 * step
        venue.take(*crowd(900.0, move, at=venue.now))
        venue.run(1)
    updates = [its for its in venue.output.alerts if its.update]
    assert [its.update for its in updates] == list(range(1, len(updates) + 1))
    assert {its.reason for its in updates} == {"worse"}
    for before, after in pairwise(venue.output.alerts):
        # To become critical waits for nothing.
        assert after.reason == "severity" or after.ts_event - before.ts_event >= UPDATE_NS
    assert 1 <= len(updates) <= 4


def test_a_whale_is_named():
    venue = near(accounts=3)
    venue.run(62)
    (alert,) = venue.output.alerts
    features = {its.feature: its.value for its in alert.evidence}
    assert features["whale"] == pytest.approx(0.3)
    assert "alone holds 30 % of open interest within 1 %" in alert.summary


def test_shorts_are_told_as_a_rise():
    venue = Venue(slope=2e-6)
    venue.take(margin(), reference(), position("l", 1_000.0, 0.5))
    venue.run(300)
    shorts = [position(str(n), -45.0, 0.008 * (1 + 0.01 * n), at=venue.now) for n in range(20)]
    venue.take(*shorts)
    venue.run(62)
    (alert,) = venue.output.alerts
    assert alert.summary.startswith("X: a rise of 0.")
    assert "of shorts" in alert.summary
    assert "A purchase of" in alert.summary


def test_two_runs_of_the_same_venue_have_the_same_ids():
    ids = []
    for _ in range(2):
        venue = near()
        venue.run(62)
        ids.append([its.alert_id for its in venue.output.alerts])
    assert ids[0] == ids[1] != []
    assert venue.output.alerts[0].starts_at > BEGIN
