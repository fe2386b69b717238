"""The suppression rules and windows of a team, and that they suppress no other alarms."""

import math
import re

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.incidents.suppression import (
    REOPENING_NS,
    WEEK_NS,
    Limits,
    Override,
    Suppression,
    Window,
    budget_per_day,
    direction,
    limits,
    relative_deviation,
    suppressed_because,
)
from detectors.incidents.symbol_incidents import PERSISTENT_BARS
from detectors.judging.surprise import Contribution
from detectors.kill_switch.machine import COOLING_NS
from detectors.kill_switch.switch import Switch
from detectors.parameters import Parameters
from detectors.scorer import Measured, Reading
from detectors.symbol import SymbolMonitor
from service.pipeline.switches import conditions_of

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MONDAY = 1_767_571_200 * SECOND  # 2026-01-05T00:00:00Z
QUIET = 5 * SECOND

CANCEL_BURST, LEVERAGE_JUMP, THIN_BOOK = CATALOGUE[:3]


def top(feature, value, expected):
    return Contribution(feature, value, expected, 1.0)


def window(begins_ns=MONDAY, length_ns=HOUR, *, weekly=False, **more):
    return Window(
        symbols=more.pop("symbols", ("*",)),
        begins_ns=(begins_ns,),
        length_ns=length_ns,
        weekly=weekly,
        reason="upgrade",
        **more,
    )


# Rules.


def test_a_share_deviates_by_a_share_of_what_was_expected():
    assert relative_deviation(LEVERAGE_JUMP, top("share", 0.3, 0.2)) == pytest.approx(0.5)


def test_a_rate_of_which_nothing_was_expected_has_still_a_measure():
    assert relative_deviation(LEVERAGE_JUMP, top("share", 0.02, 0.0)) == pytest.approx(2)


def test_a_logarithm_deviates_as_what_it_is_the_logarithm_of():
    twice = top("spread", math.log(8.0), math.log(4.0))
    assert relative_deviation(THIN_BOOK, twice) == pytest.approx(1.0)


def test_half_the_depth_deviates_as_much_as_twice_the_cost():
    half = top("shallow_near", math.log(2.0), 0.0)
    assert relative_deviation(THIN_BOOK, half) == pytest.approx(1.0)


def test_the_greatest_deviation_is_a_number():
    assert math.isfinite(relative_deviation(THIN_BOOK, top("spread", 1e6, 0.0)))


def test_an_alarm_must_reach_the_least_deviation():
    at_least = Limits(min_relative_deviation=0.5)
    small, enough = (top("share", value, 0.5) for value in (0.74, 0.75))
    why = suppressed_because(at_least, LEVERAGE_JUMP, small, MONDAY)
    assert why == ("min_relative_deviation", "below min_relative_deviation 0.5")
    assert suppressed_because(at_least, LEVERAGE_JUMP, enough, MONDAY) is None


def test_less_depth_is_a_fall_and_more_leverage_a_rise():
    shallow, dearer = top("shallow_near", 1.0, 0.1), top("spread", 3.0, 1.0)
    leverage = top("leverage_over_habit", 0.4, 0.0)
    assert direction(THIN_BOOK, shallow) == "fall"
    assert direction(THIN_BOOK, dearer) == "rise"
    assert direction(LEVERAGE_JUMP, leverage) == "rise"
    assert direction(LEVERAGE_JUMP, top("share", 0.1, 0.4)) == "fall"


@pytest.mark.parametrize(
    ("only", "feature", "kind"),
    [
        ("rise", "shallow_near", "direction"),
        ("rise", "spread", None),
        ("fall", "shallow_near", None),
        ("fall", "spread", "direction"),
        ("either", "shallow_near", None),
        ("either", "spread", None),
    ],
)
def test_only_one_direction_is_an_alarm_where_a_rule_says_so(only, feature, kind):
    why = suppressed_because(Limits(only=only), THIN_BOOK, top(feature, 2.0, 0.0), MONDAY)
    assert (why and why.kind) == kind
    assert why is None or why.reason == f"not a {only}"


def test_what_alerts_call_less_is_a_fall_and_what_they_call_times_a_logarithm():
    for detector in CATALOGUE:
        assert detector.logarithms <= set(detector.phrases)
        assert detector.turned <= set(detector.phrases)
        for feature, words in detector.phrases.items():
            assert ("less than" in words) == (feature in detector.turned), feature
            if re.search(r"\{(times|level)", words):
                assert feature in detector.logarithms


def test_a_rule_is_for_the_symbols_and_detectors_that_it_names():
    rule = Override(symbols=("BTC-*", "ETH-PERP"), detectors=("thin_book",), only="fall")
    suppression = Suppression((rule,))
    assert limits(suppression, "BTC-PERP", "thin_book").only == "fall"
    assert limits(suppression, "ETH-PERP", "thin_book").only == "fall"
    assert limits(suppression, "ETH-PERP", "cancel_burst") == Limits()
    assert limits(suppression, "ETH-PERP-2", "thin_book") == Limits()
    assert limits(suppression, "btc-perp", "thin_book") == Limits()


def test_the_last_rule_that_sets_a_value_wins_and_leaves_the_others():
    suppression = Suppression(
        (
            Override(symbols=("*",), min_relative_deviation=0.2, false_alarms_per_day=2.0),
            Override(symbols=("BTC-*",), only="rise", min_relative_deviation=0.5),
            Override(symbols=("BTC-PERP",), only="either", false_alarms_per_day=0.1),
        )
    )
    assert limits(suppression, "BTC-PERP", "thin_book") == Limits(0.5, "either")
    assert limits(suppression, "BTC-JUN", "thin_book") == Limits(0.5, "rise")
    assert limits(suppression, "ETH-PERP", "thin_book") == Limits(0.2, "either")
    budgets = [budget_per_day(suppression, s, 1.0) for s in ("BTC-PERP", "BTC-JUN", "ETH-PERP")]
    assert budgets == [0.1, 2.0, 2.0]
    assert budget_per_day(Suppression(), "BTC-PERP", 1.0) == 1.0


def test_a_symbols_budget_is_what_its_statistics_share():
    rule = Override(symbols=("A",), false_alarms_per_day=0.3)
    parameters = Parameters(false_alarms_per_day=1.0, suppression=Suppression((rule,)))
    a, b = (SymbolMonitor(name, parameters, CATALOGUE, Counts()) for name in ("A", "B"))
    for monitor, budget in ((a, 0.3), (b, 1.0)):
        statistics = sum(len(scorer.detector.statistics) for scorer in monitor.scorers)
        shares = {scorer.budget_per_day for scorer in monitor.scorers}
        # Alarms of several statistics coincide: their sum may be larger than the budget.
        assert max(shares) == min(shares) == pytest.approx(budget / (0.6 * statistics))


# Windows.


def test_a_window_begins_with_its_first_moment_and_ends_before_its_last():
    once = window(MONDAY + HOUR, HOUR)
    moments = (HOUR - 1, HOUR, 2 * HOUR - 1, 2 * HOUR, WEEK_NS + HOUR)
    assert [once.covers(MONDAY + at) for at in moments] == [False, True, True, False, False]


def test_a_weekly_window_comes_back_every_week_and_on_no_other_day():
    weekly = window(2 * HOUR, HOUR, weekly=True)  # the epoch's weekday
    thursday = MONDAY + 3 * DAY
    assert weekly.covers(thursday + 2 * HOUR)
    assert weekly.covers(thursday + 5 * WEEK_NS + 3 * HOUR - 1)
    assert not weekly.covers(thursday + 3 * HOUR)
    assert not any(weekly.covers(thursday + day * DAY + 2 * HOUR) for day in range(1, 7))


def test_a_weekly_window_may_cross_midnight_and_the_week():
    weekly = window(MONDAY + 7 * DAY - HOUR, 2 * HOUR, weekly=True)  # from Sunday, 23:00
    for week in (-1, 0, 1, 52):
        monday = MONDAY + week * WEEK_NS
        moments = (-HOUR - 1, -HOUR, -1, 0, HOUR - 1, HOUR)
        covered = [weekly.covers(monday + at) for at in moments]
        assert covered == [False, True, True, True, True, False]


def test_a_window_comes_before_the_rules_and_tells_its_reason():
    its = Limits(min_relative_deviation=9.0, only="fall", windows=(window(),))
    dearer = top("spread", 2.0, 1.0)
    why = suppressed_because(its, THIN_BOOK, dearer, MONDAY)
    assert why == ("maintenance", "maintenance: upgrade")
    after = MONDAY + HOUR + REOPENING_NS
    assert suppressed_because(its, THIN_BOOK, dearer, after - 1) == why
    assert suppressed_because(its, THIN_BOOK, dearer, after).kind == "direction"


def test_a_window_is_for_the_symbols_and_detectors_that_it_names():
    for_one = window(symbols=("BTC-*",), detectors=("cancel_burst",))
    suppression = Suppression((), (for_one,))
    assert limits(suppression, "BTC-PERP", "cancel_burst").windows == (for_one,)
    assert limits(suppression, "BTC-PERP", "thin_book").windows == ()
    assert limits(suppression, "ETH-PERP", "cancel_burst").windows == ()


# The effects of a suppressed alarm.


class Player:
    """A symbol whose detectors alarm in the bars that a test chooses."""

    def __init__(self, *windows, overrides=()):
        parameters = Parameters(quiet_ns=QUIET, suppression=Suppression(overrides, windows))
        self.counts = Counts()
        self.monitor = SymbolMonitor("S", parameters, CATALOGUE, self.counts)
        self.bar = MONDAY
        self.alerts = []
        self.switch = Switch(self.monitor.symbol)
        self.switches = []

    def play(self, bars, *alarmed):
        """Close some bars in which the named detectors alarm; return the last signal."""
        monitor = self.monitor
        monitor.columns.scorers = _PresetScorers(monitor.columns.scorers.detectors, alarmed)
        for _ in range(bars):
            self.bar += SECOND
            signal, alerts = monitor.close_bar(self.bar)
            self.alerts += [(alert.status, alert.severity) for alert in alerts]
            conditions = conditions_of(monitor, self.bar)
            records = self.switch.observe(conditions, self.bar)
            self.switches += [its.state for its in records if its.cause == "transition"]
        return signal


class _PresetScorers:
    """Scorers with preset readings."""

    def __init__(self, detectors, alarmed):
        self.detectors = detectors
        self.preset = {its.name: self.reading(its, its.name in alarmed) for its in detectors}

    def reading(self, detector, alarm):
        feature = next(iter(detector.phrases))
        why = [top(feature, 3.0, 1.0)] if alarm else []
        return Reading("scoring", {feature: 3.0}, 9.0, 1e-9, alarm, why)

    def measure(self, _bar):
        return Measured([], [], [])

    def step_many(self, _rows, _numbers, _measured):
        return None

    def readings(self, _measured, _verdict):
        return dict(self.preset)

    def of(self, _row):
        return []  # they charge nothing


def test_a_suppressed_alarm_opens_nothing_and_is_marked():
    player = Player(window(MONDAY, 20 * SECOND))
    signal = player.play(20, "cancel_burst", "thin_book")
    assert player.alerts == []
    assert player.switches == []
    marked = signal.detectors["cancel_burst"]
    assert (marked.alarm, marked.suppressed) == (True, "maintenance: upgrade")
    assert signal.detectors["leverage_jump"].suppressed is None
    assert signal.stress_ratio == 1.0
    assert player.counts.suppressed_alarms == {
        ("cancel_burst", "maintenance"): 20,
        ("thin_book", "maintenance"): 20,
    }


def test_the_end_of_a_window_is_a_reopening_and_a_minute_later_alarms_count_again():
    player = Player(window(MONDAY, 20 * SECOND))
    player.play(20, "thin_book")
    signal = player.play(60, "thin_book")
    assert signal.detectors["thin_book"].suppressed == "maintenance: upgrade"
    assert player.alerts == []
    signal = player.play(1, "thin_book")
    assert player.alerts == [("firing", "warning")]
    assert signal.detectors["thin_book"].suppressed is None


def test_an_incident_that_is_open_when_a_window_begins_resolves_by_its_quiet_time():
    player = Player(window(MONDAY + 3 * SECOND, 60 * SECOND))
    player.play(3, "thin_book")
    player.play(4, "thin_book", "cancel_burst")
    assert player.alerts == [("firing", "warning")]
    player.play(1, "thin_book", "cancel_burst")
    assert player.alerts == [("firing", "warning"), ("resolved", "warning")]
    assert player.monitor.incidents.open is None


def test_suppressed_alarms_do_not_make_an_incident_critical():
    other = Override(symbols=("S",), detectors=("thin_book",), only="rise")
    player = Player(window(detectors=("cancel_burst",)), overrides=(other,))
    player.play(1, "leverage_jump")
    player.play(PERSISTENT_BARS, "thin_book", "cancel_burst")
    assert ("firing", "critical") not in player.alerts
    assert player.counts.suppressed_alarms["thin_book", "direction"] == PERSISTENT_BARS


def test_suppressed_alarms_do_not_prolong_the_state_of_the_kill_switch():
    player = Player(window(MONDAY + SECOND, 600 * SECOND))
    player.play(1, "thin_book", "cancel_burst")
    assert player.switches == ["reduce_only"]
    waits = (player.monitor.incidents.quiet_ns + COOLING_NS) // SECOND
    player.play(waits - 1, "thin_book", "cancel_burst")
    assert player.switches == ["reduce_only"]
    player.play(1, "thin_book", "cancel_burst")
    assert player.switches == ["reduce_only", "armed"]
