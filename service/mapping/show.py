"""Says what sample messages become, value by value, for ``foreshock map``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from service.describe import shown_safely
from service.mapping.decoder import MappedDecoder
from service.mapping.reader import Batch
from service.mapping.rows import find
from service.mapping.rules import ROOT
from service.mapping.single import Outcome, read_paths


class Told(Struct):
    """What one message became: a line for each event, refusal and unread field."""

    lines: list[str]
    refused: int = 0
    unread: int = 0


class Summary(Struct):
    """Counts over all messages of the samples.

    ``unused`` counts the fields that no rule reads, by path.
    """

    messages: int = 0
    ignored: int = 0
    refused: int = 0
    unread: int = 0
    events: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)


def told(decoder: MappedDecoder[Any], batch: Batch, summary: Summary) -> Told:
    """Return what the message of a batch of one record becomes, and add it to the summary."""
    outcomes, refusals = decoder.explain(batch)
    lines: list[str] = []
    unread = 0
    for outcome in outcomes:
        if outcome.event is not None:
            lines.append(f"{outcome.target.stream:<12}{_event(outcome.event)}")
            summary.events[outcome.target.stream] += 1
        lines += [f"{'':<12}absent: {sentence}" for sentence in outcome.unread.values()]
        unread += len(outcome.unread)
    lines += [f"{'rejected':<12}{reason}: {sentence}" for reason, sentence in refusals]
    if not lines:
        lines.append(f"{'ignored':<12}{_why(decoder, batch)}")
        summary.ignored += 1
    message, _ = decoder.message(batch.values[0])
    used = {reader.events_path: read_paths(reader) for reader in decoder.readers}
    if outcomes and isinstance(message, dict):
        summary.unused.update(_unused(message, _used(outcomes, used)))
    summary.messages += 1
    summary.refused += bool(refusals)
    summary.unread += unread
    return Told(lines, len(refusals), unread)


def _event(event: Any) -> str:
    fields = {name: its for name, its in msgspec.structs.asdict(event).items() if its is not None}
    return msgspec.json.encode(fields).decode()


def _why(decoder: MappedDecoder[Any], batch: Batch) -> str:
    if not batch.values[0]:
        return "it has no value"
    message, _ = decoder.message(batch.values[0])
    paths = {path for reader in decoder.readers for path in reader.route.paths}
    given = {path: find(message, path) for path in sorted(paths)}
    told = [
        f"{path} is {shown_safely(msgspec.json.encode(value).decode())}"
        for path, value in given.items()
        if value is not None
    ]
    return f"no mapping takes it: {', '.join(told) or 'it has no event'}"


def _used(outcomes: Sequence[Outcome], used: Mapping[str | None, set[str]]) -> set[str]:
    """Return the paths that were read, as seen from the message; ``*`` is any place in a list."""
    found: set[str] = set()
    for outcome in outcomes:
        events = outcome.target.entry.events
        for path in used[events]:
            is_inner = events is not None and not path.startswith(ROOT)
            found.add(f"{events}.*.{path}" if is_inner else path.removeprefix(ROOT))
    return found


def _unused(message: Any, used: set[str]) -> set[str]:
    """Return the paths of the values of a message that no rule reads."""
    return {path for path in _paths(message, ("",)) if not _is_read(path, used)}


def _is_read(path: str, used: set[str]) -> bool:
    parts = path.split(".")
    return any(_fits(parts, its.split(".")) for its in used)


def _fits(parts: Sequence[str], used: Sequence[str]) -> bool:
    return len(parts) >= len(used) and all(
        part == its or (part == "*" and its.isdigit())
        for part, its in zip(parts, used, strict=False)
    )


def _paths(value: Any, at: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, its in value.items():
            yield from _paths(its, (*at, name))
    elif isinstance(value, list) and value:
        for its in value:
            yield from _paths(its, (*at, "*"))
    else:
        yield ".".join(at[1:])


def missing(decoder: MappedDecoder[Any]) -> list[tuple[str, list[str]]]:
    """Return, for each entry, the optional fields of its stream that no rule gives."""
    return [
        (target.stream, [own for own in target.fields if own not in target.entry.fields])
        for reader in decoder.readers
        for target in reader.targets
    ]
