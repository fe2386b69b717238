"""Several topics of one partition number, merged into one sequence in event time.

The order is (ts_event, sequence, topic, offset). An event waits until no topic can still bring an
earlier one: until every topic that is not idle has been seen ``max_disorder_ns`` further. That
point is the watermark; what is before it is released. So any chunking and interleaving of the same
logs gives the same sequence.

An event that is older than its own topic's newest by more than ``max_disorder_ns``, or older than
the watermark because its topic was taken for idle, is late: it takes the earliest place that is
left and is marked.
"""

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.market_data.events import Event, Late

Times = NDArray[np.int64]


class StreamPosition(Struct, frozen=True):
    """How far one topic was read.

    What precedes offset ``start`` has all been released, at which point the topic's newest event
    time was ``newest_ns``; offsets below ``read`` have been fed.
    """

    start: int = 0
    newest_ns: int = 0
    read: int = 0


class Position(Struct, frozen=True):
    """How far a partition has come: what precedes the watermark has been released."""

    watermark_ns: int
    streams: Mapping[str, StreamPosition]


class _Chunk(Struct, gc=False):
    """A batch as it was fed, kept until all of it has been released."""

    start: int
    newest_before_ns: int
    latest_ns: int


class _Stream:
    """One topic of the partition; ``places`` are the event times of what is pending, in order."""

    __slots__ = ("chunks", "idle", "newest_ns", "pending", "places", "read")

    def __init__(self) -> None:
        self.pending: list[Event | Late] = []
        self.places: Times = np.empty(0, dtype=np.int64)
        self.chunks: deque[_Chunk] = deque()
        self.newest_ns = 0
        self.read = 0
        self.idle = False

    def position(self) -> StreamPosition:
        if self.chunks:
            oldest = self.chunks[0]
            return StreamPosition(oldest.start, oldest.newest_before_ns, self.read)
        return StreamPosition(self.read, self.newest_ns, self.read)


class Aligner:
    """Merges the topics of one partition number.

    Parameters
    ----------
    streams
        The topics' names; their order decides between events of the same time and sequence.
    max_disorder_ns
        How much older than its topic's newest an event may be without being late.
    max_waiting
        The most events that may wait of a topic that waits for nothing but its own disorder: what
        is beyond is released without. No venue has so many within ``max_disorder_ns``; a topic
        whose time stands still does.
    """

    def __init__(
        self, streams: Sequence[str], max_disorder_ns: int, max_waiting: int = sys.maxsize
    ) -> None:
        self.max_disorder_ns = max_disorder_ns
        self.max_waiting = max_waiting
        self.watermark_ns = 0
        # Of the events that were fed last, their places in the sequence.
        self.fed_places: Times = np.empty(0, dtype=np.int64)
        self._streams = {name: _Stream() for name in streams}

    def feed(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        first_offset: int,
        next_offset: int,
        replayed: Callable[[int, int], int | None] | None = None,
    ) -> int:
        """Take the events of the records [first_offset, next_offset) of a topic.

        ``replayed(i, place_ns)`` is asked after a restart. It gives the i-th event's place in the
        sequence: as it is, or a later one where its symbol's state is past that; or None where the
        state has the event already: then it counts for the order and is not released. Returns how
        many were passed over for that.
        """
        its = self._streams[stream]
        newest_before = its.newest_ns
        its.read = next_offset
        if not events:
            return 0
        its.idle = False
        times = np.array([event.ts_event for event in events], dtype=np.int64)
        newest = np.maximum.accumulate(np.concatenate(([newest_before], times)))
        its.newest_ns = int(newest[-1])
        earliest = np.maximum(newest[:-1] - self.max_disorder_ns, self.watermark_ns)
        self.fed_places = places = np.maximum(times, earliest)
        wanted: Sequence[Event] = events
        if replayed is not None:
            asked = [replayed(i, place) for i, place in enumerate(places.tolist())]
            wanted = [
                event for event, place in zip(events, asked, strict=True) if place is not None
            ]
            places = np.array([place for place in asked if place is not None], dtype=np.int64)
            times = np.array([event.ts_event for event in wanted], dtype=np.int64)
        merged: list[Event | Late] = list(wanted)
        for i in np.flatnonzero(times < places).tolist():
            merged[i] = _late(wanted[i], int(places[i]))
        if merged:
            its.chunks.append(_Chunk(first_offset, newest_before, int(places.max())))
            its.pending += merged
            its.places = np.concatenate((its.places, places))
            if (its.places[1:] < its.places[:-1]).any():
                order = its.places.argsort(kind="stable")
                its.places = its.places[order]
                its.pending = [its.pending[i] for i in order.tolist()]
        return len(events) - len(merged)

    def set_idle(self, stream: str, *, idle: bool = True) -> bool:
        """Stop a topic that has no more records from holding the others back, or let it again.

        Returns whether that is a change. Its next event makes it count again, too.
        """
        its = self._streams[stream]
        was_idle, its.idle = its.idle, idle
        return was_idle != idle

    def reads(self, stream: str) -> bool:
        """Whether a topic is one of those merged."""
        return stream in self._streams

    def read(self, stream: str) -> int:
        """The offset of the next record of a topic to feed."""
        return self._streams[stream].read

    def pending(self, stream: str) -> int:
        """How many events of a topic wait to be released."""
        return len(self._streams[stream].pending)

    def holds_back(self, stream: str) -> bool:
        """Whether the watermark waits for this topic: no other that counts is less far."""
        return self._at_least(self._streams[stream])

    def _at_least(self, its: _Stream) -> bool:
        counting = [other.newest_ns for other in self._streams.values() if not other.idle]
        return not its.idle and its.newest_ns == min(counting)

    def release(self) -> list[Event | Late]:
        """Advance the watermark as far as it goes; the events before it, in order."""
        streams = self._streams.values()
        holding = [its.newest_ns - self.max_disorder_ns for its in streams if not its.idle]
        watermark = min(holding) if holding else max(its.newest_ns for its in streams) + 1
        for its in streams:
            if self._waiting(its, watermark) > self.max_waiting and self._at_least(its):
                watermark = max(watermark, int(its.places[-1]) + 1)
        if watermark <= self.watermark_ns:
            return []
        self.watermark_ns = watermark
        released: list[Event | Late] = []
        places = []
        for its in streams:
            cut = int(its.places.searchsorted(watermark))
            released += its.pending[:cut]
            del its.pending[:cut]
            places.append(its.places[:cut])
            its.places = its.places[cut:]
            while its.chunks and its.chunks[0].latest_ns < watermark:
                its.chunks.popleft()
        return _in_order(released, np.concatenate(places))

    def _waiting(self, its: _Stream, watermark: int) -> int:
        """How many events a watermark leaves waiting, unless there are few anyway."""
        pending = len(its.pending)
        if pending > self.max_waiting:
            pending -= int(its.places.searchsorted(watermark))
        return pending

    def position(self) -> Position:
        """How far the partition has come, to resume from."""
        streams = {name: its.position() for name, its in self._streams.items()}
        return Position(self.watermark_ns, streams)

    def seek(self, position: Mapping[str, StreamPosition]) -> None:
        """Begin where each topic's ``start`` says, before anything is fed."""
        for name, where in position.items():
            self._streams[name].newest_ns = where.newest_ns
            self._streams[name].read = where.start


def _in_order(events: list[Event | Late], times: Times) -> list[Event | Late]:
    """Sort by time and sequence, else as they stand: by topic, each in the order of its offsets."""
    order = times.argsort(kind="stable")
    in_order = times[order]
    if (in_order[1:] == in_order[:-1]).any():
        sequences = np.array([event.sequence or 0 for event in events])
        order = np.lexsort((sequences, times))
    return [events[i] for i in order.tolist()]


def _late(event: Event, place_ns: int) -> Late:
    return Late(ts_event=place_ns, sequence=event.sequence, symbol=event.symbol, event=event)
