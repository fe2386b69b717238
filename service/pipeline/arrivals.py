"""When records arrived, as the log has it, and whether a partition's symbols move."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.feed.checks import HOLE_NS, WITNESSES
from detectors.market_data.events import Event
from detectors.symbol import SymbolMonitor

EVERY = 8
"""One record in so many is looked at, by its offset: any batches of the same log give the same."""


class Arrivals:
    """The shortest delay of each stream's records, by the bar that their events fall into.

    A record's delay is its timestamp in the log less its event time. The shortest of a bar does not
    change when records are fed once more after a restart.

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
        """Take the events of a batch, their records' offsets and timestamps in milliseconds.

        ``places`` are the event times of their places in the sequence: what is late belongs to the
        bar that it is put in.
        """
        chosen: Sequence[int]
        if isinstance(offsets, range):
            chosen = range(-offsets.start % EVERY, len(events), EVERY)
        else:
            chosen = [i for i, offset in enumerate(offsets) if offset % EVERY == 0]
        if not chosen:
            return
        times = np.array([events[i].ts_event for i in chosen], dtype=np.int64)
        delays = np.array([arrived_ms[i] for i in chosen], dtype=np.int64) * 1_000_000 - times
        ends = places[list(chosen)] // self._bar_ns * self._bar_ns + self._bar_ns
        for bar_end in np.unique(ends).tolist():
            self._lower(bar_end, stream, int(delays[ends == bar_end].min()))

    def restore(self, bar_end: int, delays: Mapping[str, int]) -> None:
        """Take over what a snapshot knew of a bar that was open."""
        for stream, delay in delays.items():
            self._lower(bar_end, stream, delay)

    def of(self, bar_end: int) -> Mapping[str, int]:
        """The shortest delays known so far of a bar, by stream, in nanoseconds."""
        return self._delays.get(bar_end, {})

    def take(self, bar_end: int) -> dict[str, float]:
        """The delays of a bar that is over, in seconds, of the streams of which they are known."""
        delays = self._delays.pop(bar_end, {})
        for passed in [end for end in self._delays if end < bar_end]:
            del self._delays[passed]
        return {stream: delay / 1e9 for stream, delay in delays.items()}

    def _lower(self, bar_end: int, stream: str, delay: int) -> None:
        its = self._delays.setdefault(bar_end, {})
        its[stream] = min(delay, its.get(stream, delay))


def moving_since(monitors: Iterable[SymbolMonitor], at_ns: int) -> int:
    """Since when enough symbols have been moving at ``at_ns`` to witness that others are silent.

    ``at_ns`` itself where they are too few.
    """
    moving = sorted(
        feed.moving_since_ns
        for monitor in monitors
        if at_ns - HOLE_NS <= (feed := monitor.feed.state).last_bar_ns
        and feed.moving_since_ns <= at_ns
    )
    return moving[WITNESSES - 1] if len(moving) >= WITNESSES else at_ns
