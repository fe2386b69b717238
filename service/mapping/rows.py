"""Rows: the part of a message that rules read, as one class that msgspec decodes in one pass.

A row class mirrors the paths: a part of a path is a field of a nested class, a number is a place in
a list. Everything else in the message is skipped by the decoder.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from service.mapping.rules import ROOT

GENERAL = str | int | float | bool | None
"""The type of a value that more than one rule reads, or that is changed before it is checked."""

_FEW = 2
"""Up to this many values of an object are read one by one; more are read at once."""

Getter = Callable[[Any], Any]


class Shape(Struct, frozen=True):
    """How messages with one kind of list are read.

    ``decode`` returns the message's class. ``items`` returns its list of events; None if each
    message is one event. ``item`` and ``message`` are the tables of their values.
    """

    decode: Callable[[bytes], Any]
    items: Getter | None
    item: "Table"
    message: "Table"


class Table(Struct, frozen=True):
    """How the values of rows are read, as columns by path.

    ``attributes`` are the names of the values in the row class: ``f0.f2`` is the third field of the
    object in the first.
    """

    attributes: Mapping[str, str] = {}

    def columns(self, paths: Sequence[str], rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
        """Return the columns of those of the paths that the rows have."""
        within: dict[str, dict[str, str]] = {}
        for path in paths:
            if path in self.attributes:
                owner, _, name = self.attributes[path].rpartition(".")
                within.setdefault(owner, {})[path] = name
        found: dict[str, Sequence[Any]] = {}
        for owner, names in within.items():
            objects = list(map(attrgetter(owner), rows)) if owner else rows
            if len(names) <= _FEW or not objects:
                found |= {path: list(map(attrgetter(its), objects)) for path, its in names.items()}
            else:
                every = list(zip(*map(astuple, objects), strict=True))
                found |= {path: every[int(its[1:])] for path, its in names.items()}
        return found


def shape(events: str | None, types: Mapping[str, Any]) -> Shape:
    """Build the classes for paths and their types.

    Parameters
    ----------
    events
        The path of the list of events; None if each message is one event.
    types
        The type of the value at each path.
    """
    if events is None:
        row, names = _row({path.removeprefix(ROOT): kind for path, kind in types.items()})
        paths = {path: names[path.removeprefix(ROOT)] for path in types}
        return Shape(_decoder(row), None, Table(paths), Table())
    outer = {path.removeprefix(ROOT): of for path, of in types.items() if path.startswith(ROOT)}
    inner = {path: of for path, of in types.items() if not path.startswith(ROOT)}
    item, item_names = _row(inner)
    message, names = _row({**outer, events: list[item]})  # type: ignore[valid-type]
    return Shape(
        _decoder(message),
        attrgetter(names[events]),
        Table({path: item_names[path] for path in inner}),
        Table({ROOT + path: names[path] for path in outer}),
    )


def _decoder(row: type[Struct]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(row, strict=False).decode


def _row(types: Mapping[str, Any]) -> tuple[type[Struct], dict[str, str]]:
    """Return a row class, and the name of each path's attribute in it."""
    return _node({tuple(path.split(".")): kind for path, kind in types.items()})


def _node(types: Mapping[tuple[str, ...], Any]) -> tuple[type[Struct], dict[str, str]]:
    children: dict[str, dict[tuple[str, ...], Any]] = {}
    for parts, kind in types.items():
        children.setdefault(parts[0], {})[parts[1:]] = kind
    is_list = bool(children) and all(name.isdigit() for name in children)
    names = [str(n) for n in range(max(map(int, children)) + 1)] if is_list else list(children)
    fields: list[Any] = []
    attributes: dict[str, str] = {}
    for number, name in enumerate(names):
        attribute = f"f{number}"
        under = children.get(name, {(): Any})
        if () in under:
            fields.append((attribute, under[()], None))
            attributes[name] = attribute
            continue
        nested, inner = _node(under)
        # A part that is absent has only absent values; a part that is null is read one by one.
        fields.append((attribute, nested, msgspec.field(default_factory=nested)))
        attributes |= {f"{name}.{path}": f"{attribute}.{its}" for path, its in inner.items()}
    row = msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{number}": name for number, name in enumerate(names)},
        array_like=is_list,
        gc=False,
    )
    return row, attributes


def find(message: Any, path: str) -> Any:
    """Return the value at a path of a decoded message; None if there is none.

    >>> find({"a": [{"b": 1}]}, "a.0.b"), find({"a": 1}, "a.b")
    (1, None)
    """
    value = message
    for part in path.removeprefix(ROOT).split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
