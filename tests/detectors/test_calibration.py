"""Thresholds follow the budget, and alarms are not learned."""

import random

import pytest

from detectors.judging.calibration import TailCalibration


def noise(seed, n):
    rng = random.Random(seed)
    return [abs(rng.gauss(0.0, 1.0)) + abs(rng.gauss(0.0, 1.0)) for _ in range(n)]


def alarms(budget, seed, bars):
    calibration = TailCalibration(budget_per_day=budget)
    count = 0
    quiet = 0
    for score in noise(seed, bars):
        if not calibration.warming_up:
            alarm = calibration.judge(score).alarm
            # Alarms of one minute are one incident.
            count += alarm and quiet <= 0
            quiet = 60 if alarm else quiet - 1
        calibration.learn(score)
    return count


def test_a_larger_budget_never_makes_fewer_alarms():
    few, many = alarms(1.0, 1, 40_000), alarms(100.0, 1, 40_000)
    assert few <= many
    assert many > 0.2 * 100.0 * 40_000 / 86_400, "a budget that is hardly used warns of nothing"


@pytest.mark.parametrize("budget", [10.0, 100.0])
def test_ordinary_noise_stays_near_the_budget(budget):
    days = 0
    count = 0
    for seed in range(6):
        count += alarms(budget, seed, 43_200)
        days += 0.5
    assert count <= 3.0 * budget * days


def test_nothing_is_judged_while_warming_up():
    calibration = TailCalibration(budget_per_day=1.0, warmup_bars=50)
    for score in noise(1, 49):
        calibration.learn(score)
    assert calibration.warming_up
    calibration.learn(1.0)
    assert not calibration.warming_up


def test_an_alarm_and_what_led_up_to_it_teach_nothing():
    calibration = TailCalibration(budget_per_day=1.0, settle_bars=300)
    for score in noise(2, 3_000):
        calibration.learn(score)
    before = calibration.judge(10.0).expected_per_day
    for step in range(200):
        calibration.learn(2.0 + step * 0.02)
    for _ in range(100):
        calibration.learn(30.0)
    assert calibration.judge(10.0).expected_per_day == pytest.approx(before, rel=0.5)


def test_what_lasts_becomes_the_new_normal():
    calibration = TailCalibration(budget_per_day=1.0, relearn_bars=600)
    for score in noise(3, 3_000):
        calibration.learn(score)
    assert calibration.judge(40.0).alarm
    shifted = [40.0 + score for score in noise(4, 12_000)]
    for score in shifted:
        calibration.learn(score)
    assert not calibration.judge(40.0).alarm


def test_p_values_fall_as_scores_rise():
    calibration = TailCalibration(budget_per_day=1.0)
    for score in noise(5, 3_000):
        calibration.learn(score)
    values = [calibration.judge(score / 10).p_value for score in range(300)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert values[-1] > 0.0


def test_stress_is_zero_for_nothing_and_one_for_an_alarm():
    calibration = TailCalibration(budget_per_day=1.0)
    for score in noise(6, 3_000):
        calibration.learn(score)
    assert calibration.stress_ratio(calibration.judge(0.0).p_value) == 0.0
    assert calibration.stress_ratio(calibration.judge(1_000.0).p_value) == 1.0
