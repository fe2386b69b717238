"""Decodes the records of a topic with messages of a venue's own shape."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from service.mapping.reader import Batch, Events, Reader, is_outer
from service.mapping.route import Route
from service.mapping.rows import GENERAL, find, shape
from service.mapping.rules import RECORD_PATHS, MappingSettings, rule
from service.mapping.single import Outcome, Record, Refusal, meets, outcomes
from service.mapping.target import Common, target
from service.pipeline.framing import UnopenedError
from service.pipeline.rejection import Rejection
from service.pipeline.wire import Decoded

E = TypeVar("E")

_PART = 64  # records that are decoded one by one because one of them has a fault
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_FAULTS = (
    *_UNDECODABLE,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
)


class MappedDecoder(Generic[E]):
    """Decodes the records of one topic by its entries of ``[[mappings]]``.

    Parameters
    ----------
    entries
        The entries of the topic. A message that meets the conditions of none is ignored.
    common
        What all mappings share.
    others
        Entries of the topic that another reader takes: their messages do not count as ignored.

    Attributes
    ----------
    reads_record
        Whether a rule reads the key or the offset of the records.
    needs_schemas
        Whether the schemas of records must be loaded before they are decoded.

    Examples
    --------
    >>> fields = {"ts_event": "t", "symbol": "s", "order_id": "id"}
    >>> entry = MappingSettings(
    ...     stream="cancels", topics=("md",), when={"e": "gone"}, time_unit="ms", fields=fields
    ... )
    >>> decoder = MappedDecoder([entry], Common())
    >>> record = b'{"e": "gone", "t": 1340285400004, "s": "AAPL", "id": 7}'
    >>> decoder.decode([record], [1340285400005]).events[0].order_id
    '7'
    """

    def __init__(
        self,
        entries: Sequence[MappingSettings],
        common: Common,
        others: Sequence[MappingSettings] = (),
    ) -> None:
        shared = _shared(entries, common)
        by_shape: dict[str | None, list[MappingSettings]] = {}
        for entry in entries:
            by_shape.setdefault(entry.events, []).append(entry)
        self.readers = [
            Reader([target(entry, common, shared) for entry in its]) for its in by_shape.values()
        ]
        self._outer = Route([_outer_conditions(entry) for entry in entries])
        self._reader_of = [list(by_shape).index(entry.events) for entry in entries]
        self._outer_shape = shape(None, dict.fromkeys(self._outer.paths, GENERAL))
        paths = {p for entry in entries for its in entry.fields.values() for p in rule(its).paths}
        self.reads_record = bool(paths & set(RECORD_PATHS))
        self._common = common
        self._others = [(entry.events, Route([entry.when])) for entry in others]
        self.needs_schemas = common.opening is not None and common.opening.needs_schemas
        self._opened = common.opening.opened if common.opening is not None else None

    def decode(
        self,
        values: Sequence[bytes | None],
        arrived_ms: Sequence[int],
        keys: Sequence[bytes | None] = (),
        offsets: Sequence[int] = (),
    ) -> Decoded[E]:
        """Return the events and the rejections of a batch of record values.

        ``keys`` and ``offsets`` are needed if a rule reads them. The other parameters are those of
        ``service.pipeline.wire.Decoder``. A message with several events keeps those without a
        fault; its rejection names the others.
        """
        if not values:
            return Decoded([], [], [])
        batch = Batch(values, arrived_ms, keys, offsets)
        if (found := self._whole(batch)) is not None:
            if found.places is None:
                return Decoded(found.events, [])
            decoded: Decoded[E] = Decoded(found.events, [], found.places)
        else:
            decoded = self._parts(batch)
        with_outcome = {*(decoded.places or ()), *(its.index for its in decoded.rejections)}
        decoded.ignored = len(values) - len(with_outcome)
        if decoded.ignored and self._others:
            without = (its for index, its in enumerate(values) if index not in with_outcome)
            decoded.elsewhere = sum(map(self._is_elsewhere, without))
            decoded.ignored -= decoded.elsewhere
        return decoded

    def _is_elsewhere(self, value: bytes | None) -> bool:
        message, _ = self.message(value)
        return any(meets(message, path, route) for path, route in self._others)

    def _whole(self, batch: Batch) -> Events | None:
        """Return the events; None if any record has a fault."""
        limit = self._common.max_record_bytes
        try:
            values: Sequence[Any] = batch.values
            if max(map(len, values)) > limit:
                return None
            if self._opened is not None:
                batch = Batch(list(map(self._opened, values)), *batch.rest())
            if len(self.readers) == 1:
                return self.readers[0].read(batch)
            return self._by_shape(batch)
        except _FAULTS:
            return None

    def _by_shape(self, batch: Batch) -> Events:
        rows = list(map(self._outer_shape.decode, batch.values))
        table = self._outer_shape.item.columns(self._outer.paths, rows)
        columns = [table[path] for path in self._outer.paths]
        chosen: dict[int, set[int]] = {}
        for number, indices in self._outer.split(columns, len(rows)).items():
            chosen.setdefault(self._reader_of[number], set()).update(indices)
        found: list[tuple[int, int, Any]] = []
        for number, some in chosen.items():
            places = sorted(some)
            its = self.readers[number].read(batch.part(places))
            of_events = range(len(its.events)) if its.places is None else its.places
            pairs = zip(of_events, its.events, strict=True)
            found += [(places[place], number, event) for place, event in pairs]
        found.sort(key=lambda its: its[:2])
        return Events([its[2] for its in found], [its[0] for its in found])

    def _parts(self, batch: Batch) -> Decoded[E]:
        """Decode the parts of a batch: parts without a fault as a whole, others one by one."""
        places: list[int] = []
        decoded: Decoded[E] = Decoded([], [], places)
        unread: Counter[str] = Counter()
        count = len(batch.values)
        for start in range(0, count, _PART):
            indices = range(start, min(start + _PART, count))
            if (found := self._whole(batch.part(indices))) is not None:
                decoded.events += found.events
                its_places = range(len(indices)) if found.places is None else found.places
                places += [start + place for place in its_places]
                continue
            for index in indices:
                alone = batch.part([index])
                if (found := self._whole(alone)) is not None:
                    decoded.events += found.events
                    places += [index] * len(found.events)
                    continue
                its, refusals = self.explain(alone)
                for outcome in its:
                    unread.update(f"{outcome.target.stream}.{name}" for name in outcome.unread)
                    if outcome.event is not None:
                        decoded.events.append(outcome.event)
                        places.append(index)
                if refusals:
                    decoded.rejections.append(_rejection(index, refusals))
        decoded.unread = dict(unread)
        return decoded

    def explain(self, batch: Batch) -> tuple[list[Outcome], list[Refusal]]:
        """Return what the message of a batch of one record becomes, and all refusals in it."""
        message, refusal = self.message(batch.values[0])
        if refusal is not None:
            return [], [refusal]
        if message is None:
            return [], []
        record = Record(
            message,
            batch.keys[0] if batch.keys else None,
            batch.offsets[0] if batch.offsets else 0,
            batch.arrived_ms[0],
        )
        values = tuple(find(message, path) for path in self._outer.paths)
        plain = tuple(None if isinstance(its, dict | list) else its for its in values)
        numbers = {self._reader_of[chosen] for chosen in self._outer.of(plain)}
        found: list[Outcome] = []
        refusals: list[Refusal] = []
        for number in sorted(numbers):
            its, problem = outcomes(self.readers[number], record)
            found += its
            refusals += [problem] if problem is not None else []
        refusals += [its.refusal for its in found if its.refusal is not None]
        return found, refusals

    def message(self, value: bytes | None) -> tuple[Any, Refusal | None]:
        """Return a decoded message, or why it is none. None without a refusal is a tombstone."""
        if not value:
            return None, None
        if len(value) > self._common.max_record_bytes:
            return None, (
                "too_large",
                (
                    f"the record has {len(value)} bytes; wire.max_record_bytes allows "
                    f"{self._common.max_record_bytes}"
                ),
            )
        try:
            if self._opened is not None:
                value = self._opened(value)
            return msgspec.json.decode(value, type=dict[str, Any]), None
        except UnopenedError as error:
            return None, (error.reason, str(error))
        except _UNDECODABLE as error:
            return None, self.readers[0].targets[0].explainer.explain(value, error, 0)


def _rejection(index: int, refusals: Sequence[Refusal]) -> Rejection:
    reason, sentence = refusals[0]
    if len(refusals) > 1:
        sentence += f"; and {len(refusals) - 1} more"
    return Rejection(index, reason, sentence)


def _outer_conditions(entry: MappingSettings) -> dict[str, Any]:
    return {path: its for path, its in entry.when.items() if is_outer(path, entry.events)}


def _shared(entries: Sequence[MappingSettings], common: Common) -> set[str]:
    """Return the paths that the rules of a topic read as values of different types."""
    leaves: dict[str, list[Any]] = {}
    for entry in entries:
        for path in entry.when:
            leaves.setdefault(path, []).append(GENERAL)
        for its in target(entry, common, set()).plans:
            for path in its.rule.paths:
                leaves.setdefault(path, []).append(its.leaf if path == its.rule.path else GENERAL)
    return {path for path, its in leaves.items() if any(leaf != its[0] for leaf in its)}
