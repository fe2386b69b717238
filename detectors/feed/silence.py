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
from msgspec.structs import astuple

from detectors.market_data.events import Kind
from detectors.table import Flags, Floats, Ints, Powers, Rows, Writes, at, enlarged

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

    __slots__ = ("_decays", "_powers", "_rates")

    def __init__(self, bar_seconds: float) -> None:
        decays = [math.exp(-bar_seconds / span) for span in SPANS_SECONDS]
        self._decays: Floats = np.array(decays)[:, None]
        self._powers = Powers(decays)
        # Rows, the numbers of a `StreamRate`, streams.
        self._rates: Floats = np.zeros((0, _NUMBERS, len(WATCHED)))

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        self._rates = enlarged(self._rates, (rows, _NUMBERS, len(WATCHED)))

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self._rates[row] = 0.0

    def close_many(self, rows: Rows, seen: Floats, elapsed: Ints, writes: Writes) -> Flags:
        """Process a bar with events of each row.

        Parameters
        ----------
        rows
            The rows.
        seen
            The number of events of each of `WATCHED`, a row for each of ``rows``.
        elapsed
            The number of bars since the last bar with events.
        writes
            Takes what is learned.

        Returns
        -------
        Flags
            Which rows may have a silent or a throttled stream, see `found`.
        """
        place = at(rows)
        before = self._rates[place]
        after = np.empty_like(before)
        has_events = seen != 0.0
        others = seen.dot(_OTHER_FLOW)
        own, rest = before[:, _OWN], before[:, _OTHERS]
        share = np.zeros_like(own)
        np.divide(own, rest, out=share, where=rest > 0.0)
        share *= others[:, None, :]
        # A share of a rate that has all but vanished may be infinite: none is known then.
        usual = np.minimum.reduce(np.fmin(own * (1.0 - self._decays), share), axis=1)
        bars, missed = before[:, _BARS], before[:, _MISSED]
        expected = np.where(bars >= LEARNED_BARS, usual, 0.0)
        was_silent = has_events & (missed >= SILENT)  # the silence has been reported
        missed = np.where(has_events, 0.0, missed + expected)
        rise = expected * (1.0 - 1.0 / THROTTLE) - seen * math.log(THROTTLE)
        deficit = np.where(was_silent, 0.0, before[:, _DEFICIT])
        # Capped at the limit: the first usual bar brings the deficit below the limit.
        deficit = np.maximum(0.0, np.minimum(THROTTLED, deficit + rise))
        lasts = deficit > 0.0
        after[:, _BARS] = bars + ((bars > 0.0) | has_events)
        after[:, _MISSED] = missed
        after[:, _SILENT_BARS] = np.where(has_events, 0.0, before[:, _SILENT_BARS] + 1.0)
        after[:, _DEFICIT] = deficit
        added = after[:, _SINCE]
        added[:, 0], added[:, 1], added[:, 2] = 1.0, seen, expected
        added *= lasts[:, None, :]
        added += np.where((lasts & ~was_silent)[:, None, :], before[:, _SINCE], 0.0)
        self._learn(before, after, seen, others, elapsed)
        writes.put(self._rates, place, after)
        found: Flags = np.logical_or.reduce((missed >= SILENT) | (deficit >= THROTTLED), axis=1)
        return found

    def _learn(
        self, before: Floats, after: Floats, seen: Floats, others: Floats, elapsed: Ints
    ) -> None:
        """Learn the rates of the streams with events."""
        idle = before[:, _IDLE].copy()
        idle[:, 0] += elapsed[:, None]
        idle[:, 1] += others
        has_events = (seen != 0.0)[:, None, :]
        after[:, _IDLE] = np.where(has_events, 0.0, idle)
        # The power of a stream without events is not used.
        exponents = np.where(has_events[:, 0], idle[:, 0], 0.0).astype(np.intp)
        factors = self._powers.of(exponents).swapaxes(1, 2)
        for which, events in ((_OWN, seen), (_OTHERS, idle[:, 1])):
            rates = before[:, which]
            after[:, which] = np.where(has_events, rates * factors + events[:, None, :], rates)

    def reopen(self, row: int) -> None:
        """Forget the missing events of a row so far, and keep the usual rates."""
        self._rates[row, _MISSED:] = 0.0

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
        return tuple(_rate(numbers) for numbers in self._rates[row].T.tolist())

    def restore(self, row: int, rates: Sequence[StreamRate]) -> None:
        """Let a row continue from the rates of a snapshot."""
        for stream, rate in enumerate(rates):
            self._rates[row, :, stream] = (*rate.own, *rate.others, *astuple(rate)[2:])


def _rate(numbers: Sequence[float]) -> StreamRate:
    a, b, c, d, e, f, bars, idle_bars, idle_others, missed, silent_bars, deficit, *since = numbers
    deficit_bars, deficit_events, deficit_expected = since
    return StreamRate(
        (a, b, c),
        (d, e, f),
        int(bars),
        int(idle_bars),
        idle_others,
        missed,
        int(silent_bars),
        deficit,
        int(deficit_bars),
        deficit_events,
        deficit_expected,
    )


NO_RATES = tuple(StreamRate() for _ in WATCHED)

_OWN, _OTHERS, _BARS, _IDLE = slice(0, 3), slice(3, 6), 6, slice(7, 9)
_MISSED, _SILENT_BARS, _DEFICIT, _SINCE = 9, 10, 11, slice(12, 15)
_NUMBERS = 15
"""The places of the numbers of a `StreamRate`."""

_IS_FLOW = [kind is not Kind.REFERENCE for kind in WATCHED]
_OTHER_FLOW: Floats = np.array(
    [[flow and i != j for j, _ in enumerate(WATCHED)] for i, flow in enumerate(_IS_FLOW)],
    dtype=np.float64,
)
"""Which events are the flow beside those of each stream; references are no part of it."""
