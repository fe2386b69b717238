"""The topics that the service needs, and the problems of the topics that exist."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec import Struct

from service.describe import shown
from service.mapping.topics import is_pattern, mapped_streams, matching
from service.pipeline.wire import AUDIT_STREAMS, REQUIRED_STREAMS, RISK_STREAMS
from service.settings.assembly import other_topics
from service.settings.types import Settings

DEFAULT_PARTITIONS = 12
"""The number of partitions of new topics if there are no input topics yet."""

MIN_MESSAGE_BYTES = 1_048_576
"""The largest size of a dead letter, and of a part of a snapshot, in bytes."""

_DAY_MS = 86_400_000
_YEAR_MS = 400 * _DAY_MS
# A year, and the time to review it.
_COMPACTED = {
    "cleanup.policy": "compact",
    # Kafka compacts closed segments only. Small segments keep short what a restart must read.
    "segment.bytes": "67108864",
    "min.cleanable.dirty.ratio": "0.1",
}
# Heartbeats come every few seconds, and a gateway reads the whole topic: segments close by time.
_SWITCHES = {**_COMPACTED, "segment.ms": "3600000"}
_OUTPUT_CONFIGS: Mapping[str, Mapping[str, str]] = {
    "alerts": {"cleanup.policy": "delete", "retention.ms": str(_YEAR_MS)},
    "signals": {"cleanup.policy": "delete", "retention.ms": str(3 * _DAY_MS)},
    "killswitch": _SWITCHES,
    "deadletters": {"cleanup.policy": "delete", "retention.ms": str(14 * _DAY_MS)},
    "snapshots": _COMPACTED,
    "feedback": _COMPACTED,
    "risk": _COMPACTED,
    "journal": {"cleanup.policy": "delete", "retention.ms": str(_YEAR_MS)},
    "commands": {"cleanup.policy": "delete", "retention.ms": str(_YEAR_MS)},
    "switchlog": {"cleanup.policy": "delete", "retention.ms": str(_YEAR_MS)},
    "liquidation_records": {"cleanup.policy": "delete", "retention.ms": str(_YEAR_MS)},
    "parameter_changes": {"cleanup.policy": "delete", "retention.ms": str(_YEAR_MS)},
}


_OUTPUT_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    # The published records are read back when a partition is restored.
    "alerts": ("READ", "WRITE"),
    "snapshots": ("READ", "WRITE"),
    # The owner of partition 0 computes the risk of liquidations from them, and repeats nothing.
    "signals": ("READ", "WRITE"),
    "risk": ("READ", "WRITE"),
    "liquidation_records": ("READ", "WRITE"),
    "parameter_changes": ("READ", "WRITE"),
    # The same owner sends no second dead letter of a record that it reads again.
    "deadletters": ("READ", "WRITE"),
    # Operators judge with the command or on the console; every instance reads all judgements.
    "feedback": ("READ", "WRITE"),
    # A new owner continues from the last records.
    "killswitch": ("READ", "WRITE"),
    # Only operators write commands.
    "commands": ("READ",),
}


class RequiredTopic(Struct, frozen=True):
    """A topic that the settings name: the key of its setting, and the configuration of a new topic.

    ``operations`` are the operations that access control lists must allow the service.
    ``is_copartitioned``: the topic must have as many partitions as the other such topics.
    """

    key: str
    name: str
    is_input: bool
    is_required: bool
    configs: Mapping[str, str]
    operations: tuple[str, ...]
    is_copartitioned: bool = True


class Topic(Struct, frozen=True):
    """A topic of the cluster; ``configs`` is empty if the cluster does not report it."""

    name: str
    partitions: int
    configs: Mapping[str, str]


class Permissions(Struct, frozen=True):
    """What access control lists allow: ``READ``, ``WRITE``, both or nothing; None: unknown.

    ``topics`` holds every wanted topic that exists or that the user may not describe; nothing is
    allowed on the latter. ``group`` is the consumer group.
    """

    topics: Mapping[str, frozenset[str] | None] = {}
    group: frozenset[str] | None = None


class Report(Struct, frozen=True):
    """The existing topics by name, and their problems as sentences.

    ``partitions`` is the partition count of the input topics; None if they have none in common.
    ``missing`` holds the wanted topics that do not exist, required or not. ``hints`` are sentences
    about what may be intended.
    """

    topics: Mapping[str, Topic]
    missing: tuple[RequiredTopic, ...]
    partitions: int | None
    problems: tuple[str, ...]
    hints: tuple[str, ...] = ()


def wanted_topics(settings: Settings, existing: Iterable[str] = ()) -> list[RequiredTopic]:
    """Return the topics that the settings name, inputs first; topics set to "" are left out.

    ``existing`` are topics that a pattern of a mapping may stand for.
    """
    mapped = mapped_streams(settings.mappings)
    inputs = [
        RequiredTopic(
            f"topics.{key}",
            name,
            is_input=True,
            is_required=key in REQUIRED_STREAMS,
            configs={},
            # What only the audit reads, the service needs no permission for.
            operations=() if key in AUDIT_STREAMS else ("READ",),
            is_copartitioned=key not in RISK_STREAMS and key not in AUDIT_STREAMS,
        )
        for key, name in msgspec.structs.asdict(settings.topics).items()
        if key not in mapped
    ]
    inputs += _mapped_topics(settings, existing)
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


def _mapped_topics(settings: Settings, existing: Iterable[str]) -> list[RequiredTopic]:
    """Return the topics of the mappings: those with a name, and those that patterns stand for."""
    found: dict[str, RequiredTopic] = {}
    others = other_topics(settings)
    existing = list(existing)
    for number, entry in enumerate(settings.mappings):
        named = [topic for topic in entry.topics if not is_pattern(topic)]
        for name in [*named, *matching([entry], existing, others)]:
            before = found.get(name)
            found[name] = RequiredTopic(
                before.key if before is not None else f"mappings[{number}].topics",
                name,
                is_input=True,
                is_required=name in named
                and (
                    entry.stream in REQUIRED_STREAMS or (before is not None and before.is_required)
                ),
                configs={},
                operations=("READ",),
                is_copartitioned=entry.stream not in RISK_STREAMS
                or (before is not None and before.is_copartitioned),
            )
    return list(found.values())


def _unmatched(settings: Settings, topics: Collection[str]) -> list[str]:
    """Return the problems of required streams whose patterns stand for no existing topic."""
    others = other_topics(settings)
    return [
        f"no topic matches mappings[{number}].topics = {shown(entry.topics)}, so there are no "
        f"{entry.stream}; create the topics, or correct the pattern"
        for number, entry in enumerate(settings.mappings)
        if entry.stream in REQUIRED_STREAMS
        and all(map(is_pattern, entry.topics))
        and not matching([entry], topics, others)
    ]


def examine(
    settings: Settings, topics: Mapping[str, Topic], permissions: Permissions | None = None
) -> Report:
    """Return the problems of the existing topics, as sentences that say how to fix them.

    Parameters
    ----------
    topics
        The topics that exist and that the user may describe.
    permissions
        The user's permissions, as far as the cluster reports them.
    """
    permissions = permissions or Permissions()
    wanted = wanted_topics(settings, topics)
    # A topic that the user may not describe may exist: as far as is known, the permission is
    # missing.
    missing = tuple(
        topic
        for topic in wanted
        if topic.name not in topics and permissions.topics.get(topic.name) is None
    )
    inputs = [
        topics[topic.name]
        for topic in wanted
        if topic.is_input and topic.is_copartitioned and topic.name in topics
    ]
    outputs = [topic for topic in wanted if not topic.is_input and topic.name in topics]
    counts = {topic.partitions for topic in inputs}
    partitions = counts.pop() if len(counts) == 1 else None

    problems = [_missing(topic) for topic in missing if topic.is_required]
    problems += _unmatched(settings, topics)
    problems += _denied(settings, topics, permissions)
    servers = settings.kafka.bootstrap_servers
    if partitions is None and inputs:
        problems.append(_unequal(inputs, servers))
    for topic in outputs:
        found = topics[topic.name]
        if partitions is not None and found.partitions != partitions:
            problems.append(_miscounted(topic, found, partitions, servers))
        problems += _misconfigured(topic, found, servers)
    return Report(topics, missing, partitions, tuple(problems), _hints(wanted, topics, permissions))


def table(settings: Settings, report: Report) -> str:
    """Return a table of the wanted topics: name, setting, partitions, retention and record size."""
    rows = [("topic", "setting", "partitions", "cleanup", "retention", "largest record")]
    for topic in wanted_topics(settings, report.topics):
        found = report.topics.get(topic.name)
        if found is None:
            state = "missing" if topic.is_required else "missing, not read"
            rows.append((topic.name, topic.key, state, "", "", ""))
            continue
        policy = found.configs.get("cleanup.policy", "?")
        retention = _duration(found.configs.get("retention.ms")) if "delete" in policy else ""
        largest = found.configs.get("max.message.bytes", "?")
        rows.append((topic.name, topic.key, str(found.partitions), policy, retention, largest))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _duration(milliseconds: str | None) -> str:
    """Format a retention.

    >>> _duration("604800000"), _duration("-1"), _duration("5400000")
    ('7 days', 'unlimited', '1.5 hours')
    """
    if milliseconds is None:
        return "?"
    hours = int(milliseconds) / 3_600_000
    if hours < 0:
        return "unlimited"
    return f"{hours / 24:g} days" if hours >= 24 else f"{hours:g} hours"


def _missing(topic: RequiredTopic) -> str:
    create = "`foreshock topics --create` creates it"
    if topic.is_input:
        create += f", or set {topic.key} to the topic that holds the {topic.key.partition('.')[2]}"
    return f"the topic {topic.name} ({topic.key}) does not exist; {create}"


def _denied(settings: Settings, topics: Mapping[str, Topic], permissions: Permissions) -> list[str]:
    """Return the missing permissions, and how an administrator grants them."""
    kafka = settings.kafka
    principal = kafka.sasl_username or "NAME"
    command = (
        f"kafka-acls.sh --bootstrap-server {kafka.bootstrap_servers} --add --allow-principal "
        f"User:{principal}"
    )
    problems = []
    for topic in wanted_topics(settings, topics):
        allowed = permissions.topics.get(topic.name)
        if allowed is None or (topic.name not in topics and not topic.is_required):
            continue
        problems += [
            f"this user may not {operation} the topic {topic.name} ({topic.key}); grant it with "
            f"`{command} --operation {operation.title()} --topic {topic.name}`"
            for operation in topic.operations
            if operation not in allowed
        ]
    if permissions.group is not None and "READ" not in permissions.group:
        problems.append(
            f"this user may not READ the group {kafka.group_id} (kafka.group_id); grant it with "
            f"`{command} --operation Read --group {kafka.group_id}`"
        )
    return problems


def _hints(
    wanted: list[RequiredTopic], topics: Mapping[str, Topic], permissions: Permissions
) -> tuple[str, ...]:
    return tuple(
        f"this user may not DESCRIBE the topic {topic.name} ({topic.key}), so it is not read; if "
        f'it exists, grant READ on it; if it does not exist, set {topic.key} to ""'
        for topic in wanted
        if not topic.is_required
        and topic.name not in topics
        and permissions.topics.get(topic.name) is not None
    )


def _unequal(inputs: list[Topic], servers: str) -> str:
    counts = ", ".join(f"{topic.name} has {topic.partitions}" for topic in inputs)
    highest = max(topic.partitions for topic in inputs)
    commands = "; ".join(
        _add_partitions(topic.name, highest, servers)
        for topic in inputs
        if topic.partitions < highest
    )
    return (
        f"the input topics must have the same number of partitions, but {counts}; a symbol's "
        f"events must be in the same partition of each. Increase them to {highest} with {commands} "
        "(existing records stay in their old partition: do it before the producers start)"
    )


def _miscounted(topic: RequiredTopic, found: Topic, partitions: int, servers: str) -> str:
    sentence = (
        f"{found.name} ({topic.key}) has {found.partitions} partitions, the input topics have "
        f"{partitions}; the numbers must be equal."
    )
    if found.partitions < partitions:
        return f"{sentence} {_add_partitions(found.name, partitions, servers)}"
    return (
        f"{sentence} Kafka cannot remove partitions: delete the topic and let "
        "`foreshock topics --create` create it again, or name another topic"
    )


def _misconfigured(topic: RequiredTopic, found: Topic, servers: str) -> list[str]:
    problems = []
    policy, needed = found.configs.get("cleanup.policy"), topic.configs["cleanup.policy"]
    if policy is not None and policy != needed:
        loss = (
            "its records would expire, although they are the current state"
            if needed == "compact"
            else "only the last record of each symbol would be kept"
        )
        problems.append(
            f"{found.name} ({topic.key}) has cleanup.policy={policy} and needs {needed}: {loss}. "
            + _set_config(found.name, f"cleanup.policy={needed}", servers)
        )
    largest = int(found.configs.get("max.message.bytes", MIN_MESSAGE_BYTES))
    if topic.key in ("outputs.snapshots", "outputs.deadletters") and largest < MIN_MESSAGE_BYTES:
        problems.append(
            f"{found.name} ({topic.key}) has max.message.bytes={largest}, but its records may "
            f"have up to {MIN_MESSAGE_BYTES} bytes. "
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
