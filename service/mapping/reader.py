"""Reads the messages of one shape: rows to columns, columns to events."""

from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from msgspec import Struct

from service.mapping.route import Route
from service.mapping.rows import GENERAL, Shape, shape
from service.mapping.rules import KEY, OFFSET, RECORD_PATHS, ROOT, TIMESTAMP
from service.mapping.target import Target


class Batch(Struct, frozen=True):
    """Records: their values, keys, offsets, and timestamps in the log in milliseconds."""

    values: Sequence[Any]
    arrived_ms: Sequence[int]
    keys: Sequence[bytes | None] = ()
    offsets: Sequence[int] = ()

    def part(self, indices: Sequence[int]) -> "Batch":
        """Return some of the records."""
        return Batch(*(_picked(its, indices) if its else its for its in self._parts()))

    def rest(self) -> tuple[Sequence[int], Sequence[bytes | None], Sequence[int]]:
        """Return all but the values."""
        return self.arrived_ms, self.keys, self.offsets

    def _parts(self) -> tuple[Sequence[Any], ...]:
        return self.values, self.arrived_ms, self.keys, self.offsets


class Events(Struct, frozen=True):
    """Events in the order of their records, and the index of each event's record.

    Without ``places``, each record has one event.
    """

    events: list[Any]
    places: list[int] | None


class Reader:
    """Reads the messages whose events are at one path.

    Parameters
    ----------
    targets
        The resolved entries, all with the same path of the list of events.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self.events_path = targets[0].entry.events
        self.route = Route([its.entry.when for its in targets])
        self._shape: Shape = shape(self.events_path, self._types())
        self._reads = [
            [path for path in its.paths() if path not in RECORD_PATHS] for its in targets
        ]

    def _types(self) -> dict[str, Any]:
        types: dict[str, Any] = dict.fromkeys(self.route.paths, GENERAL)
        for its in self.targets:
            for field in its.plans:
                for path in field.rule.paths:
                    own = field.leaf if path == field.rule.path else GENERAL
                    types[path] = own if types.get(path, own) == own else GENERAL
        return {path: kind for path, kind in types.items() if path not in RECORD_PATHS}

    def read(self, batch: Batch) -> Events:
        """Return the events of a batch. Raises if a value cannot be read, or breaks a rule."""
        messages = list(map(self._shape.decode, batch.values))
        places: Sequence[int] = range(len(messages))
        rows: Sequence[Any] = messages
        if self._shape.items is not None:
            lists = list(map(self._shape.items, messages))
            places = np.repeat(np.arange(len(lists)), list(map(len, lists))).tolist()
            rows = list(chain.from_iterable(lists))
        # With one target, most messages are its own: all columns are read at once.
        paths = [*self.route.paths, *(self._reads[0] if len(self.targets) == 1 else ())]
        routing = self._columns(paths, rows, messages, places)
        columns_of_route = [routing[path] for path in self.route.paths]
        found: list[Any] = []
        found_places: list[int] = []
        groups = self.route.split(columns_of_route, len(rows))
        for number, indices in sorted(groups.items()):
            everything = len(indices) == len(rows)
            its_rows = rows if everything else _picked(rows, indices)
            its_places = places if everything else _picked(places, indices)
            if not its_rows:
                continue
            target = self.targets[number]
            table = routing
            if not everything or len(self.targets) > 1:
                table = self._columns(self._reads[number], its_rows, messages, its_places)
            if target.reads_record:
                table |= _of_record(batch, its_places)
            events = target.events(table, len(its_rows))
            is_whole = everything and self._shape.items is None
            arrived_ms = batch.arrived_ms if is_whole else _picked(batch.arrived_ms, its_places)
            if not target.checks.fit(events, arrived_ms):
                raise ValueError(target.stream)
            if is_whole and len(groups) == 1:
                return Events(events, None)
            found += events
            found_places += its_places
        if len(groups) > 1:
            order = np.argsort(np.array(found_places), kind="stable").tolist()
            return Events(_picked(found, order), _picked(found_places, order))
        return Events(found, found_places)

    def _columns(
        self,
        paths: Sequence[str],
        rows: Sequence[Any],
        messages: Sequence[Any],
        places: Sequence[int],
    ) -> dict[str, Sequence[Any]]:
        table = self._shape.item.columns(paths, rows)
        for path, column in self._shape.message.columns(paths, messages).items():
            table[path] = _picked(column, places)
        return table


def _of_record(batch: Batch, places: Sequence[int]) -> dict[str, Sequence[Any]]:
    table: dict[str, Sequence[Any]] = {TIMESTAMP: _picked(batch.arrived_ms, places)}
    if batch.keys:
        keys = _picked(batch.keys, places)
        table[KEY] = [None if key is None else key.decode() for key in keys]
    if batch.offsets:
        table[OFFSET] = _picked(batch.offsets, places)
    return table


def _picked(column: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    if len(indices) == 0:
        return []
    if len(indices) == 1:
        return [column[indices[0]]]
    return list(itemgetter(*indices)(column))


def is_outer(path: str, events: str | None) -> bool:
    """Return whether a path is of the message, where the events have one of their own.

    >>> is_outer("$.channel", "data"), is_outer("px", "data"), is_outer("px", None)
    (True, False, True)
    """
    return events is None or path.startswith(ROOT)
