"""How a venue numbers a symbol's events, learned by looking, and the numbers that are missing.

Some venues number a symbol's events one by one over all streams, some each stream of it, some the
whole market; some only break ties. Only what has been consecutive for a thousand events in a row is
taken to be so, and only there is a missing number an event that got lost. An event that comes late
or out of order fills its place: a number counts as lost when it is still missing a bar later.
"""

from typing import Literal

from msgspec import Struct

from detectors.market_data.events import Event, Kind, Late

LEARNED = 1_000
"""So many events in a row without a missing number show that numbers are consecutive."""

DECLARED_LOST = 1_000
"""So many breaks without such a run show that they are not, as far as that was tried."""

TRIED_AGAIN = 100_000
"""Breaks after which a numbering that was given up is tried again."""

NOT_THE_NUMBERING = 10_000
"""So many breaks without a run of `LEARNED`: what was learned is no longer so."""

RESTARTED = 10
"""So many consecutive numbers below the newest, none of them late: the venue numbers anew."""

MAX_RANGES = 256
"""Ranges of missing numbers that wait for late events; one beyond it is lost at once."""

NEVER = -1
"""No event has this number: every one is looked at."""

_LATE = Kind.LATE

Mode = Literal["learning", "symbol", "learning_streams", "stream", "none"]


class Missing(Struct):
    """The numbers [first, after) of one stream, or of all (None), that have not been seen."""

    stream: int | None
    first: int
    after: int


class Numbering(Struct):
    """The numbering of one symbol; a snapshot keeps it as it is.

    ``next`` is the number expected of the next event: the caller compares, counts on where they are
    equal, and calls ``broken`` where they are not. So a venue with consecutive numbers pays one
    comparison an event.

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
    next: int = NEVER
    nexts: dict[int, int] = {}
    unbroken_since: int = 0
    unbroken: int = 0
    breaks: int = 0
    fresh: list[Missing] = []
    waiting: list[Missing] = []
    overflowed: int = 0
    restart_next: int = NEVER
    restart_run: int = 0

    @property
    def known(self) -> bool:
        """Whether a missing number means a lost event."""
        return self.mode in ("symbol", "stream")

    def broken(self, event: Event | Late, sequence: int) -> bool:
        """Take the number of an event that is not ``next``; whether it is lower than before."""
        kind = event.kind
        if kind is _LATE:
            return self._late(event, sequence)  # type: ignore[arg-type]  # its kind says so
        mode = self.mode
        # Where numbers are not consecutive, or not over all streams, every event comes here.
        if mode in ("none", "learning"):
            before = self.next
            self.next = sequence + 1
            self.unbroken_since = sequence
            if before == NEVER:
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
        """How many events were found to be lost for good, now that a bar ends."""
        lost = self.overflowed + sum(its.after - its.first for its in self.waiting)
        self.overflowed, self.waiting, self.fresh = 0, self.fresh, []
        self._learn()
        return lost

    def _step(self, stream: int | None, expected: int, sequence: int) -> int:
        """The number expected after ``sequence``."""
        if sequence >= expected:
            if sequence > expected:
                self.breaks += 1
                if self.known:
                    self._miss(Missing(stream, expected, sequence))
            return sequence + 1
        self.restart_run = self.restart_run + 1 if sequence == self.restart_next else 1
        self.restart_next = sequence + 1
        if self.restart_run < RESTARTED:
            return expected
        self.restart_run, self.unbroken_since = 0, sequence
        return sequence + 1

    def _miss(self, missing: Missing) -> None:
        if len(self.fresh) < MAX_RANGES:
            self.fresh.append(missing)
        else:
            self.overflowed += missing.after - missing.first

    def _late(self, late: Late, sequence: int) -> bool:
        """A late event fills its place, and is no reason to expect another number."""
        stream = None if self.mode == "symbol" else int(late.event.kind)
        for ranges in (self.fresh, self.waiting):
            for i, its in enumerate(ranges):
                if its.first <= sequence < its.after and its.stream == stream:
                    self._fill(ranges, i, sequence)
                    return True
        return sequence < self.next - 1

    def _fill(self, ranges: list[Missing], place: int, sequence: int) -> None:
        """Take a number out of the range at a place; what is left may be none, one or two."""
        its = ranges[place]
        after = its.after
        if sequence == its.first:
            its.first += 1
        else:
            its.after = sequence
            if sequence + 1 < after:
                if len(ranges) < MAX_RANGES:
                    ranges.insert(place + 1, Missing(its.stream, sequence + 1, after))
                else:
                    self.overflowed += after - sequence - 1
        if its.first == its.after:
            del ranges[place]

    def _learn(self) -> None:
        """Decide, at the end of a bar, what the numbering is."""
        run = self.unbroken if self.next == NEVER else self.next - self.unbroken_since
        if run >= LEARNED:
            self.breaks = 0
            if self.mode == "learning":
                self.mode = "symbol"
            elif self.mode == "learning_streams":
                self.mode = "stream"
        elif self.mode == "learning" and self.breaks >= DECLARED_LOST:
            self._try("learning_streams")
        elif self.mode == "learning_streams" and self.breaks >= DECLARED_LOST:
            self._try("none")
        elif (self.known and self.breaks >= NOT_THE_NUMBERING) or (
            self.mode == "none" and self.breaks >= TRIED_AGAIN
        ):
            self._try("learning")

    def _try(self, mode: Mode) -> None:
        self.mode = mode
        self.next, self.nexts = NEVER, {}
        self.unbroken_since = self.unbroken = self.breaks = 0
