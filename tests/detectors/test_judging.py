"""Baselines, tails and the bound on alarms: what an episode may change, and what it may not."""

import math
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.judging.baseline import Baselines, BaselineState
from detectors.judging.controller import HIGHEST, STEP, Controllers
from detectors.judging.robust_tails import FIRST, RobustTails, Statistic
from detectors.judging.tail import Tails, TailState
from detectors.scorer import OFTEN
from detectors.table import Writes
from tests.detectors import scalar

DAY = 86_400
BUDGET = 0.1


YES = np.array([[True]])


class Tail:
    """A tail of one statistic of one symbol."""

    def __init__(self, unit, block_bars):
        self.columns = Tails([unit], block_bars)
        self.columns.resize(1)

    def learn(self, value):
        with Writes() as writes:
            self.columns.learn_many(FIRST, np.array([[value]]), YES, writes)

    def per_day(self, value):
        return float(self.columns.per_day_many(FIRST, np.array([[value]]))[0, 0])

    def threshold(self, per_day):
        return self.columns.threshold(0, 0, per_day)

    @property
    def warming_up(self):
        return self.columns.warming_up(0, slice(None))

    def state(self):
        return self.columns.state(0, 0)

    def restore(self, state):
        self.columns.restore(0, 0, state)


class Baseline:
    """A baseline of one statistic of one symbol."""

    def __init__(self, kind):
        self.columns = Baselines([kind])
        self.columns.resize(1)

    def learn(self, value):
        with Writes() as writes:
            self.columns.learn_many(FIRST, np.array([[value]]), YES, writes)

    def learned(self):
        return float(self.columns.usual[0, 0]), float(self.columns.noise[0, 0])

    def state(self):
        return self.columns.state(0, 0)

    def restore(self, state):
        self.columns.restore(0, 0, state)


class Controller:
    """The controller of one statistic of one symbol."""

    def __init__(self, quiet_bars):
        self.columns = Controllers(1, quiet_bars)
        self.columns.resize(1)

    @property
    def in_run(self):
        return self.columns.in_run(0, 0)

    @property
    def bar(self):
        return float(self.columns.bar[0, 0])

    def credit(self):
        return self.columns.credit(0, 0)

    def debit(self, taken):
        self.columns.debit(0, 0, taken)

    def step(self, per_day, budget_per_day, budget_per_bar):
        """Let a bar pass; return whether it is an alarm."""
        budget = np.array([budget_per_day])
        alarms = self.columns.alarms_many(FIRST, np.array([[per_day]]), YES, budget)
        with Writes() as writes:
            self.columns.step_many(FIRST, alarms, np.array([budget_per_bar]), writes)
        return bool(alarms[0, 0])

    def skip(self, bars, budget_per_bar):
        """Let bars pass in which nothing is judged."""
        self.columns.skip_many(FIRST, np.array([bars]), np.array([budget_per_bar]))


def taught(seconds, *, every=None, value=0.0, lasting=30, seed=1):
    """A tail of noise, with an episode of a value every so often."""
    noise = random.Random(seed)
    tail = Tail(unit=0.1, block_bars=6)
    for second in range(seconds):
        in_episode = every is not None and second % every < lasting and second >= every
        tail.learn(value if in_episode else noise.expovariate(1.0))
    return tail


def test_twenty_episodes_leave_the_threshold_where_it_was():
    calm = taught(16 * 3_600).threshold(BUDGET)
    disturbed = taught(16 * 3_600, every=2_880, value=60.0).threshold(BUDGET)
    assert disturbed == pytest.approx(calm, rel=0.2)
    assert disturbed < 60.0


def test_what_comes_every_five_minutes_is_usual_within_an_hour():
    tail = taught(3_600)
    assert tail.per_day(40.0) < BUDGET
    for second in range(3_600):
        tail.learn(40.0 if second % 300 == 0 else 0.5)
    assert tail.per_day(40.0) > BUDGET


def test_the_threshold_is_near_the_highest_score_of_a_calm_hour():
    noise = random.Random(3)
    scores = [noise.expovariate(1.0) for _ in range(3_600)]
    tail = Tail(unit=0.1, block_bars=6)
    for score in scores:
        tail.learn(score)
    assert tail.threshold(1.0) < 2.0 * max(scores)


@given(st.lists(st.floats(0.0, 1e6), max_size=400), st.integers(1, 30))
def test_a_threshold_is_what_so_many_blocks_a_day_reach(values, block_bars):
    tail = Tail(unit=0.5, block_bars=block_bars)
    for value in values:
        tail.learn(value)
    for per_day in (0.001, 0.1, 1.0):
        assert tail.per_day(tail.threshold(per_day)) == pytest.approx(per_day, rel=1e-6)


@given(st.lists(st.floats(-1e6, 1e6), max_size=900), st.integers(0, 900))
def test_a_tail_and_a_baseline_continue_from_any_snapshot(values, cut):
    always, tail = Tail(0.1, 6), Tail(0.1, 6)
    usual, baseline = Baseline("count"), Baseline("count")
    for value in values[:cut]:
        for its in (always, tail, usual, baseline):
            its.learn(value)
    saved = msgspec.msgpack.encode((tail.state(), baseline.state()))
    states = msgspec.msgpack.decode(saved, type=tuple[TailState, BaselineState])
    tail, baseline = Tail(0.1, 6), Baseline("count")
    tail.restore(states[0])
    baseline.restore(states[1])
    for value in values[cut:]:
        for its in (always, tail, usual, baseline):
            its.learn(value)
    assert (tail.threshold(1.0), tail.warming_up) == (always.threshold(1.0), always.warming_up)
    assert baseline.learned() == usual.learned()


def runs_of(rates, budget_per_day, bars_per_day):
    """How many runs of alarms a controller admits."""
    controller = Controller(quiet_bars=5)
    runs = 0
    for per_day in rates:
        in_run = controller.in_run
        alarm = controller.step(per_day, budget_per_day, budget_per_day / bars_per_day)
        runs += alarm and not in_run
    return runs


rates = st.lists(
    st.one_of(st.floats(1e-30, 1e4), st.sampled_from([1e-30, 1e4])), min_size=1, max_size=600
)


@given(rates, st.floats(0.01, 100.0), st.sampled_from([100, 1_000, DAY]))
def test_no_sequence_raises_more_alarms_than_the_bound(its, budget_per_day, bars_per_day):
    days = len(its) / bars_per_day
    bound = budget_per_day * days + (HIGHEST + STEP) / STEP
    assert runs_of(its, budget_per_day, bars_per_day) <= bound


def test_the_fourth_run_in_short_order_is_told_as_often():
    """A budget of one alarm in ten days, a run every ten minutes: the bar hardly falls."""
    controller = Controller(quiet_bars=300)
    budget_per_day = 0.1
    told = []
    for bar in range(3_600):
        before = controller.bar
        rare = bar % 600 == 0
        alarm = controller.step(1e-30 if rare else 1e4, budget_per_day, budget_per_day / DAY)
        assert alarm == rare
        if before < OFTEN <= controller.bar:
            told.append(bar // 600 + 1)
    assert told == [4]


def test_an_adversary_gets_the_bound_and_no_more():
    """Every tenth bar is as rare as can be, for a hundred days."""
    sequence = [1e-30 if bar % 10 == 0 else 1e4 for bar in range(100_000)]
    runs = runs_of(sequence, 1.0, 1_000)
    assert 100 <= runs <= 100 + math.ceil((HIGHEST + STEP) / STEP)


@given(
    rates,
    st.lists(st.sampled_from(["true", "false", "wait"]), min_size=1, max_size=200),
    st.floats(0.01, 100.0),
    st.sampled_from([100, 1_000, DAY]),
)
def test_the_bound_holds_for_the_runs_that_nobody_confirmed(
    its, verdicts, budget_per_day, bars_per_day
):
    """After each bar an operator judges the last run, perhaps again, or waits."""
    controller = Controller(quiet_bars=5)
    runs: list[float | None] = []  # what was credited of each
    taken_back = 0
    for bar, per_day in enumerate(its):
        in_run = controller.in_run
        alarm = controller.step(per_day, budget_per_day, budget_per_day / bars_per_day)
        if alarm and not in_run:
            runs.append(None)
        verdict = verdicts[bar % len(verdicts)]
        if runs and verdict == "true" and runs[-1] is None:
            runs[-1] = controller.credit()
        elif runs and verdict == "false" and runs[-1] is not None:
            controller.debit(runs[-1])
            runs[-1] = None
            taken_back += 1
        unconfirmed = sum(credited is None for credited in runs)
        days = (bar + 1) / bars_per_day
        bound = budget_per_day * days + (HIGHEST + STEP) / STEP + taken_back
        assert unconfirmed <= bound


def test_a_confirmed_run_leaves_the_bar_where_it_was():
    controller = Controller(quiet_bars=5)
    assert controller.step(1e-9, 1.0, 0.0)
    assert controller.bar == STEP
    taken = controller.credit()
    assert (taken, controller.bar) == (STEP, 0.0)
    controller.debit(taken)
    assert controller.bar == STEP


def test_no_more_is_credited_than_is_left_of_a_charge():
    controller = Controller(quiet_bars=5)
    assert controller.step(1e-9, 1.0, 0.0)
    assert not controller.step(1e9, 1.0, 0.75)
    taken = controller.credit()
    assert taken == pytest.approx(0.25 * STEP)
    controller.debit(taken)
    assert controller.bar == pytest.approx(0.25 * STEP)


def test_a_run_ends_in_time_though_little_is_judged():
    """Judged every fourth bar, an alarm every hundred: each is a run of its own."""
    controller = Controller(quiet_bars=60)
    per_bar = 1.0 / DAY
    alarms = 0
    for bar in range(0, DAY, 4):
        controller.skip(3, per_bar)
        alarms += controller.step(1e-9 if bar % 100 == 0 else 1e9, 1.0, per_bar)
    assert alarms <= 1.0 + (HIGHEST + STEP) / STEP


# Columns of many symbols, against the definition of one statistic of one symbol.

KINDS = ("plain", "net", "count", "long_count", "plain")
WARMUP_BARS = 80
SYMBOLS = 3
BUDGET_PER_BAR = BUDGET / 1_000


class ScalarStatistic:
    """One statistic of one symbol, judged and learned bar by bar."""

    def __init__(self, kind):
        baseline_bars = WARMUP_BARS // 2
        self.bars, self.baseline_bars = 0, baseline_bars
        self.baseline = scalar.Baseline(kind)
        self.tail = scalar.Tail(0.1, max(1, (WARMUP_BARS - baseline_bars) // 20))
        self.controller = scalar.Controller(quiet_bars=5)

    def step(self, value):
        """Return whether the bar is judged, the score, the expected rate, and the alarm."""
        given = math.isfinite(value)
        score = self.baseline.score(value) if given else 0.0
        judged = given and not self.tail.warming_up
        per_day = self.tail.per_day(score) if judged else 0.0
        alarm = False
        if judged:
            alarm = self.controller.alarms(per_day, BUDGET)
        self.controller.step(alarm=alarm, budget_per_bar=BUDGET_PER_BAR)
        self.bars += 1
        if self.bars > self.baseline_bars:
            self.tail.learn(score)
        if given:
            self.baseline.learn(value)
        return judged, score, per_day, alarm

    def state(self):
        return self.bars, self.baseline.state(), self.tail.state(), self.controller.state


class ColumnStatistics:
    """The same statistics in columns."""

    def __init__(self):
        statistics = {str(i): Statistic(kind, unit=0.1) for i, kind in enumerate(KINDS)}
        self.model = RobustTails(statistics, warmup_bars=WARMUP_BARS)
        self.controllers = Controllers(len(KINDS), quiet_bars=5)
        self.rows = [0, *(self.model.add_row() for _ in range(SYMBOLS - 1))]
        self.controllers.resize(len(self.model.bars))

    def step(self, symbols, values):
        rows = np.array([self.rows[symbol] for symbol in symbols])
        stepped, budget = np.ones((len(rows), len(KINDS)), bool), np.full(len(rows), BUDGET)
        with Writes() as writes:
            its = self.model.step_many(np.array(values), rows, stepped, writes)
            alarms = self.controllers.alarms_many(rows, its.per_day, its.known, budget)
            self.controllers.step_many(rows, alarms, np.full(len(rows), BUDGET_PER_BAR), writes)
        return its.known, its.score, its.per_day, alarms

    def replace(self, symbol):
        """Save a symbol and restore it in another row, as after a restart."""
        row = self.rows[symbol]
        saved = self.state(symbol)
        self.model.remove_row(row)
        self.controllers.clear(row)
        other = self.model.add_row()
        self.controllers.resize(len(self.model.bars))
        self.rows[symbol] = other
        for column, (bars, baseline, tail, controller) in enumerate(saved):
            self.model.bars[other, column] = bars
            self.model.baselines.restore(other, column, baseline)
            self.model.tails.restore(other, column, tail)
            self.controllers.restore(other, column, controller)

    def state(self, symbol):
        row = self.rows[symbol]
        return [
            (
                int(self.model.bars[row, column]),
                self.model.baselines.state(row, column),
                self.model.tails.state(row, column),
                self.controllers.state(row, column),
            )
            for column in range(len(KINDS))
        ]


@given(st.integers(0, 10_000), st.integers(200, 1_500), st.sampled_from([1.0, 0.6]))
@settings(max_examples=25, deadline=None)
def test_columns_of_many_symbols_equal_each_statistic_by_itself(seed, bars, presence):
    noise = random.Random(seed)
    alone = [[ScalarStatistic(kind) for kind in KINDS] for _ in range(SYMBOLS)]
    columns = ColumnStatistics()

    def value(kind):
        if noise.random() < 0.05:
            return math.nan
        burst = 30.0 if noise.random() < 0.01 else 1.0
        return float(noise.randrange(10)) * burst if "count" in kind else noise.gauss(0, burst)

    for bar in range(bars):
        symbols = [i for i in range(SYMBOLS) if noise.random() < presence]
        if not symbols:
            continue
        values = [[value(kind) for kind in KINDS] for _ in symbols]
        stepped = columns.step(symbols, values)
        for place, symbol in enumerate(symbols):
            expected = [its.step(x) for its, x in zip(alone[symbol], values[place], strict=True)]
            for column, (judged, score, per_day, alarm) in enumerate(expected):
                known, scores, rates, alarms = (its[place, column] for its in stepped)
                assert (known, alarms) == (judged, alarm)
                if judged:
                    assert (scores, rates) == (score, per_day)
        if bar % 97 == 0:
            columns.replace(noise.randrange(SYMBOLS))
    for symbol in range(SYMBOLS):
        assert columns.state(symbol) == [its.state() for its in alone[symbol]]
