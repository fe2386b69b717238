"""Fixtures that every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.kafka import KafkaServer
from tests.kafka_server import require_broker_tools, session_broker

BESIDE = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers (``host:port``) of a real broker, one for the whole session."""
    yield from session_broker()


@pytest.fixture
def kafka_server() -> Iterator[KafkaServer]:
    """A running broker of the test's own, to be stopped, killed and started at will."""
    require_broker_tools()
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of recorded order flow, one folder in it a recording.

    ``FORESHOCK_TEST_DATA`` names it, and then it must be there. It is no part of the repository:
    where neither is, this is the one thing that is skipped in CI too.
    """
    if named := os.environ.get("FORESHOCK_TEST_DATA"):
        assert Path(named).is_dir(), f"FORESHOCK_TEST_DATA={named} is no directory"
        return Path(named)
    if not BESIDE.is_dir():
        pytest.skip(
            f"the recorded order flow is not at {BESIDE}; name its folder in FORESHOCK_TEST_DATA"
        )
    return BESIDE
