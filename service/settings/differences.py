"""Differences between two settings, for a person to read. Secrets are never shown."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from service.describe import shown
from service.settings.entries import ENTRY_TYPES, Entry, as_builtins
from service.settings.load import known_settings
from service.settings.secrets import HIDDEN, Secret
from service.settings.types import Settings

NONE = "none"


def differences(before: Settings, after: Settings) -> list[str]:
    """Return each setting that differs, as ``key: before -> after``; empty without differences.

    The name of a list entry has its index after the change or, for a removed entry, before it.
    >>> from service.settings.types import DetectionSettings
    >>> differences(Settings(), Settings(detection=DetectionSettings(false_alarms_per_day=0.5)))
    ['detection.false_alarms_per_day: 1.0 -> 0.5']
    """
    return [*_setting_differences(before, after), *_entry_differences(before, after)]


def _setting_differences(before: Settings, after: Settings) -> Iterator[str]:
    for key in known_settings():
        old, new = _value(before, key), _value(after, key)
        if old != new:
            yield f"{key}: {_formatted(old)} -> {_formatted(new)}"


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part)
    return value


def _entry_differences(before: Settings, after: Settings) -> Iterator[str]:
    for name in ENTRY_TYPES:
        old, new = getattr(before, name), getattr(after, name)
        steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        for step, old_start, old_stop, new_start, new_stop in steps:
            if step == "equal":
                continue
            removed, added = range(old_start, old_stop), range(new_start, new_stop)
            for i, j in zip_longest(removed, added):
                old_text = _formatted(old[i]) if i is not None else NONE
                new_text = _formatted(new[j]) if j is not None else NONE
                yield f"{name}[{i if j is None else j}]: {old_text} -> {new_text}"


def _formatted(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, Secret):
        return HIDDEN if value else shown("")
    if isinstance(value, Entry):
        return shown(dict(as_builtins(value)))
    return shown(value)
