"""What the console says of the venue as a whole: how liquidations would spread, and switches."""

import pytest
from msgspec.structs import replace

from detectors.conduct.crowding import Crowding, Reading, Sample
from service.console.detail import detail
from service.console.venue import NOTHING_SPREADS, venue
from service.exchange.scenarios.catalogue import scenario
from tests.conduct.spread import run, spread_monitor
from tests.console.desk import BEGIN_NS, SECOND, Desk, commanded
from tests.risk_watch.venue import Venue, shared


def calm_desk() -> Desk:
    return Desk(script=scenario("calm"), symbols=["X", "Z"], rate=5.0)


@pytest.fixture(scope="module")
def spreading() -> Venue:
    """A fall of X closes cross accounts that hold Y as well; the incident is open."""
    its = shared()
    its.run(75)
    return its


def test_the_graph_has_the_way_first_and_edges_by_what_a_unit_forces(spreading: Venue):
    desk = calm_desk()
    desk.risk, desk.risk_wanted = spreading.monitor, True
    shown = venue(desk.view()).contagion
    spread = spreading.monitor.contagion.spread
    assert shown.note == ""
    assert [(its.symbol, its.side, its.step) for its in shown.nodes[:2]] == [
        ("X", "long", 0),
        ("Y", "long", 1),
    ]
    rung = next(its for its in spreading.last().rungs if its.move_bps == 100.0)
    assert shown.nodes[0].notional == rung.notional > 0
    way = next(its for its in shown.edges if its.on_path)
    assert (way.source, way.target, way.channel) == (0, 1, "shared accounts")
    assert way.gain == spread.matrix[0, 2]
    assert way.seconds == spread.path[0].seconds
    assert [its.gain for its in shown.edges] == sorted(its.gain for its in shown.edges)[::-1]
    assert shown.radius.p50 == spread.radius.p50 > 1
    assert shown.incident == spreading.monitor.contagion.alert.summary


def test_a_venue_in_which_nothing_spreads_and_one_that_is_not_watched_say_so():
    desk = calm_desk()
    assert "Not watched: that needs a topic of positions" in venue(desk.view()).contagion.note
    desk.risk, desk.risk_wanted = Venue().monitor, True
    assert venue(desk.view()).contagion.note == NOTHING_SPREADS


def test_detectors_of_conduct_are_told_with_what_they_find_or_lack():
    desk = calm_desk()
    shown = venue(desk.view())
    assert shown.conduct == []
    assert "Not watched" in shown.conduct_note
    its = spread_monitor()
    run(its, {0: 140.0}, 5)
    view = replace(desk.view(), conduct=its.conduct)
    (found,) = venue(view).conduct
    assert (found.detector, found.severity, found.missing) == ("spread", "warning", [])
    assert found.incidents == ["X: the price is 140"]
    (lacking,) = venue(replace(view, conduct_missing=its.conduct.missing([]))).conduct
    assert lacking.missing == ["references"]


def test_kill_switches_are_told_with_their_reason_since_when_and_by_whom():
    desk = calm_desk()
    desk.run_to(3)
    assert venue(desk.view()).switches == []
    commanded(desk, "X", "trip", "a test of the gateway")
    commanded(desk, "*", "hold", "an upgrade")
    shown = venue(desk.view())
    assert [(its.symbol, its.state, its.reason, its.by) for its in shown.switches] == [
        ("*", "held", "held by ann: an upgrade", "ann"),
        ("X", "tripped", "tripped by ann: a test of the gateway", "ann"),
    ]
    assert shown.switches[1].since_ms == (BEGIN_NS + 3 * SECOND) // 1_000_000
    assert shown.armed == len(desk.task.switches.memories) - 2 > 0
    of_symbol, _ = detail(desk.view(), desk.history, "X", 0)
    assert of_symbol.killswitch == shown.switches[1]
    elsewhere, _ = detail(desk.view(), desk.history, "ELSEWHERE", 0)
    assert elsewhere.killswitch is None


def test_crowding_is_shown_as_context_and_not_as_an_incident():
    its = spread_monitor()
    crowding = Crowding()
    for symbol, state, score in (("X", "crowded", 40.0), ("Y", "ordinary", 1.0)):
        crowding.readings[symbol] = Reading(1, Sample(0.0, 0.0, 0.0, 0.0), score, state)
    its.conduct.detectors += (crowding,)
    found = venue(replace(calm_desk().view(), conduct=its.conduct)).conduct[-1]
    assert (found.detector, found.severity) == ("crowding", None)
    assert found.incidents == ["X is crowded (context, no alarm)"]
