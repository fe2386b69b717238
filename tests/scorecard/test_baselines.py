"""The baselines that ours is held against: they judge by what they are said to look at."""

from itertools import pairwise

import pytest

from detectors.catalogue import CATALOGUE
from service.scorecard.baselines import PROTOTYPE, baseline_detectors
from tests.simulated import run_scenario

BASELINES = baseline_detectors()
SINGLE = [baseline.name for baseline in BASELINES if len(baseline.statistics) == 1]


@pytest.fixture(scope="module")
def signals():
    """What they make of a market that crashes after some minutes."""
    crash = run_scenario(
        "flash_crash", seed=1, seconds=700, detectors=BASELINES, start_seconds=400.0
    )
    return crash[0].signals


@pytest.mark.parametrize("name", SINGLE)
def test_its_score_moves_with_what_it_looks_at(signals, name):
    readings = [signal.detectors[name] for signal in signals]
    scored = [(next(iter(r.features.values())), r.score) for r in readings if r.score is not None]
    assert len(scored) > 300
    values, scores = zip(*scored, strict=True)
    assert len(set(scores)) > 20
    # The tail moves too, but only from block to block.
    steps = [
        (after - before) * (score_after - score_before)
        for (before, after), (score_before, score_after) in zip(
            pairwise(values), pairwise(scores), strict=True
        )
        if after != before
    ]
    assert sum(step >= 0.0 for step in steps) > 0.9 * len(steps)


def test_the_prototype_has_no_other_statistics_than_the_detectors(signals):
    ours = {name: its for detector in CATALOGUE for name, its in detector.statistics.items()}
    assert {name: ours[name] for name in PROTOTYPE} == PROTOTYPE
    given = {name for signal in signals for name in signal.detectors["prototype"].features}
    assert given >= {"net_withdrawal_60s", "young_cancels_2s", "large_withdrawn_30s"}
    assert given <= PROTOTYPE.keys()


def test_each_run_has_its_own_baselines():
    first, second = baseline_detectors()[0], baseline_detectors()[0]
    assert first.features is not second.features
