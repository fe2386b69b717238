"""What a report is made of while a replay goes on."""

import pytest

from service.pipeline.output import Output
from service.report import collect
from service.report.collect import Collected
from service.report.page import page, rank
from service.report.sections import About, verdict
from service.report.summary import Summary
from service.settings.types import Settings
from tests.steps import alert, bar

ABOUT = About("day", Summary("day"), Settings(), {})


def test_beyond_the_bound_only_a_stressed_symbol_takes_the_place_of_the_calmest(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(collect, "SERIES", 3)
    its = Collected(10**9)
    for symbol, stress in (("A", 0.2), ("B", 0.1), ("C", None), ("CALM", 0.5)):
        its.take(bar(symbol, 1, stress=stress))
    assert set(its.series) == {"A", "B", "C"}
    its.take(bar("C", 2, stress=0.95))
    its.take(bar("B", 2, stress=0.3))
    its.take(bar("STRESSED", 3, stress=0.91))
    assert set(its.series) == {"B", "C", "STRESSED"}, "A was the calmest"
    its.take(bar("ANOTHER", 4, stress=0.92))
    its.take(bar("THIRD", 4, stress=0.93))
    assert set(its.series) == {"ANOTHER", "C", "THIRD"}
    its.take(bar("LESS", 5, stress=0.915))
    assert set(its.series) == {"ANOTHER", "C", "THIRD"}, "none is calmer"


def test_what_is_found_against_a_feed_is_no_incident_of_the_market():
    its = Collected(10**9)
    its.take(bar("S", 1, stress=0.3))
    its.take(bar("T", 1, stress=0.2))
    feed = {"detector": "feed_integrity", "severity": "critical", "summary": "T: frozen"}
    its.take(Output(alerts=[alert(1), alert(2, symbol="T", **feed)]))
    said = verdict(its, ABOUT)
    assert "1 incident in 1 symbol, 0 critical" in said
    assert "The feed of 1 symbol was unreliable" in said
    assert [summary.symbol for summary in rank(its)] == ["S", "T"]
    assert "feed, critical" in page(its, ABOUT), "it is listed, as what it is"
