"""The life of an incident: it opens, escalates and resolves, without an alert storm."""

from hypothesis import given
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.incidents.symbol_incidents import PERSISTENT_BARS, Incidents
from detectors.judging.surprise import Contribution
from detectors.scorer import NO_INPUT, Reading

BAR = 1_000_000_000
QUIET = 5 * BAR
BEGIN = 1_700_000_000 * BAR


def readings(*alarmed):
    its = dict.fromkeys((d.name for d in CATALOGUE), NO_INPUT)
    for name in alarmed:
        detector = next(d for d in CATALOGUE if d.name == name)
        feature = next(iter(detector.phrases))
        why = [Contribution(feature, 0.9, 0.1, 1.0)]
        its[name] = Reading("scoring", {feature: 0.9}, 20.0, 1e-7, True, why)
    return its


def play(bars):
    """Return the alerts of a symbol in whose bars the given detectors alarm."""
    incidents = Incidents("BTC-PERP", QUIET)
    alerts = []
    for number, alarmed in enumerate(bars, start=1):
        alerts += incidents.step(BEGIN + number * BAR, CATALOGUE, readings(*alarmed))
    return alerts


def test_one_alarm_opens_a_warning_that_resolves_after_the_quiet_time():
    opened, resolved = play([["cancel_burst"], *[[]] * 10])
    assert (opened.status, opened.severity, opened.detector) == (
        "firing",
        "warning",
        "cancel_burst",
    )
    assert opened.ends_at is None
    assert (resolved.status, resolved.alert_id) == ("resolved", opened.alert_id)
    assert resolved.ends_at == opened.ts_event + QUIET


def test_an_alarm_that_persists_is_critical():
    alerts = play([["thin_book"]] * (PERSISTENT_BARS + 5))
    assert [(a.status, a.severity) for a in alerts] == [
        ("firing", "warning"),
        ("firing", "critical"),
    ]
    assert "lasted" in alerts[1].summary


def test_a_second_detector_that_joins_makes_it_critical():
    alerts = play([["thin_book"], ["cancel_burst"]])
    assert [(a.detector, a.severity) for a in alerts] == [
        ("thin_book", "warning"),
        ("thin_book", "critical"),
    ]
    assert alerts[0].alert_id == alerts[1].alert_id
    assert "confirm it" in alerts[1].summary


def test_an_alert_explains_itself():
    (alert,) = play([["leverage_jump"]])
    assert alert.summary.startswith("BTC-PERP: ")
    assert alert.evidence[0].value == 0.9
    assert alert.evidence[0].expected == 0.1
    assert alert.runbook == "docs/runbook.md#leverage_jump"


def test_the_same_incident_has_the_same_id_and_another_one_another():
    first, _, second = play([["thin_book"], *[[]] * 8, ["thin_book"]])
    assert first.alert_id != second.alert_id
    assert play([["thin_book"]])[0].alert_id == first.alert_id


names = [d.name for d in CATALOGUE]


@given(st.lists(st.lists(st.sampled_from(names), unique=True), max_size=120))
def test_alerts_always_tell_a_coherent_story(bars):
    open_alert = None
    last_ts = 0
    for alert in play(bars):
        assert alert.ts_event >= last_ts
        last_ts = alert.ts_event
        if open_alert is None:
            assert (alert.status, alert.severity) == ("firing", "warning")
            assert alert.starts_at == alert.ts_event
            open_alert = alert
        elif alert.status == "firing":
            assert alert.alert_id == open_alert.alert_id
            assert (open_alert.severity, alert.severity) == ("warning", "critical")
            open_alert = alert
        else:
            assert alert.alert_id == open_alert.alert_id
            assert alert.severity == open_alert.severity
            open_alert = None
