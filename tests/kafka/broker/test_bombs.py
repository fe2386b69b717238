"""Compressed records that blow up: what a broker's own limit does about them."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

pytestmark = pytest.mark.kafka

BOMB = b"0" * 20_000_000  # twenty kilobytes on the wire


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_topic_that_is_kept_uncompressed_takes_no_record_that_blows_up(
    kafka: str, codec: str
):
    plain, compressed = f"bombs.plain.{codec}", f"bombs.compressed.{codec}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        uncompressed = {"compression.type": "uncompressed"}
        await admin.create_topics(
            [NewTopic(plain, 1, 1, topic_configs=uncompressed), NewTopic(compressed, 1, 1)]
        )
    finally:
        await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type=codec, max_request_size=2 * len(BOMB)
    )
    await producer.start()
    try:
        # As topics are by default, the limit is on what is compressed: it goes through.
        await producer.send_and_wait(compressed, BOMB)
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(plain, BOMB)
        await producer.send_and_wait(plain, b"0" * 100_000)
    finally:
        await producer.stop()
