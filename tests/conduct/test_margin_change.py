"""`margin_change`: a change says what it would liquidate before it does; silent ones alarm."""

import pytest

from detectors.conduct import margin_change
from detectors.conduct.margin_change import MarginChange
from detectors.conduct.parameter_change import effects
from service.presentation.phrases import describe_feature
from tests.conduct.market import Market
from tests.risk_watch.venue import BEGIN, SECOND, crowd, margin, position

HOUR = 3_600 * SECOND


def market(**promised):
    """Longs of 500 with margins of 1.5 % of notional, and 500 that are safe."""
    its = Market(MarginChange(**promised))
    # A fall of 0.5 % liquidates them: their margin is about 1.5 %, half a per cent above 1 %.
    its.take(position("s", -1_000.0, 0.5), position("l", 500.0, 0.5), *crowd(500.0, 0.005))
    its.run(3)
    return its


def change(its, rate, notice=None, **fields):
    """Announce another maintenance rate; without a notice it holds at once."""
    if notice is not None:
        fields |= {"announced_at": its.now, "effective_at": its.now + notice * SECOND}
    its.take(margin(at=its.now, maintenance_margin_rate=rate, **fields))
    its.run(2)
    return its.output.statements[-1].record


def test_a_raise_tells_before_its_effect_whom_it_would_liquidate():
    its = market()
    record = change(its, 0.02, notice=600, reason="volatility")
    assert (record.notice_seconds, record.is_silent, record.reason) == (600.0, False, "volatility")
    assert record.moves_liquidations
    assert record.at_once_accounts == 20
    assert record.at_once_ratio == pytest.approx(0.5, rel=0.02)
    assert [(v.name, v.before, v.after) for v in record.values] == [
        ("maintenance_margin_rate", 0.01, 0.02)
    ]
    (alert,) = its.output.alerts
    assert "takes effect in 59" in alert.summary
    assert "20 accounts" in alert.summary
    assert alert.symbol == "X"
    words = [describe_feature(its.detector, its.feature, its.value, 0.0) for its in alert.evidence]
    assert words[1] == "20 accounts are below it"


def test_the_alert_follows_accounts_that_add_collateral_and_ends_after_the_effect():
    its = market()
    change(its, 0.02, notice=600)
    its.take(*[position(str(n), 25.0, 0.2, at=its.now) for n in range(20)])
    its.run(120)
    assert its.alerts()[-1][0] == "firing"  # nobody is liquidated any more
    its.run(600)
    assert its.alerts()[-1][0] == "resolved"
    assert len(its.output.statements) == 1  # a record is published once


def test_a_change_that_liquidates_nobody_is_a_record_and_no_alarm():
    its = market()
    record = change(its, 0.008, notice=600)
    assert (record.at_once_accounts, record.at_once_notional) == (0, 0.0)
    record = change(its, 0.008, notice=600, initial_margin_rate=0.05)
    assert not record.moves_liquidations
    assert its.output.alerts == []


def test_a_silent_change_alarms_and_counts_against_the_margins_before():
    its = market()
    record = change(its, 0.02)
    assert record.is_silent
    assert record.announced_at is None
    assert record.at_once_accounts == 20
    (alert,) = its.output.alerts
    assert alert.severity == "critical"
    assert "announced by nobody" in alert.summary


def test_less_notice_than_the_venue_promises_is_silent():
    its = market(notice_seconds=3_600.0)
    assert not change(its, 0.009, notice=3_600).is_silent
    assert its.output.alerts == []
    assert change(its, 0.012, notice=600).is_silent
    assert "with only 600 s notice" in its.output.alerts[0].summary


def test_a_silent_rounding_and_a_repeated_record_do_not_alarm():
    its = market()
    change(its, 0.0101)
    before = len(its.output.statements)
    its.take(margin(at=its.now, maintenance_margin_rate=0.0101))
    its.run(2)
    assert len(its.output.statements) == before == 1
    assert its.output.alerts == []


def test_margins_that_go_up_and_down_alarm_at_the_third_turn():
    its = market()
    for number, rate in enumerate((0.0105, 0.0098, 0.0105, 0.0098)):
        assert its.output.alerts == []
        record = change(its, rate, notice=2)
        assert record.turns == number
        its.run(10)
    (alert,) = its.output.alerts
    assert "changed direction 3 times within a day" in alert.summary


def test_turns_of_another_day_do_not_count():
    its = market()
    for rate in (0.0105, 0.0098, 0.0105):
        change(its, rate, notice=2)
    its.now = BEGIN + 25 * HOUR
    assert change(its, 0.0098, notice=2).turns == 0


def test_the_first_margins_of_a_symbol_are_no_change():
    its = market()
    assert its.output.statements == []


def test_changes_that_take_effect_together_are_computed_together():
    its = market()
    its.take(margin("Y", at=its.now))
    its.run(1)
    at = {"announced_at": its.now, "effective_at": its.now + 60 * SECOND}
    its.take(
        margin("X", at=its.now, maintenance_margin_rate=0.02, **at),
        margin("Y", at=its.now, maintenance_margin_rate=0.02, **at),
    )
    its.run(2)
    found = {each.symbol: each.record.at_once_notional for each in its.output.statements}
    assert found["X"] > 0.0
    assert found["Y"] == 0.0
    assert len({each.key for each in its.output.statements}) == 2


def test_waiting_changes_of_one_moment_are_computed_again_together(monkeypatch):
    its = market()
    its.take(margin("Y", at=its.now))
    its.run(1)
    at = {"announced_at": its.now, "effective_at": its.now + 100 * SECOND}
    for symbol in ("X", "Y"):
        its.take(margin(symbol, at=its.now, maintenance_margin_rate=0.02, **at))
    computed = []

    def counted(changes, venue):
        computed.append(len(changes))
        return effects(changes, venue)

    monkeypatch.setattr(margin_change, "effects", counted)
    its.run(120)
    # Each time a tenth of what is left, at least 10 s: for the first time with the announcement.
    assert set(computed) == {2}
    assert 8 <= len(computed) <= 11
