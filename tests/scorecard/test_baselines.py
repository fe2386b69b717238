"""The baselines that ours is held against: they judge by what they are said to look at."""

import pytest

from detectors.events import Kind
from detectors.parameters import Parameters
from service.demo.measures import Truth
from service.demo.scenarios import scenario
from service.demo.simulation import simulate
from service.output import Tally
from service.scorecard.baselines import BASELINES
from service.task import PartitionTask
from service.wire import STREAMS

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def signals():
    """What they make of a market that crashes after some minutes."""
    task = PartitionTask(
        list(STREAMS),
        Parameters(),
        BASELINES,
        max_disorder_ns=100_000_000,
        max_symbols=10,
        tally=Tally(),
    )
    names = dict(zip(Kind, STREAMS, strict=False))
    batches = {stream: [] for stream in STREAMS}
    market = scenario("flash_crash", start_seconds=400.0)
    for event in simulate(market, seed=1, symbols=1, duration_ns=700 * SECOND):
        if not isinstance(event, Truth):
            batches[names[event.kind]].append(event)
    for stream, events in batches.items():
        task.feed(stream, events, first_offset=0, next_offset=len(events))
        task.aligner.set_idle(stream)
    return task.advance().signals


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
