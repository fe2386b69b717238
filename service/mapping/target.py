"""One entry of ``[[mappings]]``, resolved: how its messages become events of its stream."""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from service.mapping.convert import Plan, flat_price, plan
from service.mapping.rules import RECORD_PATHS, MappingSettings, rule
from service.pipeline.checks import Checks
from service.pipeline.framing import Opening
from service.pipeline.rejection import MAX_AHEAD_SECONDS, Explainer, TimeUnit
from service.pipeline.wire import ALL_STREAMS, event_class

_FIRST = ("symbol", "price", "entry_price")
"""The fields that the rules of other fields read."""


_ENTRY = "entry_price"


class Common(Struct, frozen=True):
    """What all mappings share: the settings of the wire, and the meaning of quantities."""

    time_unit: TimeUnit = "ns"
    max_record_bytes: int = 1_048_576
    max_ahead_seconds: int = MAX_AHEAD_SECONDS
    nonpositive_prices: tuple[str, ...] = ()
    zero_cancels: bool = False
    opening: Opening | None = None


class Target(Struct, frozen=True):
    """Where the messages of one entry go.

    ``plans`` are in the order in which they are applied. ``build`` takes the fields of the event in
    the order of ``fields``.
    """

    entry: MappingSettings
    plans: tuple[Plan, ...]
    fields: tuple[str, ...]
    build: Any
    explainer: Explainer
    checks: Checks
    common: Common

    @property
    def stream(self) -> str:
        """The stream of the events."""
        return self.entry.stream

    @property
    def reads_record(self) -> bool:
        """Whether a rule reads something of the record beside its message."""
        return any(path in RECORD_PATHS for path in self.paths())

    def paths(self) -> list[str]:
        """Return the paths that the rules read."""
        return list(dict.fromkeys(path for its in self.plans for path in its.rule.paths))

    def events(self, table: Mapping[str, Sequence[Any]], count: int) -> list[Any]:
        """Return the events of a batch; raises one of ``UNREADABLE`` if a value cannot be read."""
        ready: dict[str, Any] = {}
        for its in self.plans:
            column = table[its.rule.path] if its.rule.path is not None else [None] * count
            ready[its.own] = its.apply(column, {**table, **ready})
        return self.made(ready, count)

    def made(self, ready: Mapping[str, Sequence[Any]], count: int) -> list[Any]:
        """Return the events of columns that are ready."""
        return list(map(self.build, *(ready.get(own, repeat(None, count)) for own in self.fields)))


def target(entry: MappingSettings, common: Common, shared: set[str]) -> Target:
    """Resolve an entry. ``shared`` are the paths that more than one rule reads."""
    fields = {own: rule(given) for own, given in entry.fields.items()}
    names = _names(entry.stream, {own: its.path or own for own, its in fields.items()})
    cls = event_class(
        entry.stream,
        names,
        "ns",
        any_price=bool(common.nonpositive_prices),
        zero_cancels=common.zero_cancels and entry.stream == "cancels",
    )
    types = {its.name: its.type for its in msgspec.structs.fields(cls)}
    unit = entry.time_unit or common.time_unit
    order = sorted(fields, key=lambda own: own not in _FIRST)
    plans = [
        plan(
            own,
            fields[own],
            types[own],
            unit,
            shared=own == _ENTRY or bool(shared & set(fields[own].paths)),
        )
        for own in order
    ]
    if entry.stream == "positions" and fields["quantity"].path is not None:
        flat = flat_price(fields["quantity"].path)
        plans = [
            replace(its, steps=(flat, *its.steps)) if its.own == _ENTRY else its for its in plans
        ]
    explainer = Explainer(cls, names, "ns", common.max_ahead_seconds)
    checks = Checks(
        entry.stream, names, explainer, 1, common.max_ahead_seconds, common.nonpositive_prices
    )
    return Target(
        entry, tuple(plans), cls.__struct_fields__, _builder(cls), explainer, checks, common
    )


def _names(stream: str, paths: Mapping[str, str]) -> dict[str, str]:
    """Return a name of its own for each field, for messages: its path, where it has one."""
    names: dict[str, str] = {}
    for own, path in paths.items():
        names[own] = f"{path} for {own}" if path in names.values() else path
    free = [own for own in ALL_STREAMS[stream].__struct_fields__ if own not in names]
    return names | {own: f"unmapped {own}" for own in free}


def _builder(cls: type[Event] | type[RiskEvent] | type[AuditEvent]) -> Any:
    """Return a class of the same fields that takes them by position: that is the fastest."""
    return msgspec.defstruct(
        cls.__name__,
        [(its.name, cast("Any", its.type), None) for its in msgspec.structs.fields(cls)],
        bases=(cls,),
        frozen=True,
        kw_only=False,
        gc=False,
    )
