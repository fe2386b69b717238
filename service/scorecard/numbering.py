"""Sequence numbers for a recording with injected events, so that the feed looks complete."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from detectors.market_data.events import Event, Kind


class Numbering(Struct, frozen=True):
    """How a symbol's events are numbered: all streams together or each, and where gaps are."""

    together: bool
    lost: dict[tuple[Kind | None, int], int]


def numbering(events: Iterable[Event]) -> dict[str, Numbering]:
    """The numbering of each symbol whose events are numbered in order."""
    numbers: dict[str, list[tuple[Kind, int]]] = defaultdict(list)
    unnumbered = set()
    for event in events:
        if event.sequence is None:
            unnumbered.add(event.symbol)
        else:
            numbers[event.symbol].append((event.kind, event.sequence))
    found = {}
    for symbol, its in numbers.items():
        if symbol in unnumbered:
            continue
        lost = _lost((None, number) for _, number in its)
        together = lost is not None
        if lost is None:
            lost = _lost(its)
        if lost is not None:
            found[symbol] = Numbering(together, lost)
    return found


def _lost(
    numbers: Iterable[tuple[Kind | None, int]],
) -> dict[tuple[Kind | None, int], int] | None:
    """The numbers that are missing before an event; None if they do not increase."""
    last: dict[Kind | None, int] = {}
    lost = {}
    for stream, number in numbers:
        missing = number - last.get(stream, number - 1) - 1
        if missing < 0:
            return None
        if missing:
            lost[stream, number] = missing
        last[stream] = number
    return lost


def renumbered(events: Iterable[Event], by_symbol: Mapping[str, Numbering]) -> list[Event]:
    """The events with new sequence numbers, in their order: injected events have none yet.

    Events that an episode has removed leave no gap. Gaps of the recording remain. Events of symbols
    without an entry in ``by_symbol`` remain as they are.
    """
    following: dict[tuple[str, Kind | None], int] = {}
    result = []
    for event in events:
        its = by_symbol.get(event.symbol)
        if its is None:
            result.append(event)
            continue
        stream = None if its.together else event.kind
        number = following.get((event.symbol, stream), event.sequence or 1)
        if event.sequence is not None:
            number += its.lost.get((stream, event.sequence), 0)
        following[event.symbol, stream] = number + 1
        result.append(
            event if event.sequence == number else msgspec.structs.replace(event, sequence=number)
        )
    return result
