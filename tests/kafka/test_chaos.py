"""The short form of ``make chaos``: each fault once, and nothing is lost or told twice."""

import random
from pathlib import Path

import pytest

from tests.kafka.chaos import disturbed, undisturbed
from tests.kafka.conftest import Market
from tests.kafka.fleet import lines
from tests.kafka_server import require_broker_tools

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize(
    "faults",
    [("kill", "input-recreated", "broker-kill"), ("scale", "snapshots-deleted", "freeze")],
    ids=" ".join,
)
async def test_whatever_fails_everything_is_told(
    faults: tuple[str, ...], tmp_path: Path, market: Market
):
    require_broker_tools()
    recorded = lines(market.events, poison_every=200)
    expected = await undisturbed(tmp_path, recorded)
    outcome = await disturbed(
        tmp_path,
        recorded,
        iter(faults),
        name="mixed" if "freeze" in faults else " ".join(faults),
        chance=random.Random(5),
        seconds=15.0,
        expected=expected,
    )
    assert outcome.times == len(faults)
    assert expected["alerts"].counts
    assert expected["deadletters"].counts
    assert outcome.kept, outcome
