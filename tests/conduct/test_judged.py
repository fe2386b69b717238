"""A score alarms when it is rarer than the budget allows for its own symbol, and seldom else."""

import random

from detectors.conduct.judged import FORGET_SECONDS, Judged


def warmed_up(scale=1.0, seconds=3_600, seed=1):
    noise = random.Random(seed)
    judged = Judged(unit=0.01)
    for second in range(seconds):
        judged.judge(second, {"X": scale * noise.expovariate(1.0)})
    return judged, noise


def test_a_score_is_judged_by_its_own_symbol():
    noise = random.Random(2)
    judged = Judged(unit=0.01)
    for second in range(3_600):
        judged.judge(second, {"calm": noise.expovariate(1.0), "wild": noise.expovariate(0.01)})
    found = judged.judge(3_600, {"calm": 60.0, "wild": 60.0})
    assert found["calm"].holds
    assert found["calm"].per_day < judged.budget_per_day < found["wild"].per_day
    assert not found["wild"].holds
    assert 0.0 < found["calm"].at_alarm < 60.0


def test_nothing_is_judged_before_the_tail_is_known():
    judged = Judged(unit=0.01)
    (its,) = judged.judge(0, {"X": 1e9}).values()
    assert (its.holds, its.p_value) == (False, 1.0)
    assert judged.judge(1, {}) == {}


def test_noise_of_days_raises_hardly_an_alarm():
    noise = random.Random(3)
    symbols = [str(number) for number in range(20)]
    judged = Judged(unit=0.01)
    alarms = 0
    for second in range(7_200):
        scores = {symbol: noise.expovariate(1.0) for symbol in symbols}
        alarms += sum(its.holds for its in judged.judge(second, scores).values())
    # 20 symbols for 2 h are 1.7 days: with 0.1 a day 0.17 alarms are expected.
    assert alarms <= 2


def test_a_run_of_alarms_raises_the_bar_once():
    judged, _ = warmed_up()
    value = 20.0
    first = judged.judge(3_600, {"X": value})["X"]
    assert first.holds
    again = [judged.judge(second, {"X": value})["X"].holds for second in range(3_601, 3_650)]
    assert all(again)


def test_a_symbol_that_is_gone_is_forgotten():
    judged, _ = warmed_up()
    gone = FORGET_SECONDS + 7_200
    judged.judge(gone, {"Y": 1.0})
    assert judged.judge(gone + 1, {"X": 1e9})["X"].p_value == 1.0
