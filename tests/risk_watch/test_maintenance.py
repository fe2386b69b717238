"""A maintenance window holds incidents of positions back: they are marked and counted, not lost."""

import pytest

from detectors.incidents.suppression import REOPENING_NS, Suppression, Window
from tests.risk_watch.venue import BEGIN, SECOND, crowd, near, shared


def window(begin_s, length_s, symbols=("*",), detectors=()):
    """A window; its begin is in seconds from the beginning of the venue."""
    return Suppression(
        windows=(
            Window(
                symbols=symbols,
                detectors=detectors,
                begins_ns=(BEGIN + begin_s * SECOND,),
                length_ns=length_s * SECOND,
                reason="upgrade",
            ),
        )
    )


def told(venue, detector):
    return [alert for alert in venue.output.alerts if alert.detector == detector]


def test_a_cascade_in_a_window_opens_no_incident_and_its_records_say_why():
    venue = near()
    venue.monitor.suppression = window(300, 200)
    venue.run(90)
    assert venue.output.alerts == []
    assert venue.last().suppressed == "maintenance: upgrade"
    assert venue.last().cascade_probability >= 0.8
    # It would be open from the 61st second of the crowd on, to the 90th.
    assert venue.monitor.suppressed_alarms == {("cascade", "maintenance"): 30}


def test_it_opens_a_minute_after_the_window_if_the_cascade_is_still_near():
    venue = near()
    venue.monitor.suppression = window(300, 100)
    venue.run(180)
    (alert,) = told(venue, "cascade")
    # A second belongs to the window in which it begins.
    assert alert.ts_event == BEGIN + 401 * SECOND + REOPENING_NS
    assert alert.status == "firing"
    assert venue.last().suppressed is None


def test_nothing_opens_after_the_window_if_the_cascade_is_far_again():
    venue = near()
    venue.monitor.suppression = window(300, 100)
    venue.run(80)
    venue.take(*crowd(900.0, 0.3, at=venue.now))
    venue.run(120)
    assert venue.output.alerts == []
    assert venue.last().suppressed is None


def test_an_open_cascade_resolves_when_a_window_starts_and_is_a_new_one_after_it():
    venue = near()
    venue.monitor.suppression = window(380, 60)
    venue.run(300)
    opened, over, again = told(venue, "cascade")
    assert (over.status, over.alert_id) == ("resolved", opened.alert_id)
    assert over.ts_event == over.ends_at == BEGIN + 381 * SECOND
    assert over.summary == "X: held back, maintenance: upgrade"
    assert again.status == "firing"
    assert again.alert_id != opened.alert_id


@pytest.mark.parametrize(
    ("symbols", "detectors"), [(("Y",), ()), (("*",), ("thin_book", "contagion"))]
)
def test_a_window_for_another_symbol_or_detector_holds_no_cascade_back(symbols, detectors):
    venue = near()
    venue.monitor.suppression = window(300, 200, symbols, detectors)
    venue.run(90)
    assert len(told(venue, "cascade")) == 1
    assert venue.monitor.suppressed_alarms == {}


def test_contagion_is_held_back_by_a_window_for_all_symbols_only():
    one, all_ = shared(), shared()
    one.monitor.suppression = window(300, 200, ("X", "Y"))
    all_.monitor.suppression = window(300, 100)
    for venue in (one, all_):
        venue.run(100)
    assert len(told(one, "contagion")) == 1
    assert told(all_, "contagion") == []
    assert all_.monitor.suppressed_alarms["contagion", "maintenance"] == 4  # from 370 s on
    all_.run(80)
    (alert,) = told(all_, "contagion")
    assert alert.ts_event > BEGIN + 400 * SECOND + REOPENING_NS


def test_an_open_contagion_resolves_when_a_window_starts():
    venue = shared()
    venue.monitor.suppression = window(385, 100)
    venue.run(120)
    opened, over = told(venue, "contagion")
    assert (over.status, over.alert_id) == ("resolved", opened.alert_id)
    assert over.summary == "Held back, maintenance: upgrade"
    assert over.ts_event == BEGIN + 390 * SECOND  # the matrix is computed every ten seconds
