"""What an administrator, retention and transactional producers do to the topics of a venue."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from tests.kafka.broker.rig import Venue


@asynccontextmanager
async def admin_client(venue: Venue) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrator's client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=venue.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def transactional(venue: Venue) -> AsyncIterator[AIOKafkaProducer]:
    """A transactional producer."""
    producer = AIOKafkaProducer(
        bootstrap_servers=venue.kafka, transactional_id=f"{venue.prefix}.producer", linger_ms=20
    )
    async with producer:
        yield producer


async def delete_records(venue: Venue, before: Mapping[TopicPartition, int]) -> None:
    """Delete what precedes these offsets, as retention does."""
    async with admin_client(venue) as admin:
        await admin.delete_records({tp: RecordsToDelete(at) for tp, at in before.items()})


async def grow(venue: Venue, names: Iterable[str]) -> None:
    """Add a partition to topics."""
    async with admin_client(venue) as admin:
        described = await admin.describe_topics([venue.topic(name) for name in names])
        await admin.create_partitions(
            {its["topic"]: NewPartitions(len(its["partitions"]) + 1) for its in described}
        )


async def committed(venue: Venue) -> dict[TopicPartition, int]:
    """The offsets that the group of a venue has committed."""
    async with admin_client(venue) as admin:
        offsets = await admin.list_consumer_group_offsets(venue.prefix)
    return {tp: its.offset for tp, its in offsets.items()}
