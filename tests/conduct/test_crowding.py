"""Crowding compares a symbol with its own week in bounded memory, and raises no alarm."""

import math
import random

import numpy as np
import pytest

from detectors.conduct.crowding import MOST_SAMPLES, Crowding, Sample, Week
from detectors.conduct.detector import Scene
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Reference
from detectors.risk.reduction import Reduction
from detectors.risk_watch.holdings import Holdings
from tests.risk_watch.venue import BEGIN, SECOND

MINUTE = 60 * SECOND


def noisy_week(minutes=200, seed=1):
    noise = random.Random(seed)
    week = Week()
    for _ in range(minutes):
        week.add(_sample(noise))
    return week


def _sample(noise, **shift):
    its = Sample(*(noise.gauss(0.0, scale) for scale in (5e-4, 1e-4, 0.3, 0.1)))
    return its._replace(**{name: getattr(its, name) + more for name, more in shift.items()})


def test_an_ordinary_minute_is_ordinary_and_a_crowded_one_is_far():
    week = noisy_week()
    assert week.read(Sample(0.0, 0.0, 0.0, 0.0)).state == "ordinary"
    assert week.read(Sample(0.0, 0.0, 0.0, 0.0)).score < 1.0
    far = week.read(Sample(3e-3, 6e-4, 0.0, 0.6))
    assert (far.direction, far.state) == (1, "crowded")
    assert far.score > 30.0
    assert week.read(Sample(-3e-3, -6e-4, 0.0, 0.6)).direction == -1


def test_states_say_which_way_it_goes():
    week = noisy_week()
    assert week.read(Sample(0.0, 0.0, 1.5, -0.5)).state == "unwinding"
    assert week.read(Sample(3e-3, -6e-4, 0.0, 0.0)).state == "squeezed"


def test_independent_deviations_add_up_and_correlated_ones_count_once():
    noise = random.Random(3)
    apart, together = Week(), Week()
    for _ in range(160):
        common = noise.gauss(0.0, 1.0)
        apart.add(Sample(5e-4 * noise.gauss(0, 1), 1e-4 * noise.gauss(0, 1), 0.0, 0.0))
        together.add(Sample(5e-4 * common, 1e-4 * common, 0.0, 0.0))
    both = Sample(2e-3, 4e-4, 0.0, 0.0)
    assert together.read(both).score < 0.75 * apart.read(both).score


@pytest.mark.parametrize("days", [1, 7, 20])
def test_the_memory_is_bounded_and_covers_up_to_a_week(days):
    noise = random.Random(2)
    week = Week()
    for _ in range(days * 1_440):
        week.add(_sample(noise))
    state = week.state()
    count = len(state.samples) // 16
    assert count <= MOST_SAMPLES
    covered = count * state.minutes
    assert covered >= min(days, 3) * 1_440 * 0.9
    again = Week()
    again.restore(state)
    sample = Sample(3e-3, 6e-4, 0.0, 0.6)
    assert again.read(sample).score == pytest.approx(week.read(sample).score, rel=1e-3)


def crowding(minutes, growth=0.0, **options):
    its, noise, scene = Crowding(), random.Random(1), Scene(Holdings(1_000, Reduction()), {}, {})
    price, interest = 100.0, 1_000.0
    for minute in range(1, minutes + 1):
        price *= math.exp(noise.gauss(0.0, 1e-3))
        interest *= math.exp(noise.gauss(0.0, 1e-3))
        late = growth if minute > minutes - 5 else 0.0
        at = BEGIN + minute * MINUTE
        its.take(
            Reference(
                ts_event=at - SECOND, symbol="X", index_price=price,
                mark_price=price * (1.0 + noise.gauss(0.0, 1e-4) + 0.01 * late),
                open_interest=interest * (1.0 + late),
                **{"funding_rate": noise.gauss(0.0, 1e-5) + 1e-3 * late, **options},
            ),
            scene,
        )  # fmt: skip
        depth = (1.0,) * 4
        its.summarise("X", at - SECOND, BookSummary(price, 1.0, depth, depth, bought=1e4))
        assert its.judge(at, scene) == {}
    return its


def test_a_crowded_symbol_is_shown_and_raises_no_alarm():
    assert crowding(90).readings["X"].state == "ordinary"
    its = crowding(90, growth=0.5)
    assert its.readings["X"].state == "crowded"
    assert its.statements == []


def test_without_funding_there_is_no_reading():
    assert crowding(90, funding_rate=None).readings == {}


def test_a_successor_goes_on_from_the_memory():
    before, after = crowding(120), Crowding()
    after.restore("X", before.memory("X"))
    week = before.memory("X").week
    assert after.memory("X").week == week
    assert np.frombuffer(week.samples, "<f4").size <= 4 * MOST_SAMPLES
