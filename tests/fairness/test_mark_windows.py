"""Another mark price spares some liquidations, brings others forward, and both have a price."""

import numpy as np
import pytest

from detectors.fairness.mark_windows import (
    OWN,
    WINDOWS,
    Path,
    Victim,
    marks_under,
    outcome,
    rebound_seconds,
)
from detectors.risk.marks import MarkRule

TIMES = np.arange(-200.0, 320.0)


def dislocated(depth=0.02, lasts=20.0):
    """A book that falls against an index that stays, and comes back; the mark follows in 30 s."""
    mid = np.where((TIMES >= 0.0) & (lasts > TIMES), 100.0 * (1.0 - depth), 100.0)
    index = np.full(len(TIMES), 100.0)
    path = Path(TIMES, mid, mid, index, index)
    mark = marks_under(path, "ema_30s", 0.05, None)
    return Path(TIMES, mid, mid, index, mark)


def victim(path, trigger=99.5, price=98.0, quantity=2.0):
    first = TIMES[np.flatnonzero(path.mark <= trigger)[0]]
    return Victim(first, trigger, 1.0, np.array([quantity]), np.array([price]))


def outcomes(path, its, own=None):
    return {
        window: outcome(window, marks_under(path, window, 0.05, own), path, its)
        for window in (*WINDOWS, OWN)
    }


def test_a_slower_mark_spares_what_a_short_dislocation_would_not():
    path = dislocated()
    its = victim(path)
    found = outcomes(path, its)
    # After t seconds the mean premium is 2 % (1 - e^(-t / tau)): with 150 s it is at most .27 %.
    assert found["ema_150s"].survives_300s is True
    assert found["ema_150s"].delay_seconds is None
    assert found["ema_150s"].regret == pytest.approx(2.0 * (100.0 - 98.0))
    assert found["ema_150s"].added_loss == 0.0
    # The venue's reaches .5 % in 30 ln(4/3) = 8.6 s, that of 10 s in 2.9 s.
    assert found["ema_10s"].survives_60s is False
    assert -6.0 <= found["ema_10s"].delay_seconds <= -5.0
    assert found["mid"].delay_seconds == pytest.approx(-its.at_seconds)


def test_under_the_own_rule_nobody_survives():
    path = dislocated()
    its = victim(path)
    for own in (None, MarkRule("ema_premium", 30.0)):
        control = outcomes(path, its, own)[OWN]
        assert (control.survives_60s, control.delay_seconds) == (False, 0.0)
        assert control.regret == 0.0


def test_who_is_hit_later_in_a_fall_that_goes_on_loses_more():
    fall = np.clip(TIMES, 0.0, None) * 0.05
    index = 100.0 - fall
    path = Path(TIMES, index, index, index, index)
    its = Victim(10.0, 99.5, 1.0, np.array([2.0]), np.array([99.5]))
    # The mean of a minute lags half of it: 99.5 when the price is at about 98.6.
    found = outcome("sma_60s", marks_under(path, "sma_60s", 0.05, None), path, its)
    assert found.survives_300s is False
    assert found.delay_seconds > 10.0
    sold_at = 100.0 - 0.05 * (10.0 + found.delay_seconds)
    assert found.added_loss == pytest.approx(2.0 * (99.5 - sold_at))
    assert found.regret == 0.0


def test_a_short_is_the_mirror_image():
    path = dislocated(depth=-0.02)
    first = TIMES[np.flatnonzero(path.mark >= 100.5)[0]]
    its = Victim(first, 100.5, -1.0, np.array([2.0]), np.array([102.0]))
    found = outcomes(path, its)
    assert found["ema_150s"].survives_300s is True
    assert found["ema_150s"].regret == pytest.approx(4.0)


def test_a_path_that_ends_too_early_says_nothing():
    path = dislocated()
    its = victim(path)
    cut = Path(*(getattr(path, name)[:300] for name in ("times", "mid", "last", "index", "mark")))
    found = outcome("ema_150s", marks_under(cut, "ema_150s", 0.05, None), cut, its)
    assert (found.survives_60s, found.survives_300s) == (True, None)
    assert found.regret == 0.0


def test_rebound_is_that_of_the_index():
    index = np.where((TIMES >= 0.0) & (TIMES < 45.0), 99.0, 100.0)
    path = Path(TIMES, index, index, index, index)
    its = Victim(3.0, 99.5, 1.0, np.array([1.0]), np.array([99.0]))
    assert rebound_seconds(path, its) == 42.0
    # An index that never reached the liquidation price was there at once.
    steady = Path(TIMES, index, index, np.full(len(TIMES), 100.0), index)
    assert rebound_seconds(steady, its) == 0.0
