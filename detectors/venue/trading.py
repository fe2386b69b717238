"""Whether a symbol trades continuously, is paused by its venue, or seems to be in an auction.

In an auction and in a halt the book may be crossed, and neither its depth nor its flow compare
with continuous trading. Foreshock does not judge such bars and does not uncross such books.

Without a status and without a calendar, the book itself shows an auction: new orders of both sides
cross it, and the trades that are usual by then do not happen. In continuous trading a crossed book
has another cause: the feed lost the end of an order. One side is then older than all orders that it
crosses, or trades go on while the book is crossed.
"""

from typing import Literal, NamedTuple

from msgspec import Struct

from detectors.market_data.book import Book
from detectors.market_data.events import Status
from detectors.venue.calendar import Calendar, SymbolCalendar

Phase = Literal["open", "auction", "halted", "closed", "expired"]

AUCTION_BARS = 3
"""The least number of bars with a crossed book and without a trade that show an auction."""

PATIENCE_BARS = 10
"""The number of such bars after which orders that cross on one side only are dropped as stale. An
auction is crossed by new orders of both sides by then."""

MISSED_TRADES = 3.0
"""The expected number of bars with a trade in this time from which their absence shows an
auction."""

_TRADES_MEMORY_BARS = 100.0

_LOOK_BACK_NS = 5_000_000_000


class TradingState(Struct):
    """The trading state of a symbol; part of a snapshot.

    ``phase`` is the venue's last status, from ``since_ns`` until ``until_ns`` (0: until the next
    status); None without a status. ``paused_in_bar`` says whether the symbol was paused, or its
    book cleared, within the open bar. ``crossed_bars`` counts the last bars that ended with a
    crossed book, without a trade. ``traded_share`` is the usual share of bars with a trade.
    ``presumed``: in the last bar an auction was presumed.
    """

    phase: Phase | None = None
    since_ns: int = 0
    until_ns: int = 0
    paused_in_bar: bool = False
    crossed_bars: int = 0
    traded_share: float = 0.0
    presumed: bool = False


class BarTrading(NamedTuple):
    """How a symbol traded in a bar.

    ``paused``: the venue paused it. ``presumed_auction``: the book shows an auction that no status
    and no calendar reports. ``uncross``: a crossed book is the fault of the feed. ``reopened``: an
    auction was presumed until the last bar. ``undecided``: a crossed book has a stale side, or an
    auction begins.
    """

    paused: bool = False
    presumed_auction: bool = False
    uncross: bool = False
    reopened: bool = False
    undecided: bool = False


CONTINUOUS = BarTrading()


class Trading:
    """The trading state of one symbol.

    Parameters
    ----------
    symbol
        The symbol.
    calendar
        The calendar of the venue. A status has priority over the sessions. The expiry applies in
        any case.
    """

    __slots__ = ("_calendar", "_symbol", "state")

    def __init__(self, symbol: str, calendar: Calendar) -> None:
        self._symbol = symbol
        self.state = TradingState()
        self.reconfigure(calendar)

    def reconfigure(self, calendar: Calendar) -> None:
        """Use another calendar from now on."""
        self._calendar: SymbolCalendar = calendar.of(self._symbol)

    def apply(self, status: Status) -> None:
        """Process a status. A status that is older than the current one has no effect."""
        state = self.state
        if status.state == "book_cleared":
            state.paused_in_bar = True
            return
        if status.ts_event < state.since_ns:
            return
        before = self.phase(status.ts_event)
        state.phase, state.since_ns = status.state, status.ts_event
        state.until_ns = status.until or 0
        if before != "open" or status.state != "open":
            state.paused_in_bar = True

    def phase(self, ts_ns: int) -> Phase:
        """Return the phase at a moment."""
        if self.expired_ns(ts_ns) is not None:
            return "expired"
        state = self.state
        if state.phase is None or state.phase == "expired":
            return self._calendar.state(ts_ns)
        return "open" if 0 < state.until_ns <= ts_ns else state.phase

    def expired_ns(self, ts_ns: int) -> int | None:
        """Return when the symbol expired, if it has expired by ``ts_ns``; otherwise None."""
        state = self.state
        expires_ns = state.since_ns if state.phase == "expired" else self._calendar.expires_ns
        return expires_ns if expires_ns is not None and expires_ns <= ts_ns else None

    def open_since(self, since_ns: int, at_ns: int) -> int | None:
        """Return since when, after ``since_ns``, the symbol has been open without a pause.

        The result is None if the symbol is not open at ``at_ns``.
        """
        if self.phase(at_ns) != "open":
            return None
        if not self._calendar.sessions and not self.state.until_ns:
            return since_ns
        for ts_ns in range(at_ns, since_ns, -_LOOK_BACK_NS):
            if self.phase(ts_ns) != "open":
                return ts_ns + _LOOK_BACK_NS
        return since_ns

    def close_bar(
        self,
        begins_ns: int,
        ends_ns: int,
        bar_ns: int,
        book: Book,
        trades: float,
        *,
        settled: bool = True,
    ) -> BarTrading:
        """Return how the symbol traded in the bar that ends at ``ends_ns``.

        Parameters
        ----------
        begins_ns, ends_ns
            The time since the symbol's last bar, at most as far back as matters, and the end of
            the bar, in nanoseconds of event time.
        bar_ns
            The length of a bar in nanoseconds.
        book
            The book at the end of the bar.
        trades
            The number of trades in the bar.
        settled
            Whether the symbol has traded continuously for long enough to show what is usual.
        """
        state = self.state
        paused = state.paused_in_bar or self._paused_between(begins_ns, ends_ns, bar_ns)
        state.paused_in_bar = False
        presumed = state.presumed
        state.presumed = False
        if paused or not book.crossed:
            if settled and not paused:
                state.traded_share += (bool(trades) - state.traded_share) / _TRADES_MEMORY_BARS
            state.crossed_bars = 0
            return BarTrading(paused=paused, reopened=presumed)
        if trades and state.crossed_bars:
            # It was crossed before these trades, and is crossed after them.
            state.crossed_bars = 1
            return BarTrading(uncross=True, reopened=presumed)
        state.crossed_bars += 1
        if not book.crossed_by_both_sides:
            if state.crossed_bars < PATIENCE_BARS:
                return BarTrading(undecided=True, reopened=presumed)
            state.crossed_bars = 1
            return BarTrading(uncross=True, reopened=presumed)
        if state.crossed_bars < AUCTION_BARS:
            return BarTrading(reopened=presumed)
        state.presumed = self._misses_trades()
        return BarTrading(presumed_auction=state.presumed)

    def _paused_between(self, begins_ns: int, ends_ns: int, step_ns: int) -> bool:
        calendar = self._calendar
        if self.state.phase in (None, "open") and not calendar.sessions and not calendar.expires_ns:
            return False
        moments = (*range(begins_ns, ends_ns, step_ns), ends_ns - 1)
        return any(self.phase(ts_ns) != "open" for ts_ns in moments)

    def _misses_trades(self) -> bool:
        """Whether trades are missing: their absence shows an auction, if they are usual."""
        state = self.state
        if not state.traded_share:  # it has not traded yet
            return True
        return state.crossed_bars * state.traded_share >= MISSED_TRADES
