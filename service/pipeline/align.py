"""Merges several topics of one partition number into one sequence in event time.

The order is (ts_event, sequence, topic, offset). An event waits until no topic can still deliver an
earlier one: until every topic that is not idle has been read ``max_disorder_ns`` further in event
time. That point is the watermark. Events before it are released. So any chunking and interleaving
of the same logs gives the same sequence.

An event that is dated further ahead than its record's timestamp in the log justifies does not move
the watermark (``service.pipeline.log_time``). It waits until the other events have come so far.

An event is late if it is older than the newest event of its own topic by more than
``max_disorder_ns``, or older than the watermark because its topic was considered idle. A late event
takes the earliest place that is left, and is marked.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from detectors.market_data.events import Event, Late
from service.pipeline.log_time import SLACK_NS, LogTime, Times, moved_to


class StreamPosition(Struct, frozen=True):
    """How far one topic was read.

    All events before offset ``start`` have been released. The newest event time of the topic was
    ``newest_ns`` at that offset, and the evidence of its log timestamps was ``evidence``
    (``LogTime``). Records below offset ``read`` have been fed. ``last_ns`` is the event time that
    counts at that offset once all topics are idle.
    """

    start: int = 0
    newest_ns: int = 0
    read: int = 0
    evidence: tuple[int, ...] = ()
    last_ns: int = 0


class Position(Struct, frozen=True):
    """How far a partition was processed: events before the watermark have been released."""

    watermark_ns: int
    streams: Mapping[str, StreamPosition]


def earliest(here: Position, others: Iterable[Position]) -> Position:
    """Return the earliest watermark and the earliest position of each topic of ``here``."""
    watermark_ns = here.watermark_ns
    streams = dict(here.streams)
    for position in others:
        watermark_ns = min(watermark_ns, position.watermark_ns)
        for stream, its in position.streams.items():
            if its.start < streams[stream].start:
                streams[stream] = its
    return Position(watermark_ns, streams)


class _Chunk(Struct, gc=False):
    """A batch as it was fed; kept until all of its events are released."""

    start: int
    newest_before_ns: int
    latest_ns: int
    evidence_before: tuple[int, ...]
    last_before_ns: int


class _Stream:
    """One topic of the partition; ``places`` are the event times that order its pending events.

    ``newest_ns`` is the event time that the log justifies. ``last_ns`` is the event time that
    counts once all topics are idle.
    """

    __slots__ = ("chunks", "idle", "last_ns", "log_time", "newest_ns", "pending", "places", "read")

    def __init__(self) -> None:
        self.pending: list[Event | Late] = []
        self.places: Times = np.empty(0, dtype=np.int64)
        self.chunks: deque[_Chunk] = deque()
        self.newest_ns = 0
        self.last_ns = 0
        self.log_time = LogTime()
        self.read = 0
        self.idle = False

    def position(self) -> StreamPosition:
        if self.chunks:
            oldest = self.chunks[0]
            return StreamPosition(
                oldest.start,
                oldest.newest_before_ns,
                self.read,
                oldest.evidence_before,
                oldest.last_before_ns,
            )
        evidence = self.log_time.evidence
        return StreamPosition(self.read, self.newest_ns, self.read, evidence, self.last_ns)

    def moved_by(self, times: Times, arrived_ms: Sequence[int] | None, by_broker: bool) -> Times:
        """Return the times to which events move the time of this topic."""
        moved = last = times
        if arrived_ms is not None:
            own, justified = self.log_time.note(arrived_ms, by_broker=by_broker)
            moved = moved_to(times, justified)
            last = np.where(times <= own + SLACK_NS, times, moved_to(times, own))
        self.last_ns = max(self.last_ns, int(last.max()))
        return moved


class Aligner:
    """Merges the topics of one partition number.

    Parameters
    ----------
    streams
        The names of the topics; their order decides between events of the same time and sequence.
    max_disorder_ns
        How much older than the newest event of its topic an event may be without being late.
    max_waiting
        The largest number of events of a topic that may wait only for the disorder of that topic.
        Events above it are released without this wait. The limit serves topics whose event time
        stands still: no venue has this many events within ``max_disorder_ns``.

    Attributes
    ----------
    on_time
        The number of events that were fed and are not late.
    """

    def __init__(
        self, streams: Sequence[str], max_disorder_ns: int, max_waiting: int = sys.maxsize
    ) -> None:
        self.max_disorder_ns = max_disorder_ns
        self.max_waiting = max_waiting
        self.watermark_ns = 0
        self.on_time = 0
        # The event times that order the events fed last.
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
        arrived_ms: Sequence[int] | None = None,
        by_broker: bool = False,
    ) -> int:
        """Take the events of the records [first_offset, next_offset) of a topic.

        ``arrived_ms`` are the timestamps of their records in the log, in milliseconds; None if
        there is no log. ``by_broker``: the broker set them, not the producers.

        ``replayed(i, place_ns)`` is called after a restart. It returns the event time that orders
        the i-th event: ``place_ns``, or a later one if the state of its symbol is already past
        that. It returns None if the state contains the event already; the event then counts for the
        order but is not released. Returns the number of events skipped for this reason.
        """
        stream_state = self._streams[stream]
        newest_before = stream_state.newest_ns
        evidence_before = stream_state.log_time.evidence
        last_before = stream_state.last_ns
        stream_state.read = next_offset
        if not events:
            return 0
        stream_state.idle = False
        times = np.array([event.ts_event for event in events], dtype=np.int64)
        moved = stream_state.moved_by(times, arrived_ms, by_broker)
        newest = np.maximum.accumulate(np.concatenate(([newest_before], moved)))
        stream_state.newest_ns = int(newest[-1])
        earliest = np.maximum(newest[:-1] - self.max_disorder_ns, self.watermark_ns)
        self.fed_places = places = np.maximum(times, earliest)
        wanted: Sequence[Event] = events
        if replayed is not None:
            new_places = [replayed(i, place) for i, place in enumerate(places.tolist())]
            wanted = [
                event for event, place in zip(events, new_places, strict=True) if place is not None
            ]
            places = np.array([place for place in new_places if place is not None], dtype=np.int64)
            times = np.array([event.ts_event for event in wanted], dtype=np.int64)
        merged: list[Event | Late] = list(wanted)
        late = np.flatnonzero(times < places).tolist()
        self.on_time += len(merged) - len(late)
        for i in late:
            merged[i] = _late(wanted[i], int(places[i]))
        if merged:
            stream_state.chunks.append(
                _Chunk(first_offset, newest_before, int(places.max()), evidence_before, last_before)
            )
            stream_state.pending += merged
            stream_state.places = np.concatenate((stream_state.places, places))
            if (stream_state.places[1:] < stream_state.places[:-1]).any():
                order = stream_state.places.argsort(kind="stable")
                stream_state.places = stream_state.places[order]
                stream_state.pending = [stream_state.pending[i] for i in order.tolist()]
        return len(events) - len(merged)

    def set_idle(self, stream: str, *, idle: bool = True) -> bool:
        """Stop a topic without further records from holding the others back, or undo this.

        Returns whether this is a change. The next event of the topic also ends its idleness.
        """
        stream_state = self._streams[stream]
        was_idle, stream_state.idle = stream_state.idle, idle
        return was_idle != idle

    @property
    def all_idle(self) -> bool:
        """Whether all topics are idle: the watermark waits for none of them."""
        return all(its.idle for its in self._streams.values())

    def pass_to(self, watermark_ns: int) -> None:
        """Advance the watermark while all topics are idle and all events are released."""
        self.watermark_ns = max(self.watermark_ns, watermark_ns)
        for stream_state in self._streams.values():  # a restart must come as far
            stream_state.last_ns = max(stream_state.last_ns, self.watermark_ns - 1)

    def reads(self, stream: str) -> bool:
        """Return whether a topic is one of the merged topics."""
        return stream in self._streams

    def read(self, stream: str) -> int:
        """Return the offset of the next record of a topic to feed."""
        return self._streams[stream].read

    @property
    def records_read(self) -> int:
        """The number of offsets that were read, over all topics."""
        return sum(its.read for its in self._streams.values())

    def pending(self, stream: str) -> int:
        """Return the number of events of a topic that wait to be released."""
        return len(self._streams[stream].pending)

    def holds_back(self, stream: str) -> bool:
        """Return whether the watermark waits for this topic: no active topic is further behind."""
        return self._is_furthest_behind(self._streams[stream])

    def _is_furthest_behind(self, stream_state: _Stream) -> bool:
        active = [other.newest_ns for other in self._streams.values() if not other.idle]
        return not stream_state.idle and stream_state.newest_ns == min(active)

    def release(self) -> list[Event | Late]:
        """Advance the watermark as far as possible; return the events before it, in order."""
        streams = self._streams.values()
        limits = [
            stream_state.newest_ns - self.max_disorder_ns
            for stream_state in streams
            if not stream_state.idle
        ]
        watermark = (
            min(limits) if limits else max(stream_state.last_ns for stream_state in streams) + 1
        )
        for stream_state in streams:
            excess = self._waiting(stream_state, watermark) - self.max_waiting
            if excess > 0 and self._is_furthest_behind(stream_state):
                # Release only the excess: the last of the waiting events may be dated far ahead.
                passed = int(stream_state.places.searchsorted(watermark))
                watermark = max(watermark, int(stream_state.places[passed + excess - 1]) + 1)
        if watermark <= self.watermark_ns:
            return []
        self.watermark_ns = watermark
        released: list[Event | Late] = []
        places = []
        for stream_state in streams:
            cut = int(stream_state.places.searchsorted(watermark))
            released += stream_state.pending[:cut]
            del stream_state.pending[:cut]
            places.append(stream_state.places[:cut])
            stream_state.places = stream_state.places[cut:]
            while stream_state.chunks and stream_state.chunks[0].latest_ns < watermark:
                stream_state.chunks.popleft()
        return _in_order(released, np.concatenate(places))

    def _waiting(self, stream_state: _Stream, watermark: int) -> int:
        """Return how many events wait after a watermark; up to ``max_waiting``, an upper bound."""
        pending = len(stream_state.pending)
        if pending > self.max_waiting:
            pending -= int(stream_state.places.searchsorted(watermark))
        return pending

    def position(self) -> Position:
        """Return how far the partition was processed, to resume from."""
        streams = {name: stream_state.position() for name, stream_state in self._streams.items()}
        return Position(self.watermark_ns, streams)

    def seek(self, position: Mapping[str, StreamPosition]) -> None:
        """Begin each topic at its ``start``; call this before anything is fed."""
        for name, stream_position in position.items():
            newest_ns = stream_position.newest_ns
            stream_state = self._streams[name]
            stream_state.newest_ns = newest_ns
            stream_state.last_ns = max(newest_ns, stream_position.last_ns)
            stream_state.read = stream_position.start
            stream_state.log_time = LogTime(
                stream_position.evidence or ((newest_ns,) if newest_ns else ())
            )


def _in_order(events: list[Event | Late], times: Times) -> list[Event | Late]:
    """Sort by time and sequence; equal events keep their order: by topic, then by offset."""
    order = times.argsort(kind="stable")
    in_order = times[order]
    if (in_order[1:] == in_order[:-1]).any():
        sequences = np.array([event.sequence or 0 for event in events])
        order = np.lexsort((sequences, times))
    return [events[i] for i in order.tolist()]


def _late(event: Event, place_ns: int) -> Late:
    return Late(ts_event=place_ns, sequence=event.sequence, symbol=event.symbol, event=event)
