"""Inspects the topics of the Kafka cluster, and creates the missing ones."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from service.cancellation import close
from service.errors import ConfigurationError, OperatorError
from service.kafka.cluster.connection import client_options, diagnose
from service.kafka.cluster.permissions import fetch_permissions
from service.kafka.cluster.topics import (
    DEFAULT_PARTITIONS,
    Report,
    RequiredTopic,
    Topic,
    examine,
    wanted_topics,
)
from service.logs import muted
from service.settings.types import Settings

ANSWER_SECONDS = 5.0
"""The time limit for an answer of the cluster, in seconds; after it, the cluster is unreachable."""

_USUAL_REPLICATION = 3
_TOPIC_EXISTS = int(TopicAlreadyExistsError.errno)


class BrokerAwayError(OperatorError):
    """No broker answers now; a later attempt may succeed."""


async def inspect_topics(settings: Settings) -> Report:
    """Return the topics that exist, and what is wrong with them.

    Raises
    ------
    BrokerAwayError
        No broker answers.
    """
    async with _admin(settings) as admin:
        return await _inspect(admin, settings)


async def verify_topics(settings: Settings) -> Report:
    """Inspect the topics like ``inspect_topics``, for a service that is about to start.

    Raises
    ------
    BrokerAwayError
        No broker answers.
    OperatorError
        The topics have problems; the message lists all of them.
    """
    report = await inspect_topics(settings)
    if report.problems:
        problems = "".join(f"\n  {problem}" for problem in report.problems)
        raise OperatorError(f"the Kafka topics have problems:{problems}")
    return report


async def explain(settings: Settings, error: BaseException) -> str:
    """Describe the error that ended a session; after a lost permission, name that permission."""
    if isinstance(error, (TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
        with suppress(OperatorError):
            return "; ".join((await inspect_topics(settings)).problems) or repr(error)
    return repr(error)


async def create_missing(
    settings: Settings, partitions: int | None, replication_factor: int | None
) -> list[str]:
    """Create the wanted topics that do not exist, and wait until the cluster knows them.

    Parameters
    ----------
    partitions
        The number of partitions of the new topics. None: that of the input topics, or 12.
    replication_factor
        The replication factor of the new topics. None: 3, or the number of brokers if it is
        smaller.

    Returns
    -------
    list of str
        The names of the created topics.

    Raises
    ------
    ConfigurationError
        ``partitions`` is not the partition count of the existing input topics.
    OperatorError
        No broker answers, or the broker refuses.
    """
    async with _admin(settings) as admin:
        report = await _inspect(admin, settings)
        if partitions is not None and report.partitions not in (None, partitions):
            raise ConfigurationError(
                f"--partitions {partitions}: the existing input topics have "
                f"{report.partitions} partitions, and all topics must have the same number"
            )
        partitions = partitions or report.partitions or DEFAULT_PARTITIONS
        if replication_factor is None:
            brokers = (await admin.describe_cluster())["brokers"]
            replication_factor = min(_USUAL_REPLICATION, len(brokers))
        if report.missing:
            await _create(admin, report.missing, partitions, replication_factor)
            # A broker learns of a new topic a little later, and no event signals this.
            created = {topic.name for topic in report.missing}
            while not created <= (await _counts(admin)).keys():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return [topic.name for topic in report.missing]


async def _counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Return the topics that the cluster knows, with their partition counts."""
    # Request all topics: a request for a topic by name may create it.
    described = await admin.describe_topics()
    return {topic["topic"]: n for topic in described if (n := len(topic["partitions"]))}


async def _inspect(admin: AIOKafkaAdminClient, settings: Settings) -> Report:
    counts = await _counts(admin)
    wanted = wanted_topics(settings, counts)
    names = [topic.name for topic in wanted if topic.name in counts]
    configs = await _configs(admin, names)
    topics = {name: Topic(name, counts[name], configs.get(name, {})) for name in names}
    allowed = await fetch_permissions(settings.kafka, [topic.name for topic in wanted])
    return examine(settings, topics, allowed)


async def _configs(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, Mapping[str, str]]:
    """Return the configurations of the topics, as far as the cluster reports them."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        responses = await admin.describe_configs(resources)
    except IncompatibleBrokerVersion:
        return {}
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in responses
        for code, _message, _kind, name, entries in response.resources
        if code == 0
    }


async def _create(
    admin: AIOKafkaAdminClient,
    topics: Sequence[RequiredTopic],
    partitions: int,
    replication_factor: int,
) -> None:
    response = await admin.create_topics(
        [
            NewTopic(topic.name, partitions, replication_factor, topic_configs=dict(topic.configs))
            for topic in topics
        ]
    )
    refused = [
        f"{name}: {message or for_code(code).description}"
        for name, code, message in response.topic_errors
        if code not in (0, _TOPIC_EXISTS)
    ]
    if refused:
        raise OperatorError("the broker refused to create " + "; ".join(refused))


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[Any]:
    """Provide a connected admin client; its failures become an ``OperatorError`` with a fix."""
    servers = settings.kafka.bootstrap_servers
    options = client_options(settings.kafka)
    admin = AIOKafkaAdminClient(**options | {"request_timeout_ms": round(ANSWER_SECONDS * 1e3)})
    with muted("aiokafka"):
        try:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await admin.start()
            except (KafkaError, OSError, TimeoutError):
                if problem := await diagnose(settings.kafka, ANSWER_SECONDS):
                    raise OperatorError(problem) from None
                raise BrokerAwayError(_unreachable(servers)) from None
            try:
                async with asyncio.timeout(2 * ANSWER_SECONDS):
                    yield admin
            except (KafkaError, OSError, TimeoutError) as error:
                reason = str(error) or "no answer in time"
                if problem := await diagnose(settings.kafka, ANSWER_SECONDS):
                    raise OperatorError(problem) from None
                raise BrokerAwayError(
                    f"the Kafka broker at {servers} accepts connections, but a request failed "
                    f"({reason}). Check that the address it advertises (advertised.listeners) "
                    "can be reached from here"
                ) from None
        finally:
            await close("the admin client", admin.close)


def _unreachable(servers: str) -> str:
    return (
        f"no Kafka broker answers at {servers}. Check that it runs, that this machine can reach "
        "it, and kafka.bootstrap_servers (FORESHOCK_KAFKA__BOOTSTRAP_SERVERS). To see Foreshock "
        "without a broker: foreshock demo"
    )
