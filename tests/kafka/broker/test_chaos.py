"""The short form of ``make chaos``: two faults, each once; nothing is lost or told twice."""

import json
from pathlib import Path

import pytest

from tests.commands.made import make
from tests.kafka_server import require_broker_tools

pytestmark = pytest.mark.kafka


def test_whatever_fails_everything_is_told_and_no_alert_twice(kafka: str, tmp_path: Path):
    require_broker_tools()
    options = f"CHAOS_ARGS=--once --seconds 8 --seed 5 --kafka {kafka}"
    done = make("chaos", "FAULTS=kill broker-kill", options, TMPDIR=str(tmp_path))
    expected, outcome = map(json.loads, done.stdout.splitlines())
    assert expected["published"]["alerts"]
    assert expected["published"]["deadletters"]
    assert outcome["times"] == 2
    assert outcome["kept"], outcome
