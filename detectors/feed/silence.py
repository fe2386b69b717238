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

from msgspec import Struct

from detectors.market_data.events import Kind

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


class Silence:
    """The silence checks of one symbol's streams.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    """

    __slots__ = ("_decays", "rates")

    def __init__(self, bar_seconds: float) -> None:
        self._decays = [math.exp(-bar_seconds / span) for span in SPANS_SECONDS]
        self.rates = tuple(StreamRate() for _ in WATCHED)

    def close_bar(self, seen: Sequence[int], elapsed: int) -> None:
        """Process a bar with events.

        Parameters
        ----------
        seen
            The number of events of each of `WATCHED`.
        elapsed
            The number of bars since the last bar with events.
        """
        flow = seen[Kind.ORDER] + seen[Kind.CANCEL] + seen[Kind.TRADE]
        for kind, rate in zip(WATCHED, self.rates, strict=True):
            events = seen[kind]
            others = flow - events if kind is not Kind.REFERENCE else flow
            self._follow(rate, events, others)
            rate.idle_bars += elapsed
            rate.idle_others += others
            if events:
                self._learn(rate, events)

    def reopen(self) -> None:
        """Forget the missing events so far, and keep the usual rates."""
        for rate in self.rates:
            rate.missed, rate.silent_bars = 0.0, 0
            _forget_deficit(rate)

    def found(self, least_bars: float) -> Iterator[Silent]:
        """Yield the silent streams, silent for at least ``least_bars``, and the throttled ones."""
        for kind, rate in zip(WATCHED, self.rates, strict=True):
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

    def _follow(self, rate: StreamRate, events: int, others: int) -> None:
        """Add the expected but missing events of this bar."""
        expected = self._expected(rate, others) if rate.bars >= LEARNED_BARS else 0.0
        if events:
            if rate.missed >= SILENT:
                _forget_deficit(rate)  # the silence has been reported
            rate.missed, rate.silent_bars = 0.0, 0
        else:
            rate.missed += expected
            rate.silent_bars += 1
        rise = expected * (1.0 - 1.0 / THROTTLE) - events * math.log(THROTTLE)
        # Capped at the limit: the first usual bar brings the deficit below the limit.
        rate.deficit = min(THROTTLED, rate.deficit + rise)
        if rate.deficit <= 0.0:
            _forget_deficit(rate)
        else:
            rate.deficit_bars += 1
            rate.deficit_events += events
            rate.deficit_expected += expected
        rate.bars += bool(rate.bars or events)

    def _expected(self, rate: StreamRate, others: int) -> float:
        """Return the expected events of a stream in a bar with ``others`` events of the others."""
        expected = math.inf
        for decay, own, rest in zip(self._decays, rate.own, rate.others, strict=True):
            share = own / rest if rest > 0.0 else 0.0
            expected = min(expected, own * (1.0 - decay), share * others)
        return expected

    def _learn(self, rate: StreamRate, events: int) -> None:
        factors = [decay**rate.idle_bars for decay in self._decays]
        rate.own = tuple(o * f + events for o, f in zip(rate.own, factors, strict=True))
        rate.others = tuple(
            o * f + rate.idle_others for o, f in zip(rate.others, factors, strict=True)
        )
        rate.idle_bars, rate.idle_others = 0, 0.0


def _forget_deficit(rate: StreamRate) -> None:
    rate.deficit = rate.deficit_events = rate.deficit_expected = 0.0
    rate.deficit_bars = 0
