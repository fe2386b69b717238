"""Asking the Kafka cluster about its topics, and creating those that are missing."""

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

from service.errors import ConfigurationError, OperatorError
from service.kafka.cluster.connection import client_options, why_not
from service.kafka.cluster.permissions import rights
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
"""How long the cluster may take to answer before it counts as not there."""

_USUAL_REPLICATION = 3
_TOPIC_EXISTS = int(TopicAlreadyExistsError.errno)


async def inspect_topics(settings: Settings) -> Report:
    """What topics there are, and what is wrong with them.

    Raises
    ------
    OperatorError
        No broker answers.
    """
    async with _admin(settings) as admin:
        return await _inspect(admin, settings)


async def verify_topics(settings: Settings) -> Report:
    """As ``inspect_topics``, for a service that is about to start.

    Raises
    ------
    OperatorError
        No broker answers, or there is anything wrong with the topics; it says all that is.
    """
    report = await inspect_topics(settings)
    if report.problems:
        problems = "".join(f"\n  {problem}" for problem in report.problems)
        raise OperatorError(f"the topics are not as they must be:{problems}")
    return report


async def explain(settings: Settings, error: Exception) -> str:
    """What ended a session, in words; of a right that was taken away, which one it is."""
    if isinstance(error, (TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
        with suppress(OperatorError):
            return "; ".join((await inspect_topics(settings)).problems) or repr(error)
    return repr(error)


async def create_missing(
    settings: Settings, partitions: int | None, replication_factor: int | None
) -> list[str]:
    """Create the wanted topics that do not exist, and wait until they do.

    Parameters
    ----------
    partitions
        Of the new topics. None: as many as the input topics have, or 12.
    replication_factor
        Of the new topics. None: 3, or fewer where there are fewer brokers.

    Returns
    -------
    list of str
        The names of those that were created.

    Raises
    ------
    ConfigurationError
        ``partitions`` is not the number that the existing input topics have.
    OperatorError
        No broker answers, or it refuses.
    """
    async with _admin(settings) as admin:
        report = await _inspect(admin, settings)
        if partitions is not None and report.partitions not in (None, partitions):
            raise ConfigurationError(
                f"--partitions {partitions}: the input topics that exist have "
                f"{report.partitions} partitions, and all must have the same number"
            )
        partitions = partitions or report.partitions or DEFAULT_PARTITIONS
        if replication_factor is None:
            brokers = (await admin.describe_cluster())["brokers"]
            replication_factor = min(_USUAL_REPLICATION, len(brokers))
        if report.missing:
            await _create(admin, report.missing, partitions, replication_factor)
            # A broker learns of a new topic a little later, and nothing tells when.
            created = {topic.name for topic in report.missing}
            while not created <= (await _counts(admin)).keys():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return [topic.name for topic in report.missing]


async def _counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """The topics that the cluster knows, and how many partitions each has."""
    # All topics, and not only those of interest: to ask for a topic by name may create it.
    described = await admin.describe_topics()
    return {topic["topic"]: n for topic in described if (n := len(topic["partitions"]))}


async def _inspect(admin: AIOKafkaAdminClient, settings: Settings) -> Report:
    counts = await _counts(admin)
    names = [topic.name for topic in wanted_topics(settings) if topic.name in counts]
    configs = await _configs(admin, names)
    topics = {name: Topic(name, counts[name], configs.get(name, {})) for name in names}
    allowed = await rights(settings.kafka, [topic.name for topic in wanted_topics(settings)])
    return examine(settings, topics, allowed)


async def _configs(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, Mapping[str, str]]:
    """The topics' configurations, as far as the cluster tells them."""
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
    """A connected admin client; what goes wrong with it is told in a sentence."""
    servers = settings.kafka.bootstrap_servers
    options = client_options(settings.kafka)
    admin = AIOKafkaAdminClient(**options | {"request_timeout_ms": round(ANSWER_SECONDS * 1e3)})
    with muted("aiokafka"):
        try:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await admin.start()
            except (KafkaError, OSError, TimeoutError):
                why = await why_not(settings.kafka, ANSWER_SECONDS)
                raise OperatorError(why or _unreachable(servers)) from None
            try:
                async with asyncio.timeout(2 * ANSWER_SECONDS):
                    yield admin
            except (KafkaError, OSError, TimeoutError) as error:
                reason = str(error) or "no answer in time"
                if why := await why_not(settings.kafka, ANSWER_SECONDS):
                    raise OperatorError(why) from None
                raise OperatorError(
                    f"the Kafka broker at {servers} accepts connections, but a request failed "
                    f"({reason}). Check that the address it advertises (advertised.listeners) "
                    "can be reached from here"
                ) from None
        finally:
            await admin.close()


def _unreachable(servers: str) -> str:
    return (
        f"no Kafka broker answers at {servers}. Check that it runs, that this machine can reach "
        "it, and kafka.bootstrap_servers (FORESHOCK_KAFKA__BOOTSTRAP_SERVERS). To see Foreshock "
        "without a broker: foreshock demo"
    )
