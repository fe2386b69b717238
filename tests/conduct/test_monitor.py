"""Incidents about a venue's conduct open, are told again and resolve; nothing is told twice."""

import math

import pytest
from msgspec import Raw

from detectors.conduct import monitor as conduct_monitor
from detectors.incidents.suppression import Suppression, Window
from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.output import RiskOutput
from tests.conduct.spread import run, spread_monitor
from tests.risk_watch.venue import BEGIN, SECOND, margin, reference


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setattr(conduct_monitor, "OF_CONDUCT", ("spread",))


def told(output):
    return [
        ((its.ts_event - BEGIN) // SECOND, its.status, its.severity, its.reason, its.update)
        for its in output.alerts
    ]


def test_an_incident_opens_escalates_is_told_of_material_changes_and_resolves():
    path = {0: 90.0, 10: 140.0, 20: 145.0, 30: 200.0, 100: 310.0, 200: 210.0, 300: 90.0}
    output = run(spread_monitor(), path, 320)
    assert told(output) == [
        (11, "firing", "warning", "opened", 0),
        (71, "firing", "warning", "worse", 1),
        (101, "firing", "critical", "severity", 0),
        (201, "firing", "critical", "better", 1),
        (305, "resolved", "critical", "resolved", 0),
    ]
    assert {its.alert_id for its in output.alerts} == {output.alerts[0].alert_id}
    assert output.alerts[0].summary == "X: the price is 140"
    assert output.alerts[-1].summary == "X: the price is back"
    assert output.alerts[-1].opening == "X: the price is 140"


def test_a_short_calm_does_not_end_an_incident():
    output = run(spread_monitor(), {0: 140.0, 10: 90.0, 13: 140.0, 20: 90.0}, 30)
    assert [status for _, status, *_ in told(output)] == ["firing", "resolved"]


def test_maintenance_holds_incidents_back_and_counts_them():
    window = Window(
        symbols=("X",), begins_ns=(BEGIN + 20 * SECOND,), length_ns=20 * SECOND, reason="x"
    )
    counted = {}
    venue = spread_monitor(suppression=Suppression((), (window,)), suppressed_alarms=counted)
    output = run(venue, {0: 140.0}, 700)
    statuses = [(at, status) for at, status, *_ in told(output)]
    assert statuses[:2] == [(1, "firing"), (21, "resolved")]
    assert statuses[2][1] == "firing"
    assert counted["spread", "maintenance"] > 15


@pytest.mark.parametrize("cut", range(0, 330, 15))
def test_a_successor_tells_what_is_left_and_nothing_twice(cut):
    path = {0: 90.0, 10: 140.0, 20: 145.0, 30: 200.0, 100: 310.0, 200: 210.0, 300: 90.0}
    whole = run(spread_monitor(), path, 330)
    before = run(spread_monitor(), {at: mark for at, mark in path.items() if at < cut}, cut)
    successor = spread_monitor()
    newest = max((its.ts_event for its in before.statements), default=0)
    keys = frozenset(its.key for its in before.statements if its.ts_event == newest)
    published = {("parameter_changes", "X"): (newest, keys)} if keys else {}
    successor.resume(before.records, before.alerts, (), published)
    after = run(successor, path, 330)
    assert told(before) + told(after) == told(whole)
    assert before.statements + after.statements == whole.statements


def counted(venue, first, last):
    """Give the monitor a reference each ten seconds, and a book each second."""
    output = RiskOutput()
    depth = (1e5,) * 4
    for second in range(first, last):
        if second % 10 == 0:
            output.join(venue.take(reference(at=BEGIN + second * SECOND, mark=90.0)))
        ends_at = BEGIN + (second + 1) * SECOND
        output.join(venue.summarise("X", ends_at, BookSummary(90.0, 1.0, depth, depth)))
    output.join(venue.close_until(BEGIN + last * SECOND))
    return output


def test_a_successor_goes_on_from_what_was_remembered_and_counts_nothing_twice():
    before = counted(spread_monitor(), 0, 700)
    kept = [its for its in before.memories if its.symbol == "X"][-1]
    successor = spread_monitor()
    successor.resume(before.records, before.alerts, before.memories)
    again = (kept.ts_event - BEGIN) // SECOND - 200  # half an hour is read again, say
    counted(successor, again, 900)
    assert successor.conduct.detectors[0].references == {"X": 90}


def test_amounts_of_inverse_contracts_are_notional_for_the_detectors_as_well():
    venue, depth = spread_monitor(), (1e5,) * 4
    summary = BookSummary(100.0, 1.0, depth, depth, sold=5_000.0, forced_sold=500.0)
    venue.conduct.detectors[0].take = lambda *_: None
    venue.take(margin(contract="inverse", settlement_currency="BTC"))
    venue.summarise("X", BEGIN + SECOND, summary)
    (seen,) = venue.conduct.detectors[0].summaries
    assert (seen.sold, seen.forced_sold, seen.bid_depth[0]) == (50.0, 5.0, 1e3)


def test_a_memory_that_does_not_fit_is_none():
    venue = spread_monitor()
    memory = Memory(symbol="X", ts_event=BEGIN, conduct={"spread": Raw(b'{"references":"many"}')})
    venue.resume([], [], [memory])
    run(venue, {0: 90.0, 10: 90.0}, 20)
    assert venue.conduct.detectors[0].references == {"X": 2}


def test_a_rule_has_no_probability_so_1_is_published():
    (alert,) = run(spread_monitor(), {0: 140.0}, 5).alerts
    assert math.isclose(alert.p_value, 1.0)
