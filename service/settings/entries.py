"""The lists of a configuration file: ``[[overrides]]``, ``[[maintenance]]``, ``[[calendar]]``.

The name of an entry is its list and its index, from 0: ``maintenance[1]``. An error names the entry
and the field, and says which value is valid.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from detectors.catalogue import NAMES
from detectors.incidents.kind import FEED_INTEGRITY, OF_VENUE
from service.describe import expected, shortened, shown
from service.mapping.problems import conflicts, entry_builtins, rule_errors
from service.mapping.rules import MappingSettings
from service.settings.time_zones import zone_names
from service.settings.types import (
    CalendarSettings,
    MaintenanceSettings,
    OverrideSettings,
    Settings,
)

Entry = OverrideSettings | MaintenanceSettings | CalendarSettings | MappingSettings

ENTRY_TYPES: dict[str, type[Entry]] = {
    "overrides": OverrideSettings,
    "maintenance": MaintenanceSettings,
    "calendar": CalendarSettings,
    "mappings": MappingSettings,
}

_NOT_OVERRIDABLE = (FEED_INTEGRITY, *OF_VENUE)
"""Their alerts have no first evidence with a direction and a deviation, and no budget."""

_ONCE = ("from", "until")
_WEEKLY = ("days", "start", "minutes")
_ZONE = "time_zone"


def read_entries(
    name: str, value: Any, place: str, plug_ins: Sequence[str] = ()
) -> tuple[tuple[Entry, ...], list[str]]:
    """Return the valid entries of a list, and one sentence for each error in the others.

    Parameters
    ----------
    name
        Name of the list.
    value
        Value in the file under this name.
    place
        Location of the value, for the sentences.
    plug_ins
        The names of the allowed plug-ins, which an entry may name like detectors.
    """
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        return (), [f"{name}{place}: it must be a list of tables; write [[{name}]] above each"]
    entries: list[Entry] = []
    errors: list[str] = []
    for number, table in enumerate(value):
        where = f"{name}[{number}]"
        found = [
            f"{where}{error}" for error in _field_errors(table, ENTRY_TYPES[name], where, place)
        ]
        if not found:
            entry = msgspec.convert(table, ENTRY_TYPES[name])
            found = [f"{where}{error}" for error in _conflicts(entry, place, plug_ins)]
            entries.append(entry)
        errors += found
    return tuple(entries), errors


def entries_as_toml(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a file with the same lists, each with its source as a comment."""
    for name in ENTRY_TYPES:
        for entry in getattr(settings, name):
            yield from ("", f"[[{name}]] # {sources[name]}")
            yield from (f"{key} = {shown(value)}" for key, value in as_builtins(entry).items())


def as_builtins(entry: Entry) -> Mapping[str, Any]:
    """Return the settings of an entry that are set, as a file has them."""
    if isinstance(entry, MappingSettings):
        return entry_builtins(entry)
    return {key: its for key, its in msgspec.to_builtins(entry).items() if its is not None}


def _field_errors(
    table: Mapping[str, Any], kind: type[Entry], where: str, place: str
) -> Iterator[str]:
    """Yield the errors in single fields of an entry."""
    fields = {entry.encode_name: entry for entry in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {where}.{close[0]}?" if close else f"it has {', '.join(fields)}"
            yield f".{key}{place}: unknown setting; {hint}"
            continue
        found = list(rule_errors(value, "")) if key == "fields" else []
        if found:
            yield from (f".{key}{error}{place}" for error in found)
            continue
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError:
            valid = expected(fields[key].type)
            yield f".{key} = {shortened(shown(value))}{place}: it must be {valid}"
    for key, field in fields.items():
        if field.required and key not in table:
            yield f".{key}{place}: it is missing; it must be {expected(field.type)}"


def _conflicts(entry: Entry, place: str, plug_ins: Sequence[str]) -> Iterator[str]:
    """Yield the errors between fields of an entry, and unknown detectors."""
    if isinstance(entry, MappingSettings):
        yield from (f"{problem}{place}" for problem in conflicts(entry))
        return
    if isinstance(entry, CalendarSettings):
        yield from _calendar_conflicts(entry, place)
        return
    names = (*NAMES, *plug_ins)
    for name in entry.detectors or ():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(names)}"
            yield f".detectors{place}: unknown detector {shown(name)}; {hint}"
    if isinstance(entry, OverrideSettings):
        yield from _override_conflicts(entry, place)
    else:
        yield from _window_conflicts(entry, place)


def _override_conflicts(entry: OverrideSettings, place: str) -> Iterator[str]:
    for name in entry.detectors or ():
        if name in _NOT_OVERRIDABLE:
            yield (
                f".detectors{place}: {shown(name)} compares nothing with what is usual, so an "
                "override cannot change it; hold it back with [[maintenance]]"
            )
    values = (entry.min_relative_deviation, entry.only, entry.false_alarms_per_day)
    if all(value is None for value in values):
        possible = "min_relative_deviation, only or false_alarms_per_day"
        yield f"{place}: it sets nothing; set {possible}"
    if entry.false_alarms_per_day is not None and entry.detectors is not None:
        yield (
            f".false_alarms_per_day{place}: all detectors of a symbol share its budget; set it in "
            "an entry without detectors"
        )


def _calendar_conflicts(entry: CalendarSettings, place: str) -> Iterator[str]:
    """Yield the errors of an entry that gives neither a state with its times nor an expiry."""
    timed = any(
        getattr(entry, name) is not None
        for name in ("from_", "until", "days", "start", "minutes", "time_zone")
    )
    if entry.state is not None:
        yield from _window_conflicts(entry, place)
    elif timed:
        yield f'.state{place}: it is missing; give it "open", "auction", "halted" or "closed"'
    elif entry.expiry_in_name is None:
        yield f"{place}: it sets nothing; give it state with its times, or expiry_in_name"
    if entry.expiry_time is not None and entry.expiry_in_name is None:
        yield f".expiry_in_name{place}: it is missing; expiry_time is for symbols with a date"


def _window_conflicts(entry: MaintenanceSettings | CalendarSettings, place: str) -> Iterator[str]:
    present = [key for key, value in msgspec.to_builtins(entry).items() if value is not None]
    once = [key for key in _ONCE if key in present]
    weekly = [key for key in _WEEKLY if key in present]
    if entry.time_zone is not None:
        if once:
            yield (
                f".{_ZONE}{place}: from and until have an offset of their own; a time zone is for "
                "a weekly window"
            )
        if entry.time_zone not in zone_names():
            close = difflib.get_close_matches(entry.time_zone, zone_names(), n=1)
            meant = f"; did you mean {shown(close[0])}?" if close else ""
            yield f".{_ZONE} = {shown(entry.time_zone)}{place}: no such time zone{meant}"
    if once and weekly:
        yield (
            f"{place}: it has both {' and '.join(once)} and {' and '.join(weekly)}; a window is "
            "either one-time (from, until) or weekly (days, start, minutes)"
        )
        return
    if not once and not weekly:
        yield f"{place}: it has no time; set from and until, or days, start and minutes"
        return
    kind, needed = ("one-time", _ONCE) if once else ("weekly", _WEEKLY)
    for key in needed:
        if key not in present:
            yield f".{key}{place}: it is missing; a {kind} window needs {', '.join(needed)}"
    if entry.from_ is not None and entry.until is not None and entry.until <= entry.from_:
        until, begin = (moment.isoformat() for moment in (entry.until, entry.from_))
        yield f".until = {until}{place}: it must be after from = {begin}"
