"""The settings in force, and their changes, from the journal of all instances."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from service.describe import shown
from service.outputs.journal import HEARTBEAT_SECONDS, JournalEntry

ALIVE_NS = round(2.5 * HEARTBEAT_SECONDS * 1e9)
"""How long after an entry of its journal an instance counts as running, in nanoseconds."""


class InForce(Struct, frozen=True):
    """Settings in force from a time on: the budgets, the version, and what changed before.

    ``at`` is in nanoseconds since 1970. ``overrides`` holds the budgets of some symbols, by their
    patterns. ``changes`` has a line ``key: before -> after`` for each change.
    """

    at: int
    instance: str
    occasion: str
    version: str
    false_alarms_per_day: float | None
    overrides: dict[str, float]
    changes: list[str]


def settings_in_force(journal: Sequence[JournalEntry], since: int, until: int) -> list[InForce]:
    """Return the settings in force at the begin, and each change of them in the period.

    Instances may run with different settings. So an entry is compared with the one before it of the
    same instance. A process that starts is compared with the last one of its host, and on a host
    that is new, with the last of all.

    Parameters
    ----------
    journal
        The entries, in the order of their times.
    since, until
        The period in nanoseconds since 1970; ``until`` is not part of it.
    """
    found = [_in_force(entry, []) for entry in _at_begin(journal, since)]
    of_instance: dict[str, JournalEntry] = {}
    of_host: dict[str, JournalEntry] = {}
    last: JournalEntry | None = None
    for entry in journal:
        if not entry.settings or entry.at >= until:
            continue
        host = _host(entry)
        before = of_instance.get(entry.instance) or of_host.get(host) or last
        changes = _changes(before, entry)
        if entry.at >= since and (before is None or changes):
            found.append(_in_force(entry, changes))
        of_instance[entry.instance] = of_host[host] = last = entry
    return found


def _at_begin(journal: Sequence[JournalEntry], since: int) -> Iterator[JournalEntry]:
    """Yield the different settings of the instances that ran at the begin.

    If none ran, those are yielded that the last one had.
    """
    heard: dict[str, JournalEntry] = {}
    settings: dict[str, JournalEntry] = {}
    for entry in journal:
        if entry.at >= since:
            break
        heard[entry.instance] = entry
        if entry.settings:
            settings.pop(entry.instance, None)
            settings[entry.instance] = entry
    running = [
        entry
        for name, entry in settings.items()
        if heard[name].occasion != "stopped" and since - heard[name].at <= ALIVE_NS
    ]
    yielded: list[JournalEntry] = []
    for entry in running or [*settings.values()][-1:]:
        if all(_changes(other, entry) for other in yielded):
            yielded.append(entry)
            yield entry


def _host(entry: JournalEntry) -> str:
    """Return the host of an instance, whose name is ``host-pid``."""
    return entry.instance.rpartition("-")[0] or entry.instance


def _in_force(entry: JournalEntry, changes: list[str]) -> InForce:
    return InForce(
        at=entry.at,
        instance=entry.instance,
        occasion=entry.occasion,
        version=entry.version,
        false_alarms_per_day=_budget(entry.settings),
        overrides=_overrides(entry.settings),
        changes=changes,
    )


def _budget(settings: Mapping[str, Any]) -> float | None:
    budget = settings.get("detection", {}).get("false_alarms_per_day")
    return float(budget) if isinstance(budget, (int, float)) else None


def _overrides(settings: Mapping[str, Any]) -> dict[str, float]:
    return {
        ", ".join(map(str, entry["symbols"])): float(entry["false_alarms_per_day"])
        for entry in settings.get("overrides", [])
        if entry.get("false_alarms_per_day") is not None
    }


def _changes(before: JournalEntry | None, after: JournalEntry) -> list[str]:
    if before is None:
        return []
    old, new = _flat(before.settings), _flat(after.settings)
    changes = [
        f"{key}: {shown(old[key]) if key in old else 'none'}"
        f" -> {shown(new[key]) if key in new else 'none'}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if before.version != after.version:
        changes.insert(0, f"version: {before.version} -> {after.version}")
    return changes


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted key; an entry of a list by its place."""
    flat: dict[str, Any] = {}
    for section, content in settings.items():
        if isinstance(content, Mapping):
            flat |= {f"{section}.{name}": value for name, value in content.items()}
        else:
            for place, entry in enumerate(content):
                kept = {name: value for name, value in entry.items() if value is not None}
                flat[f"{section}[{place}]"] = kept
    return flat
