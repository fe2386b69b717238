"""The embedded broker does what the demonstration asks of a Kafka cluster."""

import socket

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from service.demo.broker import PARTITIONS, embedded_broker
from service.kafka.cluster.inspection import verify_topics
from service.kafka.cluster.topics import wanted_topics
from service.settings.types import KafkaSettings, Settings


async def test_it_has_the_topics_that_the_service_asks_for():
    with embedded_broker([topic.name for topic in wanted_topics(Settings())]) as servers:
        report = await verify_topics(Settings(kafka=KafkaSettings(bootstrap_servers=servers)))
    assert report.partitions == PARTITIONS
    assert report.missing == ()


async def test_it_keeps_records_and_the_notes_of_a_group():
    tp = TopicPartition("market.orders", 1)
    with embedded_broker([tp.topic]) as servers:
        common = {"bootstrap_servers": servers}
        async with AIOKafkaProducer(**common, acks="all", enable_idempotence=True) as producer:
            sent = await producer.send_and_wait(tp.topic, b"{}", key=b"X", partition=1)
        assert sent.offset == 0
        async with AIOKafkaConsumer(
            tp.topic,
            **common,
            group_id="a",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        ) as consumer:
            record = await consumer.getone()
            assert (record.key, record.value) == (b"X", b"{}")
            await consumer.commit({tp: OffsetAndMetadata(1, "a note")})
        admin = AIOKafkaAdminClient(**common)
        await admin.start()
        offsets = await admin.list_consumer_group_offsets("a", partitions=[tp])
        await admin.close()
    assert offsets == {tp: OffsetAndMetadata(1, "a note")}


def test_it_ends_with_its_context():
    with embedded_broker([]) as servers:
        host, _, port = servers.partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
