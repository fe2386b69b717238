"""Reads one message value by value, to say what each became, and why one could not be read."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from service.describe import expected, named, shown_safely
from service.mapping.convert import UNREADABLE, Plan, absence, kind_of
from service.mapping.reader import Reader, is_outer
from service.mapping.route import Route
from service.mapping.rows import GENERAL, find
from service.mapping.rules import KEY, OFFSET, RECORD_PATHS, ROOT, TIMESTAMP
from service.mapping.target import Target
from service.pipeline.rejection import Reason, reason_of

Refusal = tuple[Reason, str]


class Outcome(Struct):
    """What one event of a message became for one entry: an event, or a refusal.

    ``unread`` has a sentence for each optional field that could not be read, by field. ``number``
    is the place of the event in the list of the message.
    """

    target: Target
    number: int | None = None
    event: Any = None
    refusal: Refusal | None = None
    unread: dict[str, str] = field(default_factory=dict)


class Record(Struct, frozen=True):
    """A record as it is read alone: the decoded message, key, offset, and timestamp."""

    message: Any
    key: bytes | None
    offset: int
    arrived_ms: int


def outcomes(reader: Reader, record: Record) -> tuple[list[Outcome], Refusal | None]:
    """Return what a record's message becomes, and why its list of events cannot be read, if so."""
    path = reader.events_path
    if path is None:
        return _of_item(reader, record, record.message, None), None
    items = find(record.message, path)
    if items is None:
        return [], None
    if not isinstance(items, list):
        return [], ("wrong_type", f"{path} is {_shown(items)}; it must be a list of events")
    found: list[Outcome] = []
    for number, item in enumerate(items):
        found += _of_item(reader, record, item, number)
    return found, None


def meets(message: Any, events_path: str | None, route: Route) -> bool:
    """Return whether an event of a decoded message meets the conditions of a route.

    >>> meets({"data": [{"e": "position"}, {"e": "account"}]}, "data", Route([{"e": "account"}]))
    True
    """
    items = [message] if events_path is None else find(message, events_path)
    if message is None or not isinstance(items, list):
        return False
    return any(
        route.of(
            tuple(
                _hashable(find(message if is_outer(path, events_path) else item, path))
                for path in route.paths
            )
        )
        for item in items
    )


def _of_item(reader: Reader, record: Record, item: Any, number: int | None) -> list[Outcome]:
    def at(path: str) -> Any:
        return _value(record, item, path)

    values = tuple(_hashable(at(path)) for path in reader.route.paths)
    return [
        _outcome(reader.targets[chosen], record, item, number) for chosen in reader.route.of(values)
    ]


def _value(record: Record, item: Any, path: str) -> Any:
    if path == KEY:
        return None if record.key is None else record.key.decode("utf-8", "replace")
    if path == OFFSET:
        return record.offset
    if path == TIMESTAMP:
        return record.arrived_ms
    return find(record.message if path.startswith(ROOT) else item, path)


def _hashable(value: Any) -> Any:
    return None if isinstance(value, dict | list) else value


def _outcome(target: Target, record: Record, item: Any, number: int | None) -> Outcome:
    outcome = Outcome(target, number)
    raw = {path: [_value(record, item, path)] for path in target.paths()}
    ready: dict[str, Sequence[Any]] = {}
    place = "" if number is None else f"{target.entry.events}[{number}]: "
    for plan in target.plans:
        column = raw[plan.rule.path] if plan.rule.path is not None else [None]
        try:
            ready[plan.own] = _applied(plan, column, {**raw, **ready})
        except UNREADABLE as error:
            reason, sentence = _explained(target, plan, column[0], error)
            if plan.required:
                outcome.refusal = reason, place + sentence
                return outcome
            ready[plan.own] = [None]
            outcome.unread[plan.own] = sentence
    (event,) = target.made(ready, 1)
    if problem := target.checks.problem(event, record.arrived_ms):
        outcome.refusal = problem[0], place + problem[1]
    else:
        outcome.event = event
    return outcome


def _applied(
    plan: Plan, column: Sequence[Any], others: Mapping[str, Sequence[Any]]
) -> Sequence[Any]:
    if plan.leaf is not GENERAL:
        column = msgspec.convert(column, list[plan.leaf], strict=False)  # type: ignore[name-defined]
    return plan.apply(column, others)


def _explained(target: Target, plan: Plan, raw: Any, error: Exception) -> Refusal:
    path = plan.rule.path or plan.own
    name = path if path == plan.own else f"{path} ({plan.own})"
    kind = kind_of(plan.annotation)
    if absence(plan.rule.absent, kind)(raw):
        return "missing_field", f"{name} is missing; {_wanted(target, plan)}"
    sentence = f"{name} is {_shown(raw)}; {_wanted(target, plan)}"
    if kind == "time":
        out_of_range = isinstance(error, msgspec.ValidationError) and "=" in str(error)
        if not out_of_range:
            return "wrong_type", sentence
        return ("too_old" if ">=" in str(error) else "in_the_future"), sentence
    if isinstance(error, KeyError) and plan.rule.values is not None:
        return reason_of(plan.own, "Invalid enum value"), sentence
    if isinstance(error, msgspec.ValidationError):
        return reason_of(plan.own, str(error)), sentence
    return "wrong_type", f"{sentence}; {error}"


def _wanted(target: Target, plan: Plan) -> str:
    rule = plan.rule
    if kind_of(plan.annotation) == "time":
        unit = rule.unit or target.entry.time_unit or target.common.time_unit
        form = (
            "a date and time of ISO 8601 with its offset" if unit == "iso" else f"a time in {unit}"
        )
        return f"it must be {form}, after the year 2000"
    if rule.values is not None:
        return f"it must be one of {named(list(rule.values))}"
    return f"it must be {expected(plan.annotation)}"


def _shown(value: Any) -> str:
    return shown_safely(msgspec.json.encode(value).decode("utf-8", "replace"))


def read_paths(reader: Reader) -> set[str]:
    """Return the paths that the reader's rules and conditions read."""
    paths = {path for its in reader.targets for path in its.paths()} | set(reader.route.paths)
    return paths - set(RECORD_PATHS)
