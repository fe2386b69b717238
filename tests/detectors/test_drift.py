"""A lasting change is reported once, and the baseline is learned again."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.change_watch import ChangeWatch
from detectors.detector import Detector
from detectors.incidents.drift_incidents import OFTEN_NS, QUIET_NS, DriftIncidents
from detectors.judging.drift import DriftState, DriftWatch
from detectors.judging.surprise import Contribution, Surprise
from detectors.scorer import NO_INPUT, Reading

SECOND = 1_000_000_000
BEGIN = 1_767_225_600 * SECOND


def calm(seed, bars):
    rng = random.Random(seed)
    return [{"x": rng.gauss(0.0, 1.0), "y": rng.gauss(0.0, 1.0)} for _ in range(bars)]


def first_drift(watch, bars):
    for number, bar in enumerate(bars):
        if watch.learn(bar):
            return number
    return None


@pytest.mark.parametrize("seed", range(5))
def test_a_calm_day_is_no_drift(seed):
    assert first_drift(DriftWatch(), calm(seed, 86_400)) is None


@pytest.mark.parametrize("size", [4.0, -4.0])
def test_a_change_in_either_direction_that_lasts_is_one(size):
    watch = DriftWatch()
    assert first_drift(watch, calm(1, 3_600)) is None
    changed = [{**bar, "x": bar["x"] + size} for bar in calm(2, 900)]
    assert first_drift(watch, changed) < 600


def test_an_incident_of_two_minutes_is_none():
    watch = DriftWatch()
    first_drift(watch, calm(1, 3_600))
    shock = [{"x": 50.0, "y": 50.0}] * 120
    assert first_drift(watch, [*shock, *calm(3, 3_600)]) is None


@given(st.integers(0, 4_000))
def test_a_watch_that_is_restored_anywhere_finds_what_the_other_would_have(cut):
    bars = [*calm(1, 3_000), *({"x": 5.0, "y": 0.0} for _ in range(1_000))]
    undisturbed = first_drift(DriftWatch(), bars)
    watch = DriftWatch()
    found = first_drift(watch, bars[:cut])
    if found is None:
        saved = msgspec.msgpack.encode(watch.state)
        watch = DriftWatch()
        watch.restore(msgspec.msgpack.decode(saved, type=DriftState))
        after = first_drift(watch, bars[cut:])
        found = None if after is None else after + cut
    assert found == undisturbed


WATCHED = Detector("d", 1, lambda bar: bar, {"x": "x is {value:.1f}"}, model=Surprise)


def test_the_baseline_moves_on_and_no_storm_follows():
    rng = random.Random(4)
    watch = ChangeWatch(WATCHED, warmup_bars=120)
    for _ in range(7_200):
        watch.step({"x": rng.gauss(0.0, 1.0)}, settling=False)
    moved = [watch.step({"x": rng.gauss(12.0, 1.0)}, settling=False) for _ in range(1_800)]
    (at,) = [number for number, reading in enumerate(moved) if reading.drift]
    assert at < 900
    assert moved[at].drift[0].feature == "x"
    assert moved[at].drift[0].value > moved[at].drift[0].expected
    assert watch.model.expected("x") == pytest.approx(12.0, abs=1.0)


def test_what_is_only_watched_for_drift_raises_no_alarm():
    watch = ChangeWatch(WATCHED, warmup_bars=120)
    for bar in [*calm(1, 3_000), *({"x": 99.0} for _ in range(300))]:
        reading = watch.step({"x": bar["x"]}, settling=False)
        assert not reading.alarm
        assert reading.p_value is None


def drifted(**more):
    change = [Contribution("x", 9.0, 1.0, 1.0)]
    return {"d": Reading("scoring", {"x": 9.0}, 9.0, 1e-6, drift=change, **more)}


def test_several_changes_within_minutes_are_one_incident_of_low_severity():
    drifts, one = DriftIncidents("A"), (WATCHED,)
    (opened,) = drifts.step(BEGIN, one, drifted())
    assert (opened.detector, opened.severity, opened.status) == ("drift", "info", "firing")
    assert opened.evidence[0].feature == "x"
    assert drifts.step(BEGIN + 60 * SECOND, one, drifted()) == []
    assert drifts.resolve(BEGIN + QUIET_NS) == []
    (resolved,) = drifts.resolve(BEGIN + 60 * SECOND + QUIET_NS)
    assert (resolved.alert_id, resolved.status) == (opened.alert_id, "resolved")
    assert resolved.ends_at == BEGIN + 60 * SECOND + QUIET_NS


def often(*names):
    """Readings in which these detectors begin to alarm often."""
    its = dict.fromkeys((detector.name for detector in CATALOGUE), NO_INPUT)
    for name in names:
        feature = next(iter(next(d for d in CATALOGUE if d.name == name).phrases))
        change = [Contribution(feature, 9.0, 1.0, 1.0)]
        its[name] = Reading("scoring", {feature: 9.0}, 9.0, 1e-6, alarm=True, drift=change)
    return its


def test_a_test_that_keeps_alarming_is_told_once():
    drifts = DriftIncidents("X")
    (told,) = drifts.step(BEGIN, CATALOGUE, often("cancel_burst"))
    assert told.summary.startswith(
        "cancel_burst on X alarms often: what is usual has changed, or its noise is misjudged"
    )
    assert (told.detector, told.severity, told.update) == ("drift", "info", 0)
    later = [
        alert
        for hour in range(1, 60)
        for alert in drifts.step(BEGIN + hour * 3_600 * SECOND, CATALOGUE, often("cancel_burst"))
    ]
    assert [alert.status for alert in later] == ["resolved"]
    a_day_without = BEGIN + 59 * 3_600 * SECOND + OFTEN_NS
    (again,) = drifts.step(a_day_without, CATALOGUE, often("cancel_burst"))
    assert again.alert_id != told.alert_id


def test_another_test_that_keeps_alarming_is_an_update_of_the_open_incident():
    drifts = DriftIncidents("X")
    (opened,) = drifts.step(BEGIN, CATALOGUE, often("cancel_burst"))
    both = often("cancel_burst", "thin_book")
    (update,) = drifts.step(BEGIN + 60 * SECOND, CATALOGUE, both)
    assert (update.alert_id, update.starts_at) == (opened.alert_id, opened.starts_at)
    assert (update.update, update.reason) == (1, "detector")
    assert update.summary.startswith("thin_book on X alarms often")
    assert drifts.step(BEGIN + 120 * SECOND, CATALOGUE, both) == []


def test_a_drift_in_a_maintenance_window_is_not_told():
    drifts = DriftIncidents("A")
    readings = drifted(drift_suppressed="maintenance: upgrade")
    assert drifts.step(BEGIN, (WATCHED,), readings) == []
    assert drifts.open is None
