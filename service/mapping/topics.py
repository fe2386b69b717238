"""Which topics the entries of ``[[mappings]]`` read."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from service.mapping.rules import TIMESTAMP, MappingSettings, rule

_PREFIX = "topic:"


def input_name(topic: str) -> str:
    """Return the name of the input that a topic of the mappings is; no stream has such a name.

    >>> input_name("coinbase.full")
    'topic:coinbase.full'
    """
    return _PREFIX + topic


def topic_of(name: str) -> str | None:
    """Return the topic of an input of the mappings; None for a stream."""
    return name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else None


def mapped_streams(mappings: Iterable[MappingSettings]) -> set[str]:
    """Return the streams that have an entry: they are read from the topics of their entries."""
    return {entry.stream for entry in mappings}


def topics_of(stream: str, mappings: Iterable[MappingSettings]) -> str:
    """Return the names of the topics and patterns that the entries of a stream read, as text."""
    named = (topic for entry in mappings if entry.stream == stream for topic in entry.topics)
    return ", ".join(dict.fromkeys(named))


def is_pattern(topic: str) -> bool:
    """Return whether a name stands for several topics."""
    return "*" in topic


def entries_of(topic: str, mappings: Iterable[MappingSettings]) -> list[MappingSettings]:
    """Return the entries whose topics contain one."""
    return [entry for entry in mappings if any(fnmatchcase(topic, its) for its in entry.topics)]


def matching(
    mappings: Sequence[MappingSettings], existing: Iterable[str], others: Collection[str]
) -> list[str]:
    """Return the existing topics that entries read, sorted.

    ``others`` are topics with another use: a pattern does not stand for them.
    """
    return sorted(
        topic
        for topic in existing
        if topic not in others and not topic.startswith("__") and entries_of(topic, mappings)
    )


def without_timestamps(mappings: Iterable[MappingSettings]) -> tuple[MappingSettings, ...]:
    """Return the entries that can be read from files: those that need no timestamp of a record."""
    return tuple(
        entry
        for entry in mappings
        if all(TIMESTAMP not in rule(given).paths for given in entry.fields.values())
    )


def columns_of(topic: str, mappings: Iterable[MappingSettings]) -> tuple[str, ...] | None:
    """Return the columns of the CSV files of a topic; None if the first line has their names."""
    return next((its.columns for its in entries_of(topic, mappings) if its.columns), None)
