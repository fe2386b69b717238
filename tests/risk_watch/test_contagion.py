"""The detector `contagion` opens when a run would spread to another symbol, and says how."""

import math

import pytest

from detectors.market_data.book_summary import BookSummary
from detectors.market_data.risk_events import Account
from detectors.risk_watch.co_movement import LEAST_MINUTES, MINUTE_NS, CoMovement
from detectors.risk_watch.contagion import HOLD_NS
from tests.risk_watch.venue import BEGIN, SECOND, cross, margin, position, reference, shared


def spreads(venue):
    return [alert for alert in venue.output.alerts if alert.detector == "contagion"]


def test_it_opens_after_a_minute_with_the_way_and_how_fast():
    venue = shared()
    venue.run(59)
    assert spreads(venue) == []
    venue.run(15)
    (alert,) = spreads(venue)
    assert (alert.symbol, alert.severity, alert.status) == ("*", "warning", "firing")
    assert alert.runbook == "docs/runbook.md#contagion"
    assert alert.score >= 0.8
    assert alert.p_value == pytest.approx(1 - alert.score)
    assert alert.summary.startswith(
        "A fall of X by 0.85 % would set off liquidations of X longs that move it by 2 % or more"
        " and spread to Y longs (1"
    )
    assert "by shared accounts, after " in alert.summary
    assert "doubling in " in alert.summary
    assert "likewise" not in alert.summary  # the impact of sales of Y is not known
    features = {its.feature: its.value for its in alert.evidence}
    assert features["radius"] > 1
    assert features["elsewhere_ratio"] == pytest.approx(0.5)
    assert features["doubling_seconds"] > 0
    assert alert.ts_event - alert.starts_at == 0
    assert alert.starts_at >= BEGIN + 300 * SECOND + HOLD_NS


def test_each_unit_forces_as_much_as_the_positions_and_the_impact_say():
    venue = shared()
    venue.run(20)
    spread = venue.monitor.contagion.spread
    slopes = venue.monitor.learned["X"].impact_slopes("long")
    middle = float(slopes[len(slopes) // 2])
    # All nine accounts go within 0.85 %: 90,000 in each symbol. That moves X by 2 %, not by 4.
    assert middle * 90_000 == pytest.approx(0.026, rel=0.3)
    assert spread.reach == 0.02
    assert spread.matrix[0, 0] == pytest.approx(middle * 90_000 / 0.02)
    assert spread.matrix[0, 2] == pytest.approx(spread.matrix[0, 0])
    assert spread.radius.p50 == pytest.approx(spread.matrix[0, 0], rel=0.1)
    assert spread.channel(0, 2) == "shared accounts"
    assert [spread.name(step.target) for step in spread.path] == ["Y longs"]
    assert spread.doubling_seconds == pytest.approx(
        2 * math.log(2) / math.log(spread.matrix[0, 0]), rel=1e-3
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"y": 3.0},  # what is forced in Y is next to nothing
        {"spare": 0.02},  # the accounts are further away
        {"accounts": 1},  # too few to keep it going
        {"open_interest": 1_500.0},  # a third of the market is not known
    ],
)
def test_it_does_not_open_where_nothing_spreads_or_too_little_is_known(changes):
    venue = shared(**changes)
    venue.run(150)
    assert spreads(venue) == []


def test_it_resolves_when_the_accounts_have_more_behind_them():
    venue = shared()
    venue.run(75)
    for number in range(9):
        venue.take(Account(ts_event=venue.now, account=f"c{number}", collateral_value=3_000.0))
    venue.run(15)
    opened, over = spreads(venue)
    assert over.status == "resolved"
    assert over.alert_id == opened.alert_id
    assert over.ends_at == over.ts_event
    # It may open again.
    for number in range(9):
        venue.take(*cross(f"c{number}", 100.0, 100.0, 0.005, venue.now))
    venue.run(80)
    assert len(spreads(venue)) == 3
    assert spreads(venue)[2].alert_id != opened.alert_id


def test_a_further_symbol_on_the_way_is_told_at_most_once_a_minute():
    venue = shared()
    venue.run(75)
    (opened,) = spreads(venue)
    at = venue.now
    venue.take(margin("Z", at), reference("Z", at, open_interest=900.0))
    for number in range(9):
        venue.take(position(f"c{number}", 100.0, 0.5, symbol="Z", at=at, margin=None,
                            margin_mode="cross"))  # fmt: skip
        venue.take(Account(ts_event=at, account=f"c{number}", collateral_value=349.5))
    venue.run(30)
    assert spreads(venue) == [opened]
    venue.run(60)
    opened, worse = spreads(venue)
    assert (worse.reason, worse.update, worse.status) == ("worse", 1, "firing")
    assert worse.alert_id == opened.alert_id
    assert worse.opening == opened.summary
    assert "Z longs" in worse.summary


def eased(venue):
    """Half of the accounts get more collateral after a while, and the others still later."""
    venue.run(80)
    for begin, stop in ((0, 5), (5, 9)):
        for number in range(begin, stop):
            venue.take(Account(ts_event=venue.now, account=f"c{number}", collateral_value=3_000.0))
        venue.run(80)
    return venue


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_successor_repeats_nothing_and_keeps_the_incident(known):
    first = spreads(eased(shared()))
    assert [alert.status for alert in first] == ["firing", "resolved"]
    successor = eased(shared(told=first[:known]))
    assert spreads(successor) == first[known:]
    assert successor.monitor.open_alerts == [
        its.alert for its in successor.monitor.cascades.values() if its.alert is not None
    ]


def test_an_open_incident_is_among_the_open_alerts():
    venue = shared()
    venue.run(80)
    assert spreads(venue)[0] in venue.monitor.open_alerts


def test_two_runs_give_the_same_alerts():
    first, second = shared(), shared()
    for venue in (first, second):
        venue.run(120)
    assert spreads(first) == spreads(second) != []


def summary(mid):
    fields = dict.fromkeys(BookSummary.__struct_fields__, 0.0)
    return BookSummary(**{**fields, "mid": mid, "bid_depth": [], "ask_depth": []})


def test_betas_need_minutes_and_follow_the_returns():
    together = CoMovement()
    price = 100.0
    for minute in range(LEAST_MINUTES + 1):
        assert (together.betas(["X", "Y"]) is None) == (minute < LEAST_MINUTES + 1)
        price *= 1.001 if minute % 2 else 0.998
        together.add(minute * MINUTE_NS, {"X": summary(price), "Y": summary(price**2)})
    found = together.betas(["X", "Y"])
    assert found.falls[0, 1] == pytest.approx(2)
    assert found.falls[1, 0] == pytest.approx(0.5)
    assert together.betas(["X"]).falls.tolist() == [[1.0]]


def test_the_lag_is_that_of_the_follower():
    together = CoMovement()
    prices = [100.0 + (7 * n * n % 13) for n in range(200)]
    for second in range(2, 200):
        together.add(
            BEGIN + second * SECOND,
            {"X": summary(prices[second]), "Y": summary(prices[second - 2])},
        )
    assert together.lag("X", "Y").lag_seconds == 2
    assert together.lag("Y", "X").lag_seconds == -2
    assert together.lag("X", "nobody").correlation == 0


def test_a_way_that_leads_back_is_told():
    venue = shared()
    learned = venue.monitor.learned
    learned["Y"] = learned["X"]
    venue.run(75)
    (alert,) = spreads(venue)
    assert "A fall of Y would spread to X longs likewise (" in alert.summary
    across = [edge for edge in venue.monitor.contagion.spread.edges if edge.source != edge.target]
    assert across
    assert "The link that keeps it going across symbols is X longs to Y longs" in alert.summary
