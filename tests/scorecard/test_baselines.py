"""The baselines that ours is held against: they judge by what they are said to look at."""

import pytest

from service.scorecard.baselines import BASELINES
from tests.simulated import run_scenario


@pytest.fixture(scope="module")
def signals():
    """What they make of a market that crashes after some minutes."""
    crash = run_scenario(
        "flash_crash", seed=1, seconds=700, detectors=BASELINES, start_seconds=400.0
    )
    return crash[0].signals


@pytest.mark.parametrize("name", [baseline.name for baseline in BASELINES])
def test_its_score_moves_with_what_it_looks_at(signals, name):
    readings = [signal.detectors[name] for signal in signals]
    scored = [(next(iter(r.features.values())), r.score) for r in readings if r.score is not None]
    assert len(scored) > 300
    values, scores = zip(*scored, strict=True)
    assert len(set(scores)) > 20
    if name in ("absolute_return", "depth_threshold"):
        assert scores == pytest.approx(values)
    else:
        assert scores.index(max(scores)) >= values.index(max(values))
