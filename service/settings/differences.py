"""What differs between two settings, for a person to read. Secrets are never shown."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

import msgspec

from service.describe import shown
from service.settings.entries import ENTRY_TYPES, Entry
from service.settings.load import known_settings
from service.settings.secrets import HIDDEN, Secret
from service.settings.types import Settings

NONE = "none"


def differences(before: Settings, after: Settings) -> list[str]:
    """Each setting that differs, as ``key: before -> after``; nothing if they are the same.

    An entry of a list is known by its place in it, after the change or, if it is gone, before.

    >>> from service.settings.types import DetectionSettings
    >>> differences(Settings(), Settings(detection=DetectionSettings(false_alarms_per_day=0.5)))
    ['detection.false_alarms_per_day: 1.0 -> 0.5']
    """
    return [*_of_settings(before, after), *_of_entries(before, after)]


def _of_settings(before: Settings, after: Settings) -> Iterator[str]:
    for key in known_settings():
        old, new = _value(before, key), _value(after, key)
        if old != new:
            yield f"{key}: {_told(old)} -> {_told(new)}"


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part)
    return value


def _of_entries(before: Settings, after: Settings) -> Iterator[str]:
    for name in ENTRY_TYPES:
        old, new = getattr(before, name), getattr(after, name)
        steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        for step, old_start, old_stop, new_start, new_stop in steps:
            if step == "equal":
                continue
            gone, come = range(old_start, old_stop), range(new_start, new_stop)
            for i, j in zip_longest(gone, come):
                was = _told(old[i]) if i is not None else NONE
                becomes = _told(new[j]) if j is not None else NONE
                yield f"{name}[{i if j is None else j}]: {was} -> {becomes}"


def _told(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, Secret):
        return HIDDEN if value else shown("")
    if isinstance(value, Entry):
        fields = msgspec.to_builtins(value)
        return shown({key: its for key, its in fields.items() if its is not None})
    return shown(value)
