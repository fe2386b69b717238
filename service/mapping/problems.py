"""Errors in the entries of ``[[mappings]]``, as sentences for the operator."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from service.describe import expected, named, shortened, shown
from service.mapping.convert import kind_of, without_none
from service.mapping.rules import RECORD_PATHS, ROOT, FieldRule, MappingSettings, rule
from service.pipeline.wire import ALL_STREAMS

_FOR_TIMES = ("unit", "since")
_FOR_NUMBERS = ("minus", "divisor", "contract_size", "inverse", "sign")


def rule_errors(fields: Any, where: str) -> Iterator[str]:
    """Yield the errors in the tables of ``fields`` that have a wrong setting or type."""
    if not isinstance(fields, dict):
        return
    known = {its.name: its for its in msgspec.structs.fields(FieldRule)}
    for own, given in fields.items():
        place = f"{where}.{own}"
        if isinstance(given, str):
            if not given:
                yield f"{place}: it must be the path of a field"
        elif not isinstance(given, dict):
            yield f"{place} = {shown(given)}: it must be a path, or a table with a path"
        else:
            for key, value in given.items():
                if key not in known:
                    close = difflib.get_close_matches(key, known, n=1)
                    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                    yield f"{place}.{key}: unknown setting; {hint}"
                    continue
                try:
                    msgspec.convert(value, known[key].type)
                except msgspec.ValidationError as error:
                    text = shortened(shown(value))
                    yield f"{place}.{key} = {text}: {str(error).partition(' - at')[0]}"


def conflicts(entry: MappingSettings) -> Iterator[str]:
    """Yield the errors between the settings of an entry, each with the place in the entry."""
    types = {its.name: its for its in msgspec.structs.fields(ALL_STREAMS[entry.stream])}
    for own, given in entry.fields.items():
        if own not in types:
            close = difflib.get_close_matches(own, types, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(types)}"
            yield f".fields.{own}: {entry.stream} have no such field; {hint}"
            continue
        for problem in _rule_conflicts(own, rule(given), types[own].type, entry):
            yield f".fields.{own}: {problem}"
    missing = [own for own, its in types.items() if its.required and own not in entry.fields]
    if missing:
        yield f".fields: {', '.join(missing)} missing; {entry.stream} need them"
    paths = [*entry.when, *(path for its in entry.fields.values() for path in rule(its).paths)]
    if entry.events is not None:
        paths.append(ROOT + entry.events)
    yield from _nested(paths)


def _nested(paths: Sequence[str]) -> Iterator[str]:
    """Yield the paths of which one is a part of another: a value cannot be an object too."""
    every = sorted(set(paths))
    for path in every:
        inside = [its for its in every if its.startswith(path + ".")]
        if inside:
            yield f": {path} is the path of a value, and of the object of {inside[0]}"


def between(entries: Sequence[MappingSettings]) -> Iterator[str]:
    """Yield the errors between entries that read the same topics."""
    together: dict[Any, list[str]] = {}
    for entry in entries:
        paths = together.setdefault((entry.topics, entry.events), [])
        paths += [*entry.when, *(path for its in entry.fields.values() for path in rule(its).paths)]
    for (topics, _events), paths in together.items():
        for problem in _nested(paths):
            yield f"mappings of {named(topics)}{problem}"


def _rule_conflicts(
    own: str, its: FieldRule, annotation: Any, entry: MappingSettings
) -> Iterator[str]:
    kind = kind_of(annotation)
    if (its.path is None) == (its.value is None):
        yield "give it either a path or a value"
    if its.value is not None:
        yield from _unfit("value", its.value, annotation)
    for theirs, ours in (its.values or {}).items():
        yield from _unfit(f"values.{theirs}", ours, annotation)
    if kind != "time":
        yield from _only(its, _FOR_TIMES, "times")
    if kind != "number":
        yield from _only(its, _FOR_NUMBERS, "numbers")
    yield from _more_rule_conflicts(own, its, kind, entry)


def _more_rule_conflicts(
    own: str, its: FieldRule, kind: str, entry: MappingSettings
) -> Iterator[str]:
    if its.opposite and own != "side":
        yield "opposite is for side"
    if its.after is not None and kind != "name":
        yield "after is for names"
    if its.inverse and not {"price", "entry_price"} & entry.fields.keys():
        yield "inverse divides by the price of the event, and the entry maps none"
    if (its.sign is None) != (not its.negative):
        yield "sign and negative belong together"
    if its.path is not None and its.path.startswith("@") and its.path not in RECORD_PATHS:
        yield f"{its.path} is no path; there are {named(RECORD_PATHS)}"
    if its.since is not None and (its.unit or entry.time_unit) == "iso":
        yield "since is for times that are counted"


def _only(its: FieldRule, names: Sequence[str], what: str) -> Iterator[str]:
    for name in names:
        if getattr(its, name):
            yield f"{name} is for {what}"


def _unfit(name: str, value: Any, annotation: Any) -> Iterator[str]:
    try:
        msgspec.convert(value, without_none(annotation), strict=False)
    except msgspec.ValidationError:
        yield f"{name} = {shown(value)}; it must be {expected(annotation)}"


def entry_builtins(entry: MappingSettings) -> Mapping[str, Any]:
    """Return the settings of an entry that are set, as a file has them."""
    found: dict[str, Any] = _compact(msgspec.to_builtins(entry))
    return found


def _compact(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _compact(its) for key, its in value.items()}
        return {key: its for key, its in kept.items() if its not in (None, False, [], (), {})}
    return value
