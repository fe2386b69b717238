"""Fixtures that every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.kafka import KafkaServer
from tests.kafka_server import require_broker_tools, session_broker

RECORDED = Path(__file__).parents[2] / "shared" / "data"


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
    """The folder of recorded order flow, one folder in it a recording."""
    if not RECORDED.is_dir():
        pytest.skip(f"the recorded order flow is not there: {RECORDED}")
    return RECORDED
