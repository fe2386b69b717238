"""The lists of a configuration file, ``[[overrides]]`` and ``[[maintenance]]``: read and shown.

An entry is known by its list and its place in it, counted from 0: ``maintenance[1]``. Whatever is
wrong in any entry is told by its name and the field's, with what would be right.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from detectors.catalogue import NAMES
from service.describe import expected, shortened, shown
from service.settings.types import MaintenanceSettings, OverrideSettings, Settings

Entry = OverrideSettings | MaintenanceSettings

ENTRY_TYPES: dict[str, type[Entry]] = {
    "overrides": OverrideSettings,
    "maintenance": MaintenanceSettings,
}

_ONCE = ("from", "until")
_WEEKLY = ("days", "start", "minutes")


def read_entries(name: str, value: Any, place: str) -> tuple[tuple[Entry, ...], list[str]]:
    """The entries of a list that are right, and in a sentence each what is wrong in the others.

    Parameters
    ----------
    name
        The list's.
    value
        What stands in the file under this name.
    place
        Where that is, for the sentences.
    """
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        return (), [f"{name}{place}: it is a list of tables; write [[{name}]] above each"]
    entries: list[Entry] = []
    errors: list[str] = []
    for number, table in enumerate(value):
        where = f"{name}[{number}]"
        wrong = [f"{where}{error}" for error in _mistakes(table, ENTRY_TYPES[name], where, place)]
        if not wrong:
            entry = msgspec.convert(table, ENTRY_TYPES[name])
            wrong = [f"{where}{error}" for error in _contradictions(entry, place)]
            entries.append(entry)
        errors += wrong
    return tuple(entries), errors


def entries_as_toml(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    """The lines of a file that gives the same lists and says where they are from."""
    for name in ENTRY_TYPES:
        for entry in getattr(settings, name):
            yield from ("", f"[[{name}]] # {sources[name]}")
            for key, value in msgspec.to_builtins(entry).items():
                if value is not None:
                    yield f"{key} = {shown(value)}"


def _mistakes(table: Mapping[str, Any], kind: type[Entry], where: str, place: str) -> Iterator[str]:
    """What is wrong with single fields of an entry."""
    fields = {entry.encode_name: entry for entry in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            meant = f"did you mean {where}.{close[0]}?" if close else f"it has {', '.join(fields)}"
            yield f".{key}{place}: there is no such setting; {meant}"
            continue
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError:
            right = expected(fields[key].type)
            yield f".{key} = {shortened(shown(value))}{place}: it must be {right}"
    for key, its in fields.items():
        if its.required and key not in table:
            yield f".{key}{place}: it is missing; it must be {expected(its.type)}"


def _contradictions(entry: Entry, place: str) -> Iterator[str]:
    """What no single field of an entry shows."""
    for name in entry.detectors or ():
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            right = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(NAMES)}"
            yield f".detectors{place}: there is no detector {shown(name)}; {right}"
    if isinstance(entry, OverrideSettings):
        yield from _of_override(entry, place)
    else:
        yield from _of_window(entry, place)


def _of_override(entry: OverrideSettings, place: str) -> Iterator[str]:
    values = (entry.min_relative_deviation, entry.only, entry.false_alarms_per_day)
    if all(value is None for value in values):
        able = "min_relative_deviation, only or false_alarms_per_day"
        yield f"{place}: it sets nothing; give it {able}"
    if entry.false_alarms_per_day is not None and entry.detectors is not None:
        yield (
            f".false_alarms_per_day{place}: the budget is a symbol's, shared by its detectors; set "
            "it in an entry without detectors"
        )


def _of_window(entry: MaintenanceSettings, place: str) -> Iterator[str]:
    given = [key for key, value in msgspec.to_builtins(entry).items() if value is not None]
    once = [key for key in _ONCE if key in given]
    weekly = [key for key in _WEEKLY if key in given]
    if once and weekly:
        yield (
            f"{place}: it has both {' and '.join(once)} and {' and '.join(weekly)}; a window is "
            "either once (from, until) or weekly (days, start, minutes)"
        )
        return
    if not once and not weekly:
        yield f"{place}: it has no time; give it from and until, or days, start and minutes"
        return
    kind, needed = ("once", _ONCE) if once else ("weekly", _WEEKLY)
    for key in needed:
        if key not in given:
            yield f".{key}{place}: it is missing; a window that is {kind} has {', '.join(needed)}"
    if entry.from_ is not None and entry.until is not None and entry.until <= entry.from_:
        until, begin = (moment.isoformat() for moment in (entry.until, entry.from_))
        yield f".until = {until}{place}: it must be after from = {begin}"
