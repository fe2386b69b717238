"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from deploy.kafka.kafka import KafkaServer
from tests.kafka_server import require_broker_tools, session_broker

# No test is timed: a busy machine must not fail one.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers (``host:port``) of a real broker, shared by the whole session."""
    yield from session_broker()


@pytest.fixture
def kafka_server() -> Iterator[KafkaServer]:
    """A running broker for one test, which may stop, kill and start it."""
    require_broker_tools()
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of recorded order flow, with one subfolder per recording.

    ``FORESHOCK_TEST_DATA`` names it, and it must then exist. The recordings are not part of the
    repository. Without them, tests are skipped in CI too.
    """
    if named := os.environ.get("FORESHOCK_TEST_DATA"):
        assert Path(named).is_dir(), f"FORESHOCK_TEST_DATA={named} is not a directory"
        return Path(named)
    if not DEFAULT_DATA.is_dir():
        pytest.skip(
            f"no recorded order flow at {DEFAULT_DATA}; set FORESHOCK_TEST_DATA to its folder"
        )
    return DEFAULT_DATA
