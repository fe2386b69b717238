"""Find streams of a symbol that are silent, or nearly silent, while its other streams have events.

The expected events of a stream in a bar are computed from the stream's recent rate, and from its
recent share of the symbol's other events. The smallest value over several spans is used. A lull, or
a flood in another stream, therefore does not make a stream appear silent. The expected but missing
events add up over the bars in which other streams have events. A Poisson stream has no event with
probability exp(-expected).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from detectors.market_data.events import Kind
from detectors.table import Flags, Floats, Ints, Powers, Rows, enlarged

WATCHED = (Kind.ORDER, Kind.CANCEL, Kind.TRADE, Kind.REFERENCE)
"""The streams that are checked. Margins and positions are irregular, so their silence is no
evidence. A reference counts only if its prices differ from the previous reference."""

SPANS_SECONDS = (15.0, 60.0, 300.0)
"""The spans of the recent rates and shares."""

SILENT = 30.0
"""The number of expected but missing events from which a stream is silent. For independent events
the probability is 1e-13. Real flow is clustered: healthy feeds, simulated and recorded, reached
17."""

THROTTLE = 10.0
"""The factor of throttling: a throttled stream has a tenth of the expected events, or less."""

THROTTLED = 40.0
"""Page's statistic (log-likelihood ratio of a tenth of the usual rate to the usual rate) from which
a stream is throttled. Healthy feeds reached 15."""

THROTTLED_BARS = 10
"""The smallest number of bars of a throttled stream."""

LEARNED_BARS = 240
"""The number of bars after a stream's first event from which its rate is known."""

NO_EVENTS = (0.0,) * len(SPANS_SECONDS)


class Silent(NamedTuple):
    """A silent or throttled stream: the number of bars, and its received and expected events."""

    kind: Kind
    bars: int
    received: float
    expected: float
    improbability: float


class StreamRate(Struct):
    """The usual rate of one stream, and its recent missing events.

    ``own`` counts the events of the stream and ``others`` those of the other streams, with
    exponential forgetting over each of `SPANS_SECONDS`. Both stay constant while the stream is
    silent; ``idle_bars`` and ``idle_others`` count the bars and the other events since.
    ``missed`` is the number of expected events since the last event of the stream, in
    ``silent_bars`` bars. ``deficit`` is Page's statistic for a tenth of the usual rate.
    ``deficit_bars``, ``deficit_events`` and ``deficit_expected`` count the bars, the received
    events and the expected events since ``deficit`` was last zero.
    """

    own: tuple[float, ...] = NO_EVENTS
    others: tuple[float, ...] = NO_EVENTS
    bars: int = 0
    idle_bars: int = 0
    idle_others: float = 0.0
    missed: float = 0.0
    silent_bars: int = 0
    deficit: float = 0.0
    deficit_bars: int = 0
    deficit_events: float = 0.0
    deficit_expected: float = 0.0


class Silences:
    """The silence checks of streams, a row for each symbol and a column for each stream.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    """

    __slots__ = (
        "_bars", "_decays", "_deficit", "_deficit_bars", "_deficit_events", "_deficit_expected",
        "_idle_bars", "_idle_others", "_missed", "_others", "_own", "_powers", "_silent_bars",
    )  # fmt: skip

    def __init__(self, bar_seconds: float) -> None:
        decays = [math.exp(-bar_seconds / span) for span in SPANS_SECONDS]
        self._decays: Floats = np.array(decays)
        self._powers = Powers(decays)
        shape = (0, len(WATCHED))
        self._own: Floats = np.zeros((*shape, len(SPANS_SECONDS)))
        self._others: Floats = np.zeros((*shape, len(SPANS_SECONDS)))
        self._bars: Ints = np.zeros(shape, dtype=np.int64)
        self._idle_bars: Ints = np.zeros(shape, dtype=np.int64)
        self._idle_others: Floats = np.zeros(shape)
        self._missed: Floats = np.zeros(shape)
        self._silent_bars: Ints = np.zeros(shape, dtype=np.int64)
        self._deficit: Floats = np.zeros(shape)
        self._deficit_bars: Ints = np.zeros(shape, dtype=np.int64)
        self._deficit_events: Floats = np.zeros(shape)
        self._deficit_expected: Floats = np.zeros(shape)

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        shape = (rows, len(WATCHED))
        self._own = enlarged(self._own, (*shape, len(SPANS_SECONDS)))
        self._others = enlarged(self._others, (*shape, len(SPANS_SECONDS)))
        self._bars = enlarged(self._bars, shape)
        self._idle_bars = enlarged(self._idle_bars, shape)
        self._idle_others = enlarged(self._idle_others, shape)
        self._missed = enlarged(self._missed, shape)
        self._silent_bars = enlarged(self._silent_bars, shape)
        self._deficit = enlarged(self._deficit, shape)
        self._deficit_bars = enlarged(self._deficit_bars, shape)
        self._deficit_events = enlarged(self._deficit_events, shape)
        self._deficit_expected = enlarged(self._deficit_expected, shape)

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self.restore(row, NO_RATES)

    def close_many(self, rows: Rows, seen: Ints, elapsed: Ints) -> Flags:
        """Process a bar with events of each row.

        Parameters
        ----------
        rows
            The rows.
        seen
            The number of events of each of `WATCHED`, a row for each of ``rows``.
        elapsed
            The number of bars since the last bar with events.

        Returns
        -------
        Flags
            Which rows may have a silent or a throttled stream, see `found`.
        """
        others = np.add.reduce(seen[:, _FLOW], axis=1)[:, None] - seen * _IS_FLOW
        has_events = seen != 0
        own, rest = self._own[rows], self._others[rows]
        share = np.zeros_like(own)
        np.divide(own, rest, out=share, where=rest > 0.0)
        by_share = share * others[:, :, None]
        # A share of a rate that has all but vanished may be infinite: none is known then.
        usual = np.fmin(own * (1.0 - self._decays), by_share).min(axis=2)
        bars = self._bars[rows]
        expected = np.where(bars >= LEARNED_BARS, usual, 0.0)
        missed = self._missed[rows]
        was_silent = has_events & (missed >= SILENT)  # the silence has been reported
        missed = np.where(has_events, 0.0, missed + expected)
        self._missed[rows] = missed
        self._silent_bars[rows] = np.where(has_events, 0, self._silent_bars[rows] + 1)
        rise = expected * (1.0 - 1.0 / THROTTLE) - seen * math.log(THROTTLE)
        before = np.where(was_silent, 0.0, self._deficit[rows])
        # Capped at the limit: the first usual bar brings the deficit below the limit.
        deficit = np.maximum(0.0, np.minimum(THROTTLED, before + rise))
        lasts = deficit > 0.0
        goes_on = lasts & ~was_silent
        self._deficit[rows] = deficit
        self._deficit_bars[rows] = np.where(goes_on, self._deficit_bars[rows], 0) + lasts
        self._deficit_events[rows] = (
            np.where(goes_on, self._deficit_events[rows], 0.0) + seen * lasts
        )
        self._deficit_expected[rows] = (
            np.where(goes_on, self._deficit_expected[rows], 0.0) + expected * lasts
        )
        self._bars[rows] = bars + ((bars > 0) | has_events)
        self._learn(rows, seen, others, elapsed, own, rest)
        flags: Flags = ((missed >= SILENT) | (deficit >= THROTTLED)).any(axis=1)
        return flags

    def _learn(
        self, rows: Rows, seen: Ints, others: Ints, elapsed: Ints, own: Floats, rest: Floats
    ) -> None:
        """Learn the rates of the streams with events; ``own`` and ``rest`` are those before."""
        idle_bars = self._idle_bars[rows] + elapsed[:, None]
        idle_others = self._idle_others[rows] + others
        has_events = seen != 0
        factors = self._powers.of(idle_bars)
        learns = has_events[:, :, None]
        self._own[rows] = np.where(learns, own * factors + seen[:, :, None], own)
        self._others[rows] = np.where(learns, rest * factors + idle_others[:, :, None], rest)
        self._idle_bars[rows] = np.where(has_events, 0, idle_bars)
        self._idle_others[rows] = np.where(has_events, 0.0, idle_others)

    def reopen(self, rows: Rows | int) -> None:
        """Forget the missing events of rows so far, and keep the usual rates."""
        self._missed[rows] = self._deficit[rows] = 0.0
        self._deficit_events[rows] = self._deficit_expected[rows] = 0.0
        self._silent_bars[rows] = self._deficit_bars[rows] = 0

    def found(self, row: int, least_bars: float) -> Iterator[Silent]:
        """Yield the silent streams, silent for at least ``least_bars``, and the throttled ones."""
        for kind, rate in zip(WATCHED, self.state(row), strict=True):
            if rate.missed >= SILENT and rate.silent_bars >= least_bars:
                yield Silent(kind, rate.silent_bars, 0.0, rate.missed, rate.missed)
            elif rate.deficit >= THROTTLED and rate.deficit_bars >= THROTTLED_BARS:
                yield Silent(
                    kind,
                    rate.deficit_bars,
                    rate.deficit_events,
                    rate.deficit_expected,
                    rate.deficit,
                )

    def state(self, row: int) -> tuple[StreamRate, ...]:
        """Return the rates of a symbol's streams, for a snapshot."""
        columns = [
            array[row].tolist()
            for array in (
                self._own,
                self._others,
                self._bars,
                self._idle_bars,
                self._idle_others,
                self._missed,
                self._silent_bars,
                self._deficit,
                self._deficit_bars,
                self._deficit_events,
                self._deficit_expected,
            )
        ]
        return tuple(
            StreamRate(tuple(own), tuple(others), *its)
            for own, others, *its in zip(*columns, strict=True)
        )

    def restore(self, row: int, rates: Sequence[StreamRate]) -> None:
        """Let a row continue from the rates of a snapshot."""
        for place, rate in enumerate(rates):
            self._own[row, place], self._others[row, place] = rate.own, rate.others
            self._bars[row, place] = rate.bars
            self._idle_bars[row, place] = rate.idle_bars
            self._idle_others[row, place] = rate.idle_others
            self._missed[row, place] = rate.missed
            self._silent_bars[row, place] = rate.silent_bars
            self._deficit[row, place] = rate.deficit
            self._deficit_bars[row, place] = rate.deficit_bars
            self._deficit_events[row, place] = rate.deficit_events
            self._deficit_expected[row, place] = rate.deficit_expected


NO_RATES = tuple(StreamRate() for _ in WATCHED)

_FLOW = [WATCHED.index(kind) for kind in (Kind.ORDER, Kind.CANCEL, Kind.TRADE)]
_IS_FLOW: Ints = np.array([kind is not Kind.REFERENCE for kind in WATCHED], dtype=np.int64)
"""The streams whose events are the flow; references are no part of it."""
