"""What the console remembers: enough, and never more than so much."""

import math

import pytest

from detectors.incidents.alerts import Alert
from service.console.history import INCIDENTS, History
from service.console.state import Pace, overview
from service.pipeline.output import Output
from service.presentation.series import COLUMNS, row
from tests.console.desk import restarted
from tests.steps import alert, bar


def test_a_ring_holds_the_latest_bars():
    history = History(bars=3)
    for second in range(1, 6):
        history.take(0, bar("S", second, orders=float(second)))
    rows = history.rings["S"].rows()
    assert (rows["ts_event"] // 10**9).tolist() == [3, 4, 5]
    assert rows["orders"].tolist() == [3.0, 4.0, 5.0]


def test_a_row_has_every_column_and_says_what_is_not_known():
    ((closed, signal),) = bar("S", 1, stress=None).bars
    values = dict(zip(COLUMNS, row(closed, signal), strict=True))
    assert values["leverage_excess_ratio"] == pytest.approx(math.e - 1.0)
    assert values["near_maximum_ratio"] == 0.0
    assert math.isnan(values["mid"])
    assert math.isnan(values["stress_ratio"])
    assert math.isnan(values["score_thin_book"])


def test_a_number_beyond_single_precision_is_no_accident():
    history = History()
    history.take(0, bar("S", 1, orders=1e300))
    assert history.rings["S"].rows()["orders"][0] == pytest.approx(3.4e38)


def test_beyond_the_bound_only_a_stressed_symbol_takes_the_place_of_the_calmest():
    history = History(symbols=2)
    history.take(0, bar("A", 1, stress=0.3))
    history.take(0, bar("B", 1, stress=0.1))
    history.take(0, bar("CALM", 1, stress=0.2))
    assert set(history.rings) == {"A", "B"}
    history.take(0, bar("STRESSED", 2, stress=0.9))
    assert set(history.rings) == {"A", "STRESSED"}
    history.take(0, Output(forgotten=["A"]))
    assert set(history.rings) == {"STRESSED"}


def told(*alerts: Alert) -> Output:
    return Output(alerts=list(alerts))


def test_incidents_are_folded_and_the_oldest_that_ended_goes_first():
    history = History()
    history.take(0, told(alert(1), alert(1, severity="critical", at=50)))
    history.take(0, told(alert(1, severity="critical", status="resolved", at=90)))
    incident = history.incidents["1"]
    assert (incident.critical_at, incident.ended.ends_at) == (50, 90)
    assert incident.fired.status == "firing"
    history.take(0, told(alert(0), *map(alert, range(2, INCIDENTS + 1))))
    assert len(history.incidents) == INCIDENTS
    assert "1" not in history.incidents, "it had ended"
    assert "0" in history.incidents, "it is open"


def test_more_open_incidents_than_are_remembered_are_all_told_of():
    history = History()
    opened = [alert(number) for number in range(INCIDENTS + 50)]
    history.take(0, told(*opened))
    remembered = list(history.incidents)
    assert len(remembered) == INCIDENTS
    told_of = history.known_incidents({0: opened})
    assert {its.fired.alert_id for its in told_of} == {its.alert_id for its in opened}
    assert list(history.incidents) == remembered, "looking changes nothing"


def test_what_went_to_another_process_is_not_shown_as_if_it_went_on():
    history = History()
    history.take(3, bar("S", 1))
    history.take(3, told(alert(1), alert(2), alert(2, status="resolved", at=5)))
    history.take(4, bar("T", 1))
    # Nothing is known of what is open while Kafka is not connected, or while a partition restores.
    assert len(history.known_incidents({})) == 2
    assert len(history.known_incidents({3: None, 4: []})) == 2
    history.owns([4])
    assert set(history.rings) == {"T"}
    assert [its.fired.alert_id for its in history.known_incidents({4: []})] == ["2"], "it had ended"


def test_an_incident_that_nobody_has_any_more_is_not_told_of():
    history = History()
    history.take(0, told(alert(1)))
    assert history.known_incidents({0: []}) == [], "its symbol was forgotten: it never resolves"


def test_a_restart_brings_open_incidents_back_to_the_page():
    desk = restarted(alert(1))
    shown = overview(desk.view(), desk.health, desk.history, desk.settings, pace=Pace())
    assert [incident.alert_id for incident in shown.incidents] == ["1"]
    assert (shown.market.state, shown.market.symbol) == ("warning", "S")
