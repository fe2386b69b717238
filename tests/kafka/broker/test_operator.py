"""What an operator reads when the service cannot start: one message, and no traceback."""

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka.kafka import free_port
from tests.kafka.broker.rig import OUTPUTS, REQUIRED, STREAMS, Venue, foreshock

pytestmark = pytest.mark.kafka


def named(prefix: str) -> dict[str, str]:
    """Topics that only this test has."""
    inputs = {f"TOPICS__{name.upper()}": f"{prefix}.{name}" for name in STREAMS}
    return inputs | {f"OUTPUTS__{name.upper()}": f"{prefix}.{name}" for name in OUTPUTS}


def complaint(**settings: str) -> str:
    """What ``foreshock run`` says when it refuses to start, on the error stream only."""
    done = foreshock("run", HTTP__PORT=str(settings.pop("port", free_port())), **settings)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("foreshock: ") == 1
    return done.stderr.removeprefix("foreshock: ")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_without_the_topics(kafka: str):
    prefix = uuid.uuid4().hex[:8]
    said = complaint(KAFKA__BOOTSTRAP_SERVERS=kafka, **named(prefix))
    for name in (*REQUIRED, *OUTPUTS):
        assert f"the topic {prefix}.{name} " in said
    assert "foreshock topics --create" in said


async def test_with_unequal_partition_counts(kafka: str):
    prefix = uuid.uuid4().hex[:8]
    counts = {"orders": 4, "cancels": 4, "trades": 5}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(f"{prefix}.{n}", c, 1) for n, c in counts.items()])
    finally:
        await admin.close()
    said = complaint(KAFKA__BOOTSTRAP_SERVERS=kafka, **named(prefix))
    assert f"{prefix}.orders has 4, {prefix}.cancels has 4, {prefix}.trades has 5" in said


async def test_with_a_port_that_is_taken(kafka: str, taken_port: int, tmp_path: Path):
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        said = complaint(**venue.settings, port=str(taken_port))
    assert f"127.0.0.1:{taken_port}" in said
