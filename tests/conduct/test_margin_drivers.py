"""What precedes changes of margins: their trigger is inferred, or said to be unknown."""

import math
import random

import pytest

from detectors.conduct.margin_change import MarginChange
from detectors.fairness.margin_drivers import MOST_CHANGES, MOST_SAMPLES, Past, drivers_of
from detectors.fairness.margin_history import Change
from detectors.market_data.events import Margin, Reference
from tests.conduct.market import Market
from tests.risk_watch.venue import BEGIN, margin

MINUTE = 60_000_000_000


class Hours:
    """A symbol minute by minute; a volatility, a depth and an open interest last until changed."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.past = Past()
        self.now = BEGIN
        self.mid, self.rate = 100.0, 0.01
        self.told = None

    def pass_by(self, minutes, *, volatility=1e-3, depth=1e6, interest=1e3, forced=0.0):
        for _ in range(minutes):
            self.now += MINUTE
            self.mid *= math.exp(self.random.gauss(0.0, volatility))
            self.past.open_interest = interest * self.random.uniform(0.9, 1.1)
            half = depth * self.random.uniform(0.45, 0.55)
            self.past.add(self.now, self.mid, depth=2.0 * half, forced=forced)

    def change(self, ratio, declared=None):
        before, self.rate = self.rate, self.rate * ratio
        step = Change("X", "maintenance_margin_rate", before, self.rate, self.now, self.now)
        its = self.past.observe(self.now, [step])
        self.told = drivers_of(its, self.past.observations, declared)
        return self.told


def test_margins_that_follow_volatility_are_told_from_those_that_follow_the_book():
    its, other = Hours(), Hours()
    its.pass_by(90)
    other.pass_by(90)
    for _ in range(3):
        its.pass_by(60, volatility=5e-3)
        its.change(1.5)
        its.pass_by(150)
        its.change(1.0 / 1.5)
        other.pass_by(60, depth=2e5)
        other.change(1.5)
        other.pass_by(150)
        other.change(1.0 / 1.5)
    assert (its.told.trigger, its.told.changes) == ("volatility", 6)
    assert its.told.follows_trigger
    assert its.told.volatility_correlation > 0.9
    assert its.told.trigger_p_value < 0.01 / 3
    assert other.told.trigger == "depth"
    assert other.told.depth_rank > 0.3  # deep again


def test_changes_that_nothing_precedes_are_unexplained_and_few_ones_are_too_few():
    its = Hours()
    assert its.change(1.1).trigger is None  # nothing is known yet
    its.pass_by(90)
    for _ in range(3):
        its.pass_by(70)
        assert its.change(1.1).trigger == "too_few"
        assert its.told.return_correlation is None
    for number in range(6):
        its.pass_by(70)
        its.change(1.1 if number % 2 else 1.0 / 1.1)
    assert its.told.trigger == "unexplained"
    assert its.told.follows_trigger is None


def test_random_changes_are_seldom_explained():
    explained = 0
    for seed in range(60):
        its = Hours(seed)
        its.pass_by(90)
        for _ in range(6):
            its.pass_by(61, volatility=its.random.choice([1e-3, 3e-3]))
            its.change(its.random.choice([1.2, 1.0 / 1.2]))
        explained += its.told.trigger != "unexplained"
    assert explained <= 5  # at 3 % above 5 is one in a hundred runs


def test_many_steps_of_one_decision_count_once():
    its = Hours()
    its.pass_by(200)
    its.pass_by(40, volatility=5e-3)
    for _ in range(8):
        its.pass_by(2, volatility=5e-3)
        its.change(1.1)
    assert (its.told.changes, its.told.trigger) == (1, "too_few")


def test_a_loop_feeds_on_itself_only_if_forced_flow_and_volatility_lie_between_the_rises():
    its, calm = Hours(), Hours()
    its.pass_by(60)
    calm.pass_by(60)
    for number in range(5):
        its.change(math.exp(0.05 * 1.5**number))
        its.pass_by(20, volatility=1e-3 * 2.0 ** (number + 1), forced=1e5)
        calm.change(math.exp(0.05 * 1.5**number))
        calm.pass_by(20, volatility=1e-3 * 2.0 ** (number + 1))
    assert its.told.loop_gain == pytest.approx(1.5)
    assert calm.told.loop_gain == 0.0


def test_the_memory_of_a_symbol_is_bounded():
    its = Hours()
    its.pass_by(3 * MOST_SAMPLES)
    for _ in range(2 * MOST_CHANGES):
        its.pass_by(1)
        its.change(1.01)
    assert its.past._samples.nbytes < 4_096
    assert len(its.past.observations) == MOST_CHANGES


def changed(trigger, rate, **fields):
    """A minute of changes after forty minutes in which the volatility has just become high."""
    detector = MarginChange(trigger=trigger)
    its = Market(detector)
    hours = Hours()
    hours.pass_by(100)
    hours.pass_by(40, volatility=5e-3)
    detector._pasts["X"] = hours.past
    its.run(3)
    its.take(
        margin(
            at=its.now, maintenance_margin_rate=rate, announced_at=its.now,
            effective_at=its.now + 10 * MINUTE, **fields,
        )
    )  # fmt: skip
    its.run(2)
    return its


def test_a_change_that_does_not_follow_the_declared_trigger_alarms():
    its = changed("volatility", 0.008)
    (alert,) = its.output.alerts
    assert "does not follow the declared volatility" in alert.summary
    drivers = its.output.statements[-1].record.drivers
    assert (drivers.declared_trigger, drivers.follows_trigger) == ("volatility", False)
    assert drivers.volatility_rank > 0.9


def test_a_change_that_follows_it_and_one_without_a_declaration_do_not():
    assert changed("volatility", 0.011).output.alerts == []
    its = changed(None, 0.008)
    assert its.output.alerts == []
    assert its.output.statements[-1].record.drivers.follows_trigger is None


def test_the_open_interest_comes_from_references():
    detector = MarginChange()
    detector.take(Reference(ts_event=1, symbol="X", mark_price=1.0, open_interest=7.0), None)
    assert detector._pasts["X"].open_interest == 7.0
    detector.take(Margin(ts_event=1, symbol="Y", max_leverage=5.0), None)
    assert "Y" not in detector._pasts
