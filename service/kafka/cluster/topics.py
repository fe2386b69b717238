"""The topics that the service needs, and what is wrong with those that are there."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from service.pipeline.wire import REQUIRED_STREAMS
from service.settings.types import Settings

DEFAULT_PARTITIONS = 12
"""How many partitions new topics get where there are no input topics to follow."""

MIN_MESSAGE_BYTES = 1_048_576
"""A dead letter, and a part of a snapshot, may be as large as this."""

_DAY_MS = 86_400_000
_COMPACTED = {
    "cleanup.policy": "compact",
    # Only closed segments are compacted: small ones keep what a restart reads short.
    "segment.bytes": "67108864",
    "min.cleanable.dirty.ratio": "0.1",
}
_OUTPUT_CONFIGS: Mapping[str, Mapping[str, str]] = {
    "alerts": {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)},
    "signals": {"cleanup.policy": "delete", "retention.ms": str(3 * _DAY_MS)},
    "killswitch": _COMPACTED,
    "deadletters": {"cleanup.policy": "delete", "retention.ms": str(14 * _DAY_MS)},
    "snapshots": _COMPACTED,
}


_OUTPUT_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    # What was published is read back when a partition is restored.
    "alerts": ("READ", "WRITE"),
    "snapshots": ("READ", "WRITE"),
}


class RequiredTopic(Struct, frozen=True):
    """A topic that the settings name: by which key, and what it is created with.

    ``operations`` are those that access control lists must allow the service.
    """

    key: str
    name: str
    is_input: bool
    is_required: bool
    configs: Mapping[str, str]
    operations: tuple[str, ...]


class Topic(Struct, frozen=True):
    """A topic as the cluster has it; ``configs`` is empty where the cluster does not tell."""

    name: str
    partitions: int
    configs: Mapping[str, str]


class Permissions(Struct, frozen=True):
    """What access control lists allow: ``READ``, ``WRITE``, both or nothing; None: not known.

    ``topics`` has every wanted topic that exists or may not be seen; nothing is allowed on a topic
    that may not be seen. ``group`` is the consumer group.
    """

    topics: Mapping[str, frozenset[str] | None] = {}
    group: frozenset[str] | None = None


class Report(Struct, frozen=True):
    """What was found: the topics that exist, by name, and what is wrong, in sentences.

    ``partitions`` is the input topics' count, None while they have none in common.
    ``missing`` are the wanted topics that do not exist, required or not. ``hints`` are sentences
    about what may be as it is meant to be.
    """

    topics: Mapping[str, Topic]
    missing: tuple[RequiredTopic, ...]
    partitions: int | None
    problems: tuple[str, ...]
    hints: tuple[str, ...] = ()


def wanted_topics(settings: Settings) -> list[RequiredTopic]:
    """The topics that the settings name, inputs first; those set to "" are left out."""
    inputs = [
        RequiredTopic(
            f"topics.{key}",
            name,
            is_input=True,
            is_required=key in REQUIRED_STREAMS,
            configs={},
            operations=("READ",),
        )
        for key, name in msgspec.structs.asdict(settings.topics).items()
    ]
    outputs = [
        RequiredTopic(
            f"outputs.{key}",
            name,
            is_input=False,
            is_required=True,
            configs=_OUTPUT_CONFIGS[key],
            operations=_OUTPUT_OPERATIONS.get(key, ("WRITE",)),
        )
        for key, name in msgspec.structs.asdict(settings.outputs).items()
    ]
    return [topic for topic in inputs + outputs if topic.name]


def examine(
    settings: Settings, topics: Mapping[str, Topic], rights: Permissions | None = None
) -> Report:
    """What is wrong with the topics that exist, as sentences that say how to mend it.

    Parameters
    ----------
    topics
        Those that exist and may be seen.
    rights
        What the user may do, as far as the cluster tells.
    """
    rights = rights or Permissions()
    wanted = wanted_topics(settings)
    # A topic that may not be seen may exist: what is missing is the right, as far as is known.
    missing = tuple(
        topic
        for topic in wanted
        if topic.name not in topics and rights.topics.get(topic.name) is None
    )
    inputs = [topics[topic.name] for topic in wanted if topic.is_input and topic.name in topics]
    outputs = [topic for topic in wanted if not topic.is_input and topic.name in topics]
    counts = {topic.partitions for topic in inputs}
    partitions = counts.pop() if len(counts) == 1 else None

    problems = [_missing(topic) for topic in missing if topic.is_required]
    problems += _denied(settings, topics, rights)
    servers = settings.kafka.bootstrap_servers
    if partitions is None and inputs:
        problems.append(_unequal(inputs, servers))
    for topic in outputs:
        found = topics[topic.name]
        if partitions is not None and found.partitions != partitions:
            problems.append(_miscounted(topic, found, partitions, servers))
        problems += _misconfigured(topic, found, servers)
    return Report(topics, missing, partitions, tuple(problems), _hints(wanted, topics, rights))


def table(settings: Settings, report: Report) -> str:
    """The wanted topics for a person: name, setting, partitions, and how long records are kept."""
    rows = [("topic", "setting", "partitions", "cleanup", "retention", "largest record")]
    for topic in wanted_topics(settings):
        found = report.topics.get(topic.name)
        if found is None:
            state = "missing" if topic.is_required else "not there, not read"
            rows.append((topic.name, topic.key, state, "", "", ""))
            continue
        policy = found.configs.get("cleanup.policy", "?")
        kept = _duration(found.configs.get("retention.ms")) if "delete" in policy else ""
        largest = found.configs.get("max.message.bytes", "?")
        rows.append((topic.name, topic.key, str(found.partitions), policy, kept, largest))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _duration(milliseconds: str | None) -> str:
    """A retention for a person.

    >>> _duration("604800000"), _duration("-1"), _duration("5400000")
    ('7 days', 'for ever', '1.5 hours')
    """
    if milliseconds is None:
        return "?"
    hours = int(milliseconds) / 3_600_000
    if hours < 0:
        return "for ever"
    return f"{hours / 24:g} days" if hours >= 24 else f"{hours:g} hours"


def _missing(topic: RequiredTopic) -> str:
    create = "`foreshock topics --create` creates it"
    if topic.is_input:
        create += f", or set {topic.key} to the topic that holds the {topic.key.partition('.')[2]}"
    return f"the topic {topic.name} ({topic.key}) does not exist; {create}"


def _denied(settings: Settings, topics: Mapping[str, Topic], rights: Permissions) -> list[str]:
    """The rights that are lacking, and how an administrator gives them."""
    kafka = settings.kafka
    principal = kafka.sasl_username or "NAME"
    add = (
        f"kafka-acls.sh --bootstrap-server {kafka.bootstrap_servers} --add --allow-principal "
        f"User:{principal}"
    )
    problems = []
    for topic in wanted_topics(settings):
        allowed = rights.topics.get(topic.name)
        if allowed is None or (topic.name not in topics and not topic.is_required):
            continue
        problems += [
            f"this user may not {operation} the topic {topic.name} ({topic.key}); allow it: "
            f"`{add} --operation {operation.title()} --topic {topic.name}`"
            for operation in topic.operations
            if operation not in allowed
        ]
    if rights.group is not None and "READ" not in rights.group:
        problems.append(
            f"this user may not READ the group {kafka.group_id} (kafka.group_id); allow it: "
            f"`{add} --operation Read --group {kafka.group_id}`"
        )
    return problems


def _hints(
    wanted: list[RequiredTopic], topics: Mapping[str, Topic], rights: Permissions
) -> tuple[str, ...]:
    return tuple(
        f"the topic {topic.name} ({topic.key}) may not be seen by this user, so it is not read; if "
        f'it exists, allow to READ it, and if not, set {topic.key} to ""'
        for topic in wanted
        if not topic.is_required
        and topic.name not in topics
        and rights.topics.get(topic.name) is not None
    )


def _unequal(inputs: list[Topic], servers: str) -> str:
    counts = ", ".join(f"{topic.name} has {topic.partitions}" for topic in inputs)
    most = max(topic.partitions for topic in inputs)
    commands = "; ".join(
        _add_partitions(topic.name, most, servers) for topic in inputs if topic.partitions < most
    )
    return (
        f"the input topics must have the same number of partitions, but {counts}; a symbol's "
        f"events must be in the same partition of each. Bring them to {most} with {commands} "
        "(what is already in them stays in its old partition: do it before the producers start)"
    )


def _miscounted(topic: RequiredTopic, found: Topic, partitions: int, servers: str) -> str:
    sentence = (
        f"{found.name} ({topic.key}) has {found.partitions} partitions, the input topics have "
        f"{partitions}; they must be as many."
    )
    if found.partitions < partitions:
        return f"{sentence} {_add_partitions(found.name, partitions, servers)}"
    return (
        f"{sentence} A topic cannot lose partitions: delete it and let "
        "`foreshock topics --create` create it anew, or name another"
    )


def _misconfigured(topic: RequiredTopic, found: Topic, servers: str) -> list[str]:
    problems = []
    policy, right = found.configs.get("cleanup.policy"), topic.configs["cleanup.policy"]
    if policy is not None and policy != right:
        loss = (
            "its records would expire, though they are the current state"
            if right == "compact"
            else "of each symbol's records only the last would be kept"
        )
        problems.append(
            f"{found.name} ({topic.key}) has cleanup.policy={policy} and needs {right}: {loss}. "
            + _set_config(found.name, f"cleanup.policy={right}", servers)
        )
    largest = int(found.configs.get("max.message.bytes", MIN_MESSAGE_BYTES))
    if topic.key in ("outputs.snapshots", "outputs.deadletters") and largest < MIN_MESSAGE_BYTES:
        problems.append(
            f"{found.name} ({topic.key}) has max.message.bytes={largest}, but its records may "
            f"have up to {MIN_MESSAGE_BYTES}. "
            + _set_config(found.name, f"max.message.bytes={MIN_MESSAGE_BYTES + 12}", servers)
        )
    return problems


def _add_partitions(name: str, partitions: int, servers: str) -> str:
    return (
        f"`kafka-topics.sh --bootstrap-server {servers} --alter --topic {name} "
        f"--partitions {partitions}`"
    )


def _set_config(name: str, assignment: str, servers: str) -> str:
    return (
        f"`kafka-configs.sh --bootstrap-server {servers} --alter --topic {name} "
        f"--add-config {assignment}`"
    )
