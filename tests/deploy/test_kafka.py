"""The broker that ``make kafka`` starts: what its users rely on."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka import kafka as broker
from deploy.kafka.kafka import KafkaError, KafkaServer
from tests.kafka_server import require_broker_tools, session_broker, unavailable

SCRIPT = Path(broker.__file__)


@pytest.fixture
def libraries() -> Path:
    """Kafka's jars, fetched if they are not there yet."""
    require_broker_tools()
    return broker.resolve_libraries()


async def make_topic(bootstrap: str, partitions: int) -> str:
    topic = f"smoke-{uuid.uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()
    return topic


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def consume(bootstrap: str, topic: str, group: str, count: int) -> list[bytes]:
    """Read and commit ``count`` records of partition 0 as a member of a group."""
    values: list[bytes] = []
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with consumer:
        while len(values) < count:
            batch = await consumer.getmany(timeout_ms=500, max_records=count - len(values))
            values += [record.value for records in batch.values() for record in records]
        await consumer.commit()
        committed = await consumer.committed(TopicPartition(topic, 0))
        assert committed == await consumer.position(TopicPartition(topic, 0))
    return values


@pytest.mark.kafka
async def test_a_group_carries_on_where_it_committed(kafka: str):
    topic = await make_topic(kafka, partitions=3)
    await produce(kafka, topic, [b"one", b"two", b"three"])
    assert await consume(kafka, topic, "smoke", 2) == [b"one", b"two"]
    assert await consume(kafka, topic, "smoke", 1) == [b"three"]


@pytest.mark.kafka
async def test_what_was_acknowledged_survives_a_crash_of_the_broker(kafka_server: KafkaServer):
    topic = await make_topic(kafka_server.bootstrap_servers, partitions=1)
    await produce(kafka_server.bootstrap_servers, topic, [b"kept"])
    kafka_server.kill()
    assert kafka_server.pid is None
    kafka_server.start()
    assert await consume(kafka_server.bootstrap_servers, topic, "after", 1) == [b"kept"]


@pytest.mark.kafka
@pytest.mark.usefixtures("libraries")
def test_the_command_says_where_it_listens_and_stops_on_sigterm(tmp_path: Path):
    command = [sys.executable, str(SCRIPT), "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        starting, answers = next(lines), next(lines)
        host, port = answers.split()[3].rstrip(";").split(":")
        assert f"{host}:{port}" in starting
        socket.create_connection((host, int(port)), timeout=5).close()
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(30) == 0
    assert rest.endswith("stopped\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_missing_java_and_maven_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "HOME", tmp_path)
    with pytest.raises(KafkaError, match=r"(?s)Java runtime, 17.*install Maven"):
        KafkaServer(tmp_path).start()


@pytest.mark.kafka
@pytest.mark.usefixtures("libraries")
def test_a_taken_port_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KafkaError, match=f"port {port} on 127.0.0.1 is in use"):
            KafkaServer(tmp_path, port=port).start()


@pytest.mark.kafka
@pytest.mark.usefixtures("libraries")
def test_a_broker_that_ends_says_why(tmp_path: Path):
    server = KafkaServer(tmp_path, heap="nonsense")
    with pytest.raises(KafkaError, match="Invalid maximum heap size"):
        server.start()


def test_a_free_port_is_not_one_for_outgoing_connections():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert broker.free_port() < lowest


def test_what_cannot_be_tested_is_skipped_at_home_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Java"):
        unavailable("no Java")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Java"):
        unavailable("no Java")


def test_a_named_broker_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORESHOCK_TEST_KAFKA", "broker.example:9092")
    assert list(session_broker()) == ["broker.example:9092"]
