"""Streams of a symbol that fell silent, or nearly so, while the others went on.

How much of a stream is to be expected in a bar follows from its own recent rate and from its recent
share of what the symbol's other streams bring. The smallest counts, over several spans, so that
neither a lull nor a flood in another stream makes silence out of what is none. What was expected
and did not come adds up over the bars in which others moved: of a Poisson stream nothing at all
comes with the chance exp(-expected).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from detectors.market_data.events import Kind

WATCHED = (Kind.ORDER, Kind.CANCEL, Kind.TRADE, Kind.REFERENCE)
"""Margins and positions come when somebody does something: their silence says nothing. Of
references only those count that have another price than the one before."""

SPANS_SECONDS = (15.0, 60.0, 300.0)
"""The spans over which rates and shares are recent."""

SILENT = 30.0
"""So many events expected and none come. If they came independently it would be a chance of 1e-13;
flow comes in clusters, and 17 were seen on healthy feeds, simulated and recorded."""

THROTTLE = 10.0
"""A stream is throttled when it brings a tenth of what is expected, or less."""

THROTTLED = 40.0
"""Page's statistic (log-likelihood ratio of a tenth of the usual to the usual) from which a stream
is taken for throttled; 15 was seen on healthy feeds."""

THROTTLED_BARS = 10
"""A stream is not taken for throttled any sooner."""

LEARNED_BARS = 240
"""A stream's habit is known so many bars after its first event."""

NOTHING = (0.0,) * len(SPANS_SECONDS)


class Silent(NamedTuple):
    """A stream that is silent, or nearly: for how long, and what came of what was expected."""

    kind: Kind
    bars: int
    came: float
    expected: float
    improbability: float


class StreamRate(Struct):
    """What is usual of one stream, and what of it has lately failed to come.

    ``own`` and ``others`` are its and the others' events, forgotten exponentially over each of
    `SPANS_SECONDS`. They stand still while it is silent: ``idle_bars`` and ``idle_others`` passed
    since. ``missed`` events were expected since it was last heard, in ``silent_bars`` bars;
    ``deficit`` is Page's statistic for a tenth of the usual, ``deficit_bars`` and
    ``deficit_events`` what came since it left zero.
    """

    own: tuple[float, ...] = NOTHING
    others: tuple[float, ...] = NOTHING
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
    """The habits of one symbol's streams.

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
        """Take a bar with events: how many of each of `WATCHED`.

        It is ``elapsed`` bars after the last one.
        """
        flow = seen[Kind.ORDER] + seen[Kind.CANCEL] + seen[Kind.TRADE]
        for kind, rate in zip(WATCHED, self.rates, strict=True):
            came = seen[kind]
            others = flow - came if kind is not Kind.REFERENCE else flow
            self._follow(rate, came, others)
            rate.idle_bars += elapsed
            rate.idle_others += others
            if came:
                self._learn(rate, came)

    def found(self, least_bars: float) -> Iterator[Silent]:
        """The streams that are silent or throttled, in at least so many bars."""
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

    def _follow(self, rate: StreamRate, came: int, others: int) -> None:
        """Add up what was expected in this bar and did not come."""
        expected = self._expected(rate, others) if rate.bars >= LEARNED_BARS else 0.0
        if came:
            if rate.missed >= SILENT:
                _forget_deficit(rate)  # it was silent, and that was told
            rate.missed, rate.silent_bars = 0.0, 0
        else:
            rate.missed += expected
            rate.silent_bars += 1
        rise = expected * (1.0 - 1.0 / THROTTLE) - came * math.log(THROTTLE)
        # No higher than what is found: so it falls with the first bar that is as usual.
        rate.deficit = min(THROTTLED, rate.deficit + rise)
        if rate.deficit <= 0.0:
            _forget_deficit(rate)
        else:
            rate.deficit_bars += 1
            rate.deficit_events += came
            rate.deficit_expected += expected
        rate.bars += bool(rate.bars or came)

    def _expected(self, rate: StreamRate, others: int) -> float:
        """How much was to be expected of a stream in a bar in which ``others`` came of the rest."""
        expected = math.inf
        for decay, own, rest in zip(self._decays, rate.own, rate.others, strict=True):
            share = own / rest if rest > 0.0 else 0.0
            expected = min(expected, own * (1.0 - decay), share * others)
        return expected

    def _learn(self, rate: StreamRate, came: int) -> None:
        left = [decay**rate.idle_bars for decay in self._decays]
        rate.own = tuple(o * f + came for o, f in zip(rate.own, left, strict=True))
        rate.others = tuple(
            o * f + rate.idle_others for o, f in zip(rate.others, left, strict=True)
        )
        rate.idle_bars, rate.idle_others = 0, 0.0


def _forget_deficit(rate: StreamRate) -> None:
    rate.deficit = rate.deficit_events = rate.deficit_expected = 0.0
    rate.deficit_bars = 0
