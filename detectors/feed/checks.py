"""Whether what is known of a symbol can be true: its feed, checked bar by bar.

A gap in the numbers, a stream that is silent while others move, a book that no venue can have,
records that take longer and longer: these are facts about the inputs and not about the market, and
in a cascade they are what lies. Nothing here is part of the false-alarm budget.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from detectors.feed.sequence_numbers import Numbering
from detectors.feed.silence import (
    LEARNED_BARS,
    NOTHING,
    SILENT,
    SPANS_SECONDS,
    WATCHED,
    Silence,
    Silent,
    StreamRate,
)
from detectors.feed.transport_delay import Transport
from detectors.market_data.bar import Flow
from detectors.market_data.book import Book
from detectors.market_data.events import LATEST_NS, Kind, Reference

_STREAMS = {
    Kind.ORDER: "orders",
    Kind.CANCEL: "cancels",
    Kind.TRADE: "trades",
    Kind.REFERENCE: "references",
}
_FROZEN = {
    **{kind: f"{name}_frozen_seconds" for kind, name in _STREAMS.items()},
    Kind.REFERENCE: "stale_reference_seconds",
}
_THROTTLED = {kind: f"{name}_throttled_ratio" for kind, name in _STREAMS.items()}

LOST = "sequence_gap_events"
CHECKS = (
    LOST,
    *_FROZEN.values(),
    *_THROTTLED.values(),
    "symbol_frozen_seconds",
    "crossed_book_seconds",
    "empty_book_seconds",
    "transport_delay_seconds",
    "clock_skew_seconds",
)
"""The features that a finding may have."""

IMPOSSIBLE_BARS = 3.0
"""So many bars with an impossible book, lately: one may be an event that is still under way."""

FORGIVEN = 0.2
"""A possible book makes up for so much of an impossible one."""

HOLE_NS = 5_000_000_000
"""A symbol without events for longer has not been moving."""

WITNESSES = 2
"""A symbol is only found silent while so many others of its partition move."""

HALTED_NS = 1_800_000_000_000
"""A symbol that has been silent for longer is halted or closed."""


class FeedLimits(Struct, frozen=True, kw_only=True):
    """What a user may set about the checks of a feed.

    A stream, or a symbol, is found silent after ``silent_seconds`` or ``symbol_silent_seconds`` at
    the earliest. A delay counts from ``delay_seconds`` above the usual, a clock from
    ``skew_seconds`` apart. An incident resolves after ``quiet_ns`` without a finding.
    """

    silent_seconds: float = 5.0
    symbol_silent_seconds: float = 10.0
    delay_seconds: float = 1.0
    skew_seconds: float = 0.1
    quiet_ns: int = 300_000_000_000


class Finding(NamedTuple):
    """What was found: a feature with its value and what it should be, and the same in words.

    ``score`` is the value over the least that counts, ``p_value`` the chance of it in a healthy
    feed: 0 for what cannot be.
    """

    feature: str
    value: float
    expected: float
    score: float
    p_value: float
    description: str


class FeedState(Struct):
    """All that is known of a symbol's feed; a snapshot keeps it and puts it back.

    ``seen`` counts the events of the bar that is open by `Kind`, as far as the bar's own flow lacks
    them: market orders and cancels of unknown orders are not in it, while replaced orders are.
    ``flow`` is the symbol's events, forgotten exponentially over each of `silence.SPANS_SECONDS`;
    ``transport`` is by stream. ``crossed`` and ``empty`` are bars with such a book, lately. The
    symbol's last bar ended at ``last_bar_ns``, and since ``moving_since_ns`` it has had no hole;
    both in nanoseconds of event time. ``prices`` are the last reference's.
    """

    numbering: Numbering = field(default_factory=Numbering)
    rates: tuple[StreamRate, ...] = field(default=(), name="habits")
    transport: dict[str, Transport] = {}
    seen: list[int] = field(default_factory=lambda: [0] * len(WATCHED))
    flow: tuple[float, ...] = NOTHING
    bars: int = 0
    crossed: float = 0.0
    empty: float = 0.0
    last_bar_ns: int = 0
    moving_since_ns: int = 0
    prices: tuple[float | None, float | None] = (None, None)


class Feed:
    """The feed of one symbol.

    Parameters
    ----------
    limits
        What counts.
    bar_ns
        The length of a bar in nanoseconds.

    Attributes
    ----------
    due_ns
        A symbol that has had no event by then may be silent.
    """

    __slots__ = ("_bar_ns", "_limits", "_silence", "due_ns", "state")

    def __init__(self, limits: FeedLimits, bar_ns: int) -> None:
        self._limits = limits
        self._bar_ns = bar_ns
        self._silence = Silence(bar_ns / 1e9)
        self.restore(FeedState(rates=self._silence.rates))

    def restore(self, state: FeedState) -> None:
        """Take over what a snapshot's feed knew."""
        self.state = state
        self._silence.rates = state.rates
        self._set_due()

    def limit(self, limits: FeedLimits) -> None:
        """Check by other limits from now on; what is known stays."""
        self._limits = limits
        self._set_due()

    def moved(self, reference: Reference) -> None:
        """Take a reference that has arrived; one that repeats the prices before it is stale."""
        state = self.state
        prices = (reference.mark_price, reference.index_price)
        state.seen[Kind.REFERENCE] += prices != state.prices
        state.prices = prices

    def add(self, flow: Flow) -> None:
        """Count what flowed in the open bar, or came late in it."""
        seen = self.state.seen
        seen[Kind.ORDER] += round(flow.orders)
        seen[Kind.CANCEL] += round(flow.cancels)
        seen[Kind.TRADE] += round(flow.trades)

    def close_bar(
        self, ends_at: int, elapsed: int, book: Book, flow: Flow, delays: Mapping[str, float]
    ) -> list[Finding]:
        """Check the bar that ends at ``ends_at``, ``elapsed`` bars after the symbol's last one.

        ``book`` is as the bar left it, ``flow`` what the bar saw, ``delays`` how long the fastest
        record of a stream of the partition was under way, in seconds, where that is known.
        """
        state = self.state
        self.add(flow)
        self._silence.close_bar(state.seen, elapsed)
        self._move(ends_at, elapsed)
        state.seen[:] = [0] * len(WATCHED)
        return [
            *self._lost(),
            *self._silent(),
            *self._impossible(book, flow),
            *self._delayed(delays),
        ]

    def silent(self, at_ns: int, others_since_ns: int) -> Finding | None:
        """Whether the symbol is silent at ``at_ns`` while others have moved since then."""
        state = self.state
        if at_ns - state.last_bar_ns > HALTED_NS:
            self.due_ns = LATEST_NS  # until it moves again
            return None
        since = max(state.last_bar_ns, others_since_ns)
        seconds = (at_ns - since) / 1e9
        expected = self._rate() * seconds
        least = self._limits.symbol_silent_seconds
        if state.bars < LEARNED_BARS or seconds < least or expected < SILENT:
            return None
        silent = (at_ns - state.last_bar_ns) / 1e9
        words = f"nothing for {silent:.0f} s while other symbols move"
        p_value = math.exp(-expected)
        return Finding("symbol_frozen_seconds", silent, 0.0, expected / SILENT, p_value, words)

    def _rate(self) -> float:
        """Events a second, the least of its recent rates."""
        return min(n / span for n, span in zip(self.state.flow, SPANS_SECONDS, strict=True))

    def _move(self, ends_at: int, elapsed: int) -> None:
        state = self.state
        if ends_at - state.last_bar_ns > HOLE_NS:
            state.moving_since_ns = ends_at
        state.last_bar_ns = ends_at
        state.bars += 1
        came = sum(state.seen)
        passed = elapsed * self._bar_ns / 1e9
        state.flow = tuple(
            n * math.exp(-passed / span) + came
            for n, span in zip(state.flow, SPANS_SECONDS, strict=True)
        )
        self._set_due()

    def _set_due(self) -> None:
        state, rate = self.state, self._rate()
        self.due_ns = LATEST_NS
        if state.bars >= LEARNED_BARS and rate > 0.0:
            seconds = max(self._limits.symbol_silent_seconds, SILENT / rate)
            self.due_ns = state.last_bar_ns + int(min(seconds, HALTED_NS / 1e9) * 1e9)

    def _lost(self) -> Iterator[Finding]:
        lost = self.state.numbering.close_bar()
        if lost:
            words = f"{lost:,} events missing by their numbers"
            yield Finding(LOST, float(lost), 0.0, float(lost), 0.0, words)

    def _silent(self) -> Iterator[Finding]:
        seconds = self._bar_ns / 1e9
        for found in self._silence.found(self._limits.silent_seconds / seconds):
            yield _silent(found, found.bars * seconds)

    def _impossible(self, book: Book, flow: Flow) -> Iterator[Finding]:
        """A book that no venue can have: crossed at rest, or traded with where it is empty."""
        state = self.state
        bids, asks = book.bids.prices, book.asks.prices
        crossed = bool(bids and asks and bids[-1] >= -asks[-1])
        empty = (not bids and flow.near_traded_bid > 0.0) or (
            not asks and flow.near_traded_ask > 0.0
        )
        state.crossed = state.crossed + 1.0 if crossed else max(0.0, state.crossed - FORGIVEN)
        state.empty = state.empty + 1.0 if empty else max(0.0, state.empty - FORGIVEN)
        for what, bars, words in (
            ("crossed", state.crossed, "the book keeps crossing, {:.0f} s of late"),
            ("empty", state.empty, "trades meet an empty side of the book, {:.0f} s of late"),
        ):
            if bars >= IMPOSSIBLE_BARS:
                seconds = bars * self._bar_ns / 1e9
                score = bars / IMPOSSIBLE_BARS
                yield Finding(
                    f"{what}_book_seconds", seconds, 0.0, score, 0.0, words.format(seconds)
                )

    def _delayed(self, delays: Mapping[str, float]) -> Iterator[Finding]:
        limits, transport = self._limits, self.state.transport
        for stream, delay in delays.items():
            rate = transport.setdefault(stream, Transport())
            rate.close_bar(delay, limits.delay_seconds, limits.skew_seconds)
        late = {stream: its for stream, its in transport.items() if its.late}
        if late:
            stream, its = max(late.items(), key=lambda pair: pair[1].last - pair[1].usual)
            score = (its.last - its.usual) / limits.delay_seconds
            words = f"{stream} take {its.last:.1f} s to arrive (usually {its.usual:.1f})"
            yield Finding("transport_delay_seconds", its.last, its.usual, score, 0.0, words)
        skewed = {stream: its for stream, its in transport.items() if its.skewed}
        if skewed:
            stream, its = min(skewed.items(), key=lambda pair: pair[1].last)
            score = -its.last / limits.skew_seconds
            words = f"{stream} are dated {-its.last:.1f} s after they were logged"
            yield Finding("clock_skew_seconds", -its.last, 0.0, score, 0.0, words)


def _silent(found: Silent, seconds: float) -> Finding:
    name = _STREAMS[found.kind]
    p_value = math.exp(-found.improbability)
    score = found.improbability / SILENT
    if found.came > 0.0:
        ratio = found.came / found.expected
        words = f"{ratio:.0%} of the usual {name} for {seconds:.0f} s"
        return Finding(_THROTTLED[found.kind], ratio, 1.0, score, p_value, words)
    what = "stale" if found.kind is Kind.REFERENCE else "frozen"
    words = f"{name} {what} for {seconds:.0f} s"
    return Finding(_FROZEN[found.kind], seconds, 0.0, score, p_value, words)
