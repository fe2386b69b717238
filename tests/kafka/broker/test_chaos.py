"""The short form of ``make chaos``: two faults, each once; nothing is lost or told twice."""

import random
from pathlib import Path

import pytest

from tests.kafka.broker.chaos import disturbed, undisturbed
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.fleet import lines
from tests.kafka_server import require_broker_tools

pytestmark = pytest.mark.kafka


async def test_whatever_fails_everything_is_told_and_no_alert_twice(
    kafka: str, tmp_path: Path, market: Market
):
    require_broker_tools()
    recorded = lines(market.events, poison_every=200)
    expected = await undisturbed(kafka, tmp_path, recorded)
    outcome = await disturbed(
        tmp_path,
        recorded,
        iter(("kill", "broker-kill")),
        name="short",
        chance=random.Random(5),
        seconds=8.0,
        expected=expected,
        whole=True,
    )
    assert outcome.times == 2
    assert expected["alerts"].counts
    assert expected["deadletters"].counts
    assert outcome.kept, outcome
