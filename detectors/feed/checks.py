"""Check the feed of a symbol, bar by bar.

The checks detect sequence gaps, streams that are silent while others have events, books that no
venue can have, and growing transport delays. These are faults of the inputs, not of the market. In
a cascade such faults make alerts unreliable. Findings are not part of the false-alarm budget.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from detectors.feed.findings import LOST, Finding, silence
from detectors.feed.partial_book import PARTIAL_BOOK, PartialBook
from detectors.feed.sequence_numbers import Numbering
from detectors.feed.silence import (
    LEARNED_BARS,
    NO_EVENTS,
    NO_RATES,
    SILENT,
    SPANS_SECONDS,
    WATCHED,
    Silences,
    StreamRate,
)
from detectors.feed.transport_delay import Transport
from detectors.market_data.book import Book
from detectors.market_data.events import LATEST_NS, Kind, Reference
from detectors.market_data.flow import Flow
from detectors.table import Flags, Rows, Writes
from detectors.venue.trading import CONTINUOUS, BarTrading

IMPOSSIBLE_BARS = 3.0
"""The number of recent bars with an impossible book that makes a finding. A single bar may only
wait for an event in transit."""

RECOVERY = 0.2
"""The number of impossible bars that one bar with a possible book cancels."""

HOLE_NS = 5_000_000_000
"""The time without events after which a symbol is no longer active."""

WITNESSES = 2
"""The number of other symbols of the partition that must be active to find a symbol silent."""

HALTED_NS = 1_800_000_000_000
"""The silence after which a symbol counts as halted or closed."""


class FeedLimits(Struct, frozen=True, kw_only=True):
    """The settings of the feed checks.

    ``silent_seconds`` is the shortest silence of a stream that makes a finding, and
    ``symbol_silent_seconds`` the shortest silence of a symbol. A delay makes a finding if it is
    more than ``delay_seconds`` above the usual delay, a clock if it differs by more than
    ``skew_seconds``. An incident resolves after ``quiet_ns`` without a finding.
    """

    silent_seconds: float = 5.0
    symbol_silent_seconds: float = 10.0
    delay_seconds: float = 1.0
    skew_seconds: float = 0.1
    quiet_ns: int = 300_000_000_000


class FeedState(Struct):
    """The state of a symbol's feed; part of a snapshot.

    ``seen`` counts the events of the open bar that are not in the bar's flow, by `Kind`: market
    orders, cancels of unknown orders, references and late events. A replaced order subtracts a
    cancel, because the flow counts one. ``flow`` counts the symbol's events, with exponential
    forgetting over each of `silence.SPANS_SECONDS`. ``transport`` is by stream. ``crossed`` and
    ``empty`` count recent bars with such a book. The symbol's last bar ended at ``last_bar_ns``.
    The symbol has had no pause longer than `HOLE_NS` since ``moving_since_ns``. Both are in
    nanoseconds of event time. ``prices`` holds the mark and index prices of the last reference.
    ``silent_with`` is the symbol whose incident reports the silence of this symbol, see
    ``service.pipeline.silences``; it is empty while the symbol has events.
    """

    numbering: Numbering = field(default_factory=Numbering)
    rates: tuple[StreamRate, ...] = field(default=(), name="habits")
    transport: dict[str, Transport] = {}
    seen: list[int] = field(default_factory=lambda: [0] * len(WATCHED))
    flow: tuple[float, ...] = NO_EVENTS
    bars: int = 0
    crossed: float = 0.0
    empty: float = 0.0
    last_bar_ns: int = 0
    moving_since_ns: int = 0
    prices: tuple[float | None, float | None] = (None, None)
    partial_book: PartialBook = field(default_factory=PartialBook)
    silent_with: str = ""


class FeedBar(NamedTuple):
    """A bar of a feed that has ended, before its streams are checked for silence.

    ``seen`` counts the events by `Kind`, ``elapsed`` the bars since the last one. ``reopens``: the
    rates are not learned. The rest are findings of the other checks.
    """

    seen: tuple[int, ...]
    elapsed: int
    reopens: bool
    paused: bool
    lost: list[Finding]
    impossible: list[Finding]
    delayed: list[Finding]


_NONE_SEEN = [0] * len(WATCHED)


class Feed:
    """The feed checks of one symbol.

    Parameters
    ----------
    limits
        The limits from which values make findings.
    bar_ns
        The length of a bar in nanoseconds.
    silences, row
        The silence checks of the symbols that share them, and the row of this one.

    Attributes
    ----------
    due_ns
        The event time, in nanoseconds, from which a symbol without an event may be silent.
    """

    __slots__ = ("_bar_ns", "_decays", "_limits", "_row", "_silences", "due_ns", "state")

    def __init__(self, limits: FeedLimits, bar_ns: int, silences: Silences, row: int) -> None:
        self._limits = limits
        self._bar_ns = bar_ns
        self._row = row
        self._silences = silences
        self._decays = [math.exp(-bar_ns / 1e9 / span) for span in SPANS_SECONDS]
        self.restore(FeedState())

    def restore(self, state: FeedState) -> None:
        """Continue from the state of a snapshot."""
        self.state = replace(state, rates=())  # those are in the columns
        self._silences.restore(self._row, state.rates or NO_RATES)
        self._set_due()

    def snapshot(self) -> FeedState:
        """Return the state with the rates; it shares mutable objects with the feed."""
        return replace(self.state, rates=self.rates())

    def rates(self) -> tuple[StreamRate, ...]:
        """Return the usual rates of the streams."""
        return self._silences.state(self._row)

    def limit(self, limits: FeedLimits) -> None:
        """Use other limits from now on; the state stays."""
        self._limits = limits
        self._set_due()

    def moved(self, reference: Reference) -> None:
        """Count a reference. A reference that repeats the last prices is stale and does not count.

        The prices of the reference become the last prices.
        """
        state = self.state
        prices = (reference.mark_price, reference.index_price)
        state.seen[Kind.REFERENCE] += prices != state.prices
        state.prices = prices

    def add(self, flow: Flow) -> None:
        """Add the events of a flow to the counts of the open bar."""
        seen = self.state.seen
        seen[Kind.ORDER] += round(flow.orders)
        seen[Kind.CANCEL] += round(flow.cancels)
        seen[Kind.TRADE] += round(flow.trades)

    def end_bar(
        self,
        ends_at: int,
        elapsed: int,
        book: Book,
        flow: Flow,
        delays: Mapping[str, float],
        trading: BarTrading = CONTINUOUS,
    ) -> FeedBar:
        """End a bar; `close_streams` and `findings` must follow.

        Parameters
        ----------
        ends_at
            The end of the bar, in nanoseconds of event time.
        elapsed
            The number of bars since the symbol's last bar.
        book
            The book at the end of the bar.
        flow
            The sums of the bar.
        delays
            By stream of the partition, the transport delay of the fastest record, in seconds.
            Streams with an unknown delay are absent.
        trading
            How the symbol traded. In a pause, no stream is silent and no book is impossible, and
            the rates of a pause are not learned.
        """
        state = self.state
        self.add(flow)
        seen = tuple(state.seen)
        reopens = trading.paused or trading.reopened
        if reopens:
            self.reopen()
        self._move(ends_at, elapsed)
        state.partial_book.close_bar(seen[Kind.CANCEL] + seen[Kind.TRADE])
        state.seen[:] = _NONE_SEEN
        return FeedBar(
            seen,
            elapsed,
            reopens,
            trading.paused,
            self._lost(),
            [] if trading.paused else self._impossible(book, flow, trading),
            self._delayed(delays),
        )

    def findings(self, ended: FeedBar, *, may_be_silent: bool) -> list[Finding]:
        """Return the findings of a bar that has ended."""
        silent = [] if ended.paused or not may_be_silent else self._silent()
        return [*ended.lost, *silent, *ended.impossible, *ended.delayed]

    def reopen(self) -> None:
        """Forget missing events and impossible books: they belong to another phase."""
        self.state.crossed = self.state.empty = 0.0
        self._silences.reopen(self._row)

    def silent(self, at_ns: int, others_since_ns: int) -> Finding | None:
        """Return a finding if the symbol is silent at ``at_ns`` while other symbols are active.

        The other symbols have been active since ``others_since_ns``.
        """
        state = self.state
        if at_ns - state.last_bar_ns > HALTED_NS:
            self.due_ns = LATEST_NS  # until the symbol has an event again
            return None
        since = max(state.last_bar_ns, others_since_ns)
        seconds = (at_ns - since) / 1e9
        expected = self._rate() * seconds
        least = self._limits.symbol_silent_seconds
        if state.bars < LEARNED_BARS or seconds < least or expected < SILENT:
            return None
        silent = (at_ns - state.last_bar_ns) / 1e9
        text = f"no events for {silent:.0f} s while other symbols are active"
        p_value = math.exp(-expected)
        return Finding("symbol_frozen_seconds", silent, 0.0, expected / SILENT, p_value, text)

    def expected(self, at_ns: int) -> float:
        """Return the usual number of events in the time since the symbol's last bar.

        It is 0 as long as the usual rate is unknown.
        """
        seconds = (at_ns - self.state.last_bar_ns) / 1e9
        return self._rate() * seconds if self.state.bars >= LEARNED_BARS else 0.0

    def _rate(self) -> float:
        """Return the smallest recent event rate of the symbol, in events a second."""
        (a, b, c), (short, middle, long) = self.state.flow, SPANS_SECONDS
        return min(a / short, b / middle, c / long)

    def _move(self, ends_at: int, elapsed: int) -> None:
        state = self.state
        if ends_at - state.last_bar_ns > HOLE_NS:
            state.moving_since_ns = ends_at
        state.last_bar_ns = ends_at
        state.bars += 1
        state.silent_with = ""
        events = sum(state.seen)
        if elapsed == 1:
            decays = self._decays
        else:
            seconds = elapsed * self._bar_ns / 1e9
            decays = [math.exp(-seconds / span) for span in SPANS_SECONDS]
        (a, b, c), (d, e, f) = state.flow, decays
        state.flow = (a * d + events, b * e + events, c * f + events)
        self._set_due()

    def _set_due(self) -> None:
        state = self.state
        self.due_ns = LATEST_NS
        if state.bars >= LEARNED_BARS and (rate := self._rate()) > 0.0:
            seconds = max(self._limits.symbol_silent_seconds, SILENT / rate)
            self.due_ns = state.last_bar_ns + int(min(seconds, HALTED_NS / 1e9) * 1e9)

    def _lost(self) -> list[Finding]:
        lost = self.state.numbering.close_bar()
        if lost:
            text = f"{lost:,} events are missing (gap in the sequence numbers)"
            return [Finding(LOST, float(lost), 0.0, float(lost), 0.0, text)]
        return []

    def _silent(self) -> list[Finding]:
        seconds = self._bar_ns / 1e9
        least_bars = self._limits.silent_seconds / seconds
        found = self._silences.found(self._row, least_bars)
        return [silence(its, its.bars * seconds) for its in found]

    def _impossible(self, book: Book, flow: Flow, trading: BarTrading) -> list[Finding]:
        """Find books that no venue can have: crossed at rest, or with trades on an empty side.

        In an auction a book may be crossed. A partial book explains both, and is the one finding
        then.
        """
        state = self.state
        bids, asks = book.bids.prices, book.asks.prices
        sound = bids and asks and bids[-1] < -asks[-1]
        if sound and not (state.crossed or state.empty or state.partial_book.found):
            return []
        crossed = book.crossed and not (trading.presumed_auction or trading.undecided)
        empty = (not bids and flow.near_traded_bid > 0.0) or (
            not asks and flow.near_traded_ask > 0.0
        )
        state.crossed = state.crossed + 1.0 if crossed else max(0.0, state.crossed - RECOVERY)
        state.empty = state.empty + 1.0 if empty else max(0.0, state.empty - RECOVERY)
        partial = state.partial_book
        if partial.found:
            text = partial.describe()
            return [Finding(PARTIAL_BOOK, partial.share, 0.0, partial.score, 0.0, text)]
        if state.crossed < IMPOSSIBLE_BARS and state.empty < IMPOSSIBLE_BARS:
            return []
        findings = []
        for condition, bars, template in (
            ("crossed", state.crossed, "the book was crossed in {:.0f} of the last seconds"),
            ("empty", state.empty, "trades met an empty book side in {:.0f} of the last seconds"),
        ):
            if bars >= IMPOSSIBLE_BARS:
                seconds = bars * self._bar_ns / 1e9
                score = bars / IMPOSSIBLE_BARS
                text = template.format(seconds)
                findings.append(
                    Finding(f"{condition}_book_seconds", seconds, 0.0, score, 0.0, text)
                )
        return findings

    def _delayed(self, delays: Mapping[str, float]) -> list[Finding]:
        limits, transport = self._limits, self.state.transport
        if not transport and not delays:
            return []
        for stream, delay in delays.items():
            known = transport.setdefault(stream, Transport())
            known.close_bar(delay, limits.delay_seconds, limits.skew_seconds)
        findings = []
        late = {stream: known for stream, known in transport.items() if known.late}
        if late:
            stream, worst = max(late.items(), key=lambda pair: pair[1].last - pair[1].usual)
            score = (worst.last - worst.usual) / limits.delay_seconds
            text = f"{stream} take {worst.last:.1f} s to arrive (usually {worst.usual:.1f})"
            findings.append(
                Finding("transport_delay_seconds", worst.last, worst.usual, score, 0.0, text)
            )
        skewed = {stream: known for stream, known in transport.items() if known.skewed}
        if skewed:
            stream, worst = min(skewed.items(), key=lambda pair: pair[1].last)
            score = -worst.last / limits.skew_seconds
            text = f"{stream} are dated {-worst.last:.1f} s after they were logged"
            findings.append(Finding("clock_skew_seconds", -worst.last, 0.0, score, 0.0, text))
        return findings


def close_streams(
    silences: Silences, rows: Rows, ended: Sequence[FeedBar], writes: Writes
) -> Flags:
    """Check the streams of ended bars for silence; return which rows may have a silent stream."""
    seen = np.array([its.seen for its in ended], dtype=np.float64)
    elapsed = np.array([its.elapsed for its in ended], dtype=np.int64)
    if not any(its.reopens for its in ended):
        return silences.close_many(rows, seen, elapsed, writes)
    flags = np.zeros(len(rows), dtype=np.bool_)
    on: Flags = ~np.array([its.reopens for its in ended], dtype=np.bool_)
    if on.any():
        flags[on] = silences.close_many(rows[on], seen[on], elapsed[on], writes)
    return flags
