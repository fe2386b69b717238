"""Brokers that do not report the rights of a user: nothing is said of what is not known."""

import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.api import Request

from service.kafka.cluster.permissions import fetch_permissions
from service.settings.types import KafkaSettings
from tests.kafka.broker.rig import until

METADATA, DESCRIBE_GROUPS = 3, 15
BOTH = frozenset({"READ", "WRITE"})


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("reported", "of_topic", "of_group"),
    [
        ({}, BOTH, frozenset({"READ"})),
        ({METADATA: (0, 7)}, None, None),
        ({DESCRIBE_GROUPS: (0, 2)}, BOTH, None),
    ],
    ids=["Kafka 4", "before Kafka 2.3", "rights of topics alone"],
)
async def test_rights_that_a_broker_does_not_report_are_unknown(
    kafka: str,
    monkeypatch: pytest.MonkeyPatch,
    reported: dict[int, tuple[int, int]],
    of_topic: frozenset[str] | None,
    of_group: frozenset[str] | None,
):
    prepare = Request.prepare

    def as_reported(request: Request, versions: dict[int, tuple[int, int]]) -> object:
        return prepare(request, {**versions, **reported})

    settings = KafkaSettings(bootstrap_servers=kafka)
    topic = f"rights-{uuid.uuid4().hex[:8]}"
    await create(settings, topic)

    async def all_known() -> bool:
        known = await fetch_permissions(settings, [topic])
        return bool(known.topics.get(topic)) and known.group is not None

    # A new cluster elects the coordinator of a group a little later.
    await until(all_known, "a broker reports all rights")
    monkeypatch.setattr(Request, "prepare", as_reported)
    found = await fetch_permissions(settings, [topic])
    assert found.topics.get(topic) == of_topic
    assert found.group == of_group


async def create(settings: KafkaSettings, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
