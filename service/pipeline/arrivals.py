"""The delays of records by their Kafka timestamps, and since when symbols are active."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.feed.checks import HOLE_NS, WITNESSES
from detectors.market_data.events import Event
from detectors.symbol import SymbolMonitor

SAMPLE_EVERY = 8
"""One record out of this many is sampled, by its offset: the sample is the same for any batches."""


class Arrivals:
    """The shortest delay of the records of each stream, by the bar of their events.

    The delay of a record is its timestamp in Kafka minus its event time. The shortest delay of a
    bar does not change if records are fed again after a restart.

    Parameters
    ----------
    bar_ns
        The length of a bar in nanoseconds.
    """

    def __init__(self, bar_ns: int) -> None:
        self._bar_ns = bar_ns
        self._delays: dict[int, dict[str, int]] = {}

    def note(
        self,
        stream: str,
        events: Sequence[Event],
        offsets: Sequence[int],
        arrived_ms: Sequence[int],
        places: NDArray[np.int64],
    ) -> None:
        """Take the events of a batch, and the offsets and timestamps (in ms) of their records.

        ``places`` holds the event times that order the events: a late event belongs to the bar in
        which it is placed.
        """
        chosen: Sequence[int]
        if isinstance(offsets, range):
            chosen = range(-offsets.start % SAMPLE_EVERY, len(events), SAMPLE_EVERY)
        else:
            chosen = [i for i, offset in enumerate(offsets) if offset % SAMPLE_EVERY == 0]
        if not chosen:
            return
        times = np.array([events[i].ts_event for i in chosen], dtype=np.int64)
        delays = np.array([arrived_ms[i] for i in chosen], dtype=np.int64) * 1_000_000 - times
        ends = places[list(chosen)] // self._bar_ns * self._bar_ns + self._bar_ns
        for bar_end in np.unique(ends).tolist():
            self._lower(bar_end, stream, int(delays[ends == bar_end].min()))

    def restore(self, bar_end: int, delays: Mapping[str, int]) -> None:
        """Add the delays that a snapshot holds of an open bar."""
        for stream, delay in delays.items():
            self._lower(bar_end, stream, delay)

    def of(self, bar_end: int) -> Mapping[str, int]:
        """Return the shortest known delays of a bar, by stream, in nanoseconds."""
        return self._delays.get(bar_end, {})

    def take(self, bar_end: int) -> dict[str, float]:
        """Remove and return the known delays of a closed bar in seconds, by stream."""
        delays = self._delays.pop(bar_end, {})
        for passed in [end for end in self._delays if end < bar_end]:
            del self._delays[passed]
        return {stream: delay / 1e9 for stream, delay in delays.items()}

    def _lower(self, bar_end: int, stream: str, delay: int) -> None:
        shortest = self._delays.setdefault(bar_end, {})
        shortest[stream] = min(delay, shortest.get(stream, delay))


def active_since(monitors: Iterable[SymbolMonitor], at_ns: int) -> int:
    """Return since when enough symbols are active at ``at_ns`` to show that others are silent.

    The result is ``at_ns`` itself if too few symbols are active.
    """
    starts = sorted(
        feed.moving_since_ns
        for monitor in monitors
        if at_ns - HOLE_NS <= (feed := monitor.feed.state).last_bar_ns
        and feed.moving_since_ns <= at_ns
    )
    return starts[WITNESSES - 1] if len(starts) >= WITNESSES else at_ns
