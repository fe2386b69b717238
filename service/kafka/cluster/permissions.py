"""What the access control lists allow this user, and what the service needs.

Since version 2.3, Kafka describes a topic together with the user's permissions on it (KIP-430). The
check at the start names every missing permission at once. Without it, the first refused record
would reveal it, possibly hours later.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from service.cancellation import close
from service.kafka.cluster.connection import client_options
from service.kafka.cluster.topics import Permissions
from service.settings.types import KafkaSettings

OPERATIONS: Mapping[str, int] = {"READ": 3, "WRITE": 4}
"""Kafka's codes of the operations that the service needs; each implies DESCRIBE."""

_TOPIC_DENIED = int(TopicAuthorizationFailedError.errno)
_UNKNOWN = -(2**31)


class _Described(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _Describe(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Described
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _DescribeTopics(Request[_Describe]):  # type: ignore[misc]
    """A metadata request, version 8: the first version that reports the user's permissions."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._topics, False, False, True)


class _DescribeGroup3(DescribeGroupsRequest_v3):  # type: ignore[misc]
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # aiokafka 0.14 reads the answer as version 2


class _DescribeGroup(Request[_DescribeGroup3]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([self._group], True)


async def fetch_permissions(kafka: KafkaSettings, topics: Iterable[str]) -> Permissions:
    """Return the user's permissions on topics and on the group, as far as the cluster reports them.

    Raises
    ------
    KafkaError, OSError
        The cluster does not answer.
    """
    client = AIOKafkaClient(**client_options(kafka))
    await client.bootstrap()
    try:
        request = _DescribeTopics(sorted(topics))
        try:
            described = await client.send(client.get_random_node(), request)
        except NotImplementedError:  # raised if the broker does not support the version
            return Permissions()
        allowed = {
            name: frozenset[str]() if error == _TOPIC_DENIED else _operations(bits)
            for error, name, _internal, _partitions, bits in described.topics
            if error in (0, _TOPIC_DENIED)
        }
        return Permissions(allowed, await _of_group(client, kafka.group_id))
    finally:
        await close("the connection that asks for rights", client.close)


async def _of_group(client: AIOKafkaClient, group: str) -> frozenset[str] | None:
    denied = int(GroupAuthorizationFailedError.errno)
    node = client.get_random_node()
    coordinator = await client.send(node, FindCoordinatorRequest(group, 0))
    if coordinator.error_code == denied:
        return frozenset()
    if coordinator.error_code:  # not elected yet: joining the group waits for it
        return None
    try:
        answer = await client.send(coordinator.coordinator_id, _DescribeGroup(group))
    except (KafkaError, NotImplementedError):  # as above: joining the group reports the problem
        return None
    error, *_, bits = answer.groups[0]
    if error == denied:
        return frozenset()
    return None if error else _operations(bits)


def _operations(bits: int) -> frozenset[str] | None:
    if bits == _UNKNOWN:
        return None
    return frozenset(name for name, code in OPERATIONS.items() if bits & (1 << code))
