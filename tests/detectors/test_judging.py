"""Baselines, tails and the bound on alarms: what an episode may change, and what it may not."""

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.judging.baseline import Baseline, BaselineState
from detectors.judging.controller import HIGHEST, STEP, Controller
from detectors.judging.tail import Tail, TailState

DAY = 86_400
BUDGET = 0.1


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
    assert (baseline.usual, baseline.noise) == (usual.usual, usual.noise)


def runs_of(rates, budget_per_day, bars_per_day):
    """How many runs of alarms a controller admits."""
    controller = Controller(quiet_bars=5)
    runs = 0
    for per_day in rates:
        alarm = controller.alarms(per_day, budget_per_day)
        runs += alarm and not controller.in_run
        controller.step(alarm=alarm, budget_per_bar=budget_per_day / bars_per_day)
    return runs


rates = st.lists(
    st.one_of(st.floats(1e-30, 1e4), st.sampled_from([1e-30, 1e4])), min_size=1, max_size=600
)


@given(rates, st.floats(0.01, 100.0), st.sampled_from([100, 1_000, DAY]))
def test_no_sequence_raises_more_alarms_than_the_bound(its, budget_per_day, bars_per_day):
    days = len(its) / bars_per_day
    bound = budget_per_day * days + (HIGHEST + STEP) / STEP
    assert runs_of(its, budget_per_day, bars_per_day) <= bound


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
        alarm = controller.alarms(per_day, budget_per_day)
        if alarm and not controller.in_run:
            runs.append(None)
        controller.step(alarm=alarm, budget_per_bar=budget_per_day / bars_per_day)
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
    assert controller.alarms(1e-9, 1.0)
    controller.step(alarm=True, budget_per_bar=0.0)
    assert controller.state.bar == STEP
    taken = controller.credit()
    assert (taken, controller.state.bar) == (STEP, 0.0)
    controller.debit(taken)
    assert controller.state.bar == STEP


def test_no_more_is_credited_than_is_left_of_a_charge():
    controller = Controller(quiet_bars=5)
    controller.step(alarm=True, budget_per_bar=0.0)
    controller.step(alarm=False, budget_per_bar=0.75)
    taken = controller.credit()
    assert taken == pytest.approx(0.25 * STEP)
    controller.debit(taken)
    assert controller.state.bar == pytest.approx(0.25 * STEP)
