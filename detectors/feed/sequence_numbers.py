"""Learn how a venue numbers a symbol's events, and find missing numbers.

Some venues number the events of a symbol consecutively over all streams. Others number each stream
of the symbol, or the whole market, or only break ties. Foreshock accepts numbers as consecutive
after a thousand consecutive events. Only then does a missing number mean a lost event, and a number
that was seen already a repeated event. A late or out-of-order event fills its gap. A number counts
as lost if it is still missing one bar later.
"""

from typing import Literal

from msgspec import Struct

from detectors.market_data.events import Event, Kind, Late

LEARNED = 1_000
"""The number of events in a row without a gap from which numbers count as consecutive."""

REJECT_BREAKS = 1_000
"""The number of breaks without such a run after which the mode being learned is rejected."""

RETRY_BREAKS = 100_000
"""The number of breaks in mode ``none`` after which learning starts again."""

RELEARN_BREAKS = 10_000
"""The number of breaks without a run of `LEARNED` after which a learned mode is dropped."""

RESTART_EVENTS = 10
"""The number of consecutive numbers below the newest, without a late event, that shows a restart of
the numbering."""

MAX_RANGES = 256
"""The number of ranges of missing numbers that wait for late events. A further range counts as lost
at once."""

NO_NUMBER = -1
"""A number that no event has, so that ``broken`` is called for every event."""

ALL_STREAMS = -1
"""Stands for all streams where they share the numbers; a stream's own numbers go by its `Kind`."""

_LATE = Kind.LATE

Mode = Literal["learning", "symbol", "learning_streams", "stream", "none"]


class Missing(Struct):
    """The missing numbers [first, after) of one stream, or of all streams (None)."""

    stream: int | None
    first: int
    after: int


class Numbering(Struct):
    """The numbering of one symbol; part of a snapshot.

    ``next`` is the expected number of the next event. The caller compares the numbers. If they are
    equal, the caller increments ``next``; otherwise it asks ``is_repeat`` and, unless it is one,
    calls ``broken``. Consecutive numbers therefore cost one comparison per event.

    ``lost`` are the newest ranges that were declared lost; an event of them may still come.
    ``seen_from`` is, by stream (`ALL_STREAMS` if they share the numbers), the first number from
    which on every number is known to be seen, missing or lost.

    Examples
    --------
    >>> from detectors.market_data.events import Cancel
    >>> numbering = Numbering(mode="symbol", next=7)
    >>> at = Cancel(ts_event=1_767_225_600_000_000_000, symbol="A", order_id="1", sequence=9)
    >>> numbering.broken(at, 9), numbering.next
    (False, 10)
    >>> numbering.close_bar(), numbering.close_bar()
    (0, 2)
    """

    mode: Mode = "learning"
    next: int = NO_NUMBER
    nexts: dict[int, int] = {}
    unbroken_since: int = 0
    unbroken: int = 0
    breaks: int = 0
    fresh: list[Missing] = []
    waiting: list[Missing] = []
    overflowed: int = 0
    restart_next: int = NO_NUMBER
    restart_run: int = 0
    lost: list[Missing] = []
    seen_from: dict[int, int] = {}

    @property
    def known(self) -> bool:
        """Whether a missing number means a lost event."""
        return self.mode in ("symbol", "stream")

    def is_repeat(self, event: Event | Late, sequence: int) -> bool:
        """Whether an event with a number that is not ``next`` was seen already.

        In time order a repeat follows its original directly, or it is late. A lower number that is
        in time may be a venue that starts its numbers again, and is no repeat.

        >>> from detectors.market_data.events import Cancel
        >>> numbers = Numbering(mode="symbol", next=9, seen_from={ALL_STREAMS: 5})
        >>> again = Cancel(ts_event=1_767_225_600_000_000_000, symbol="A", order_id="1", sequence=8)
        >>> numbers.is_repeat(again, 8), numbers.is_repeat(again, 7), numbers.is_repeat(again, 9)
        (True, False, False)
        """
        if not self.known:
            return False
        late = isinstance(event, Late)
        kind = int(event.event.kind if isinstance(event, Late) else event.kind)
        stream = None if self.mode == "symbol" else kind
        expected = self.next if stream is None else self.nexts.get(kind, sequence)
        first = self.seen_from.get(ALL_STREAMS if stream is None else kind, expected)
        if not first <= sequence < expected or (not late and sequence != expected - 1):
            return False
        return not any(
            missing.stream == stream and missing.first <= sequence < missing.after
            for ranges in (self.fresh, self.waiting, self.lost)
            for missing in ranges
        )

    def broken(self, event: Event | Late, sequence: int) -> bool:
        """Process the number of an event that is not ``next``.

        Returns whether the number is lower than an earlier number.
        """
        kind = event.kind
        if kind is _LATE:
            return self._late(event, sequence)  # type: ignore[arg-type]  # kind LATE means Late
        mode = self.mode
        # Called for every event if numbers are not consecutive, or not over all streams.
        if mode in ("none", "learning"):
            before = self.next
            self.next = sequence + 1
            self.unbroken_since = sequence
            if before == NO_NUMBER:
                return False
            self.breaks += 1
            return sequence < before - 1
        if mode == "symbol":
            before = self.next
            self.next = self._step(None, before, sequence)
            self.unbroken_since = max(self.unbroken_since, sequence)
            return sequence < before - 1
        nexts = self.nexts
        before = nexts.get(kind, sequence)
        if sequence == before:
            nexts[kind] = sequence + 1
            self.unbroken += 1
            return False
        self.unbroken = 0
        nexts[kind] = self._step(int(kind), before, sequence)
        return sequence < before - 1

    def close_bar(self) -> int:
        """End a bar and return the number of events that are lost for good."""
        lost = 0
        if self.overflowed or self.waiting or self.fresh:
            lost = self.overflowed + sum(its.after - its.first for its in self.waiting)
            self._remember_lost()
            self.overflowed, self.waiting, self.fresh = 0, self.fresh, []
        self._learn()
        return lost

    def _remember_lost(self) -> None:
        """Keep the newest lost ranges. Below a forgotten range nothing is known as seen."""
        if self.overflowed:
            self.seen_from = {}  # ranges that were counted only: begin to know again
        self.lost += self.waiting
        for missing in self.lost[:-MAX_RANGES]:
            key = ALL_STREAMS if missing.stream is None else missing.stream
            self.seen_from[key] = max(self.seen_from.get(key, 0), missing.after)
        del self.lost[:-MAX_RANGES]

    def _step(self, stream: int | None, expected: int, sequence: int) -> int:
        """Return the expected number after ``sequence``."""
        if sequence >= expected:
            if sequence > expected:
                self.breaks += 1
                if self.known:
                    self._miss(Missing(stream, expected, sequence))
            return sequence + 1
        self.restart_run = self.restart_run + 1 if sequence == self.restart_next else 1
        self.restart_next = sequence + 1
        if self.restart_run < RESTART_EVENTS:
            return expected
        self.restart_run, self.unbroken_since = 0, sequence
        self.seen_from[ALL_STREAMS if stream is None else stream] = sequence
        return sequence + 1

    def _miss(self, missing: Missing) -> None:
        if len(self.fresh) < MAX_RANGES:
            self.fresh.append(missing)
        else:
            self.overflowed += missing.after - missing.first

    def _late(self, late: Late, sequence: int) -> bool:
        """Fill the gap of a late event; the expected number stays."""
        stream = None if self.mode == "symbol" else int(late.event.kind)
        for ranges in (self.fresh, self.waiting, self.lost):
            for i, missing in enumerate(ranges):
                if missing.first <= sequence < missing.after and missing.stream == stream:
                    self._fill(ranges, i, sequence)
                    return True
        return sequence < self.next - 1

    def _fill(self, ranges: list[Missing], index: int, sequence: int) -> None:
        """Remove a number from the range at ``index``; zero, one or two ranges remain."""
        missing = ranges[index]
        after = missing.after
        if sequence == missing.first:
            missing.first += 1
        else:
            missing.after = sequence
            if sequence + 1 < after:
                if len(ranges) < MAX_RANGES:
                    ranges.insert(index + 1, Missing(missing.stream, sequence + 1, after))
                else:
                    self.overflowed += after - sequence - 1
        if missing.first == missing.after:
            del ranges[index]

    def _learn(self) -> None:
        """Update the mode at the end of a bar."""
        run = self.unbroken if self.next == NO_NUMBER else self.next - self.unbroken_since
        if run >= LEARNED:
            self.breaks = 0
            if self.mode == "learning":
                self.mode = "symbol"
            elif self.mode == "learning_streams":
                self.mode = "stream"
        self._begin_to_know()
        if run >= LEARNED:
            return
        if self.mode == "learning" and self.breaks >= REJECT_BREAKS:
            self._try("learning_streams")
        elif self.mode == "learning_streams" and self.breaks >= REJECT_BREAKS:
            self._try("none")
        elif (self.known and self.breaks >= RELEARN_BREAKS) or (
            self.mode == "none" and self.breaks >= RETRY_BREAKS
        ):
            self._try("learning")

    def _begin_to_know(self) -> None:
        """From here on every number of a numbering that is learned is accounted for."""
        if self.mode == "symbol":
            self.seen_from.setdefault(ALL_STREAMS, self.next)
        elif self.mode == "stream":
            for kind, expected in self.nexts.items():
                self.seen_from.setdefault(kind, expected)

    def _try(self, mode: Mode) -> None:
        self.mode = mode
        self.next, self.nexts = NO_NUMBER, {}
        self.lost, self.seen_from = [], {}
        self.unbroken_since = self.unbroken = self.breaks = 0
