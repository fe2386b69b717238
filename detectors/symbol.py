"""The monitor of one symbol: its book, bars and detectors."""

import math
from collections.abc import Mapping

from detectors.change_watch import ChangeWatch
from detectors.closing import Closing, Columns, Ended, Signal, Summed, stress_ratio
from detectors.counts import Counts
from detectors.detector import Detector
from detectors.feed.monitor import FeedMonitor
from detectors.incidents.alerts import Alert
from detectors.incidents.drift_incidents import DriftIncidents
from detectors.incidents.ledger import Ledger
from detectors.incidents.market_effect import MarketNow
from detectors.incidents.suppressor import Suppressor
from detectors.incidents.symbol_incidents import Incidents
from detectors.market_data.bar import (
    Bar,
    book_state,
    spread_of,
)
from detectors.market_data.book import Book, bands_of
from detectors.market_data.columns import BarFlow
from detectors.market_data.events import Event, Late
from detectors.market_data.flow import amounts
from detectors.market_data.large_orders import LargeOrders
from detectors.market_data.leverage_baselines import LeverageBaselines
from detectors.market_data.market_noise import MarketNoise
from detectors.open_bar import OpenBar, SymbolProgress
from detectors.parameters import Parameters
from detectors.scorer import PAUSED, Reading, Scorer, Verdict, too_sparse
from detectors.venue.trading import Trading

LULL_NS = 60_000_000_000
"""The time without an event after which the next event is a reopening."""

SETTLING_BARS = 60
"""The number of bars after a lull, or after the first event, in which nothing is judged."""

SPARSE_LULLS = 10
"""The number of lulls without settling in between after which a symbol is too sparse to judge."""

NO_DELAYS: Mapping[str, float] = {}


class SymbolMonitor:
    """The monitor of one symbol.

    Parameters
    ----------
    symbol
        The symbol whose events the monitor takes.
    parameters
        The parameters of detection.
    detectors
        The detectors that run on the symbol.
    counts
        The counters to increment; symbols may share them.
    columns
        The columns of the symbols that share them; the monitor takes a row. None: the symbol has
        its own.
    """

    __slots__ = (
        "_handlers",
        "bar",
        "book",
        "columns",
        "counts",
        "detectors",
        "drifts",
        "feed",
        "incidents",
        "large",
        "ledger",
        "leverage_baselines",
        "noise",
        "open_bar",
        "parameters",
        "row",
        "signal",
        "suppressor",
        "symbol",
        "trading",
        "watches",
    )  # fmt: skip

    def __init__(
        self,
        symbol: str,
        parameters: Parameters,
        detectors: tuple[Detector, ...],
        counts: Counts,
        columns: Columns | None = None,
    ) -> None:
        self.symbol = symbol
        self.parameters = parameters = parameters.of(symbol)
        self.suppressor = Suppressor(
            symbol, parameters.suppression, detectors, counts.suppressed_alarms
        )
        self.detectors = detectors
        self.columns = columns if columns is not None else Columns(parameters, detectors)
        self.row = self.columns.add(parameters.false_alarms_per_day)
        self.book = Book(parameters.max_orders, in_ticks=parameters.prices_in_ticks(symbol))
        self.leverage_baselines = LeverageBaselines(parameters.max_accounts)
        self.noise = MarketNoise(parameters.bar_seconds)
        self.watches = [
            ChangeWatch(detector, warmup_bars=parameters.warmup_bars // 2)
            for detector in detectors
            if not detector.alarms
        ]
        self.incidents = Incidents(symbol, parameters.quiet_ns)
        self.drifts = DriftIncidents(symbol)
        self.ledger = Ledger()
        self.feed = FeedMonitor(
            symbol,
            parameters.bar_ns,
            parameters.feed,
            parameters.suppression,
            counts.feed,
            counts.suppressed_alarms,
            self.columns.silences,
            self.row,
        )
        self.counts = counts
        self.signal: Signal | None = None
        self.bar: Bar | None = None
        self.large = LargeOrders(parameters.bar_seconds)
        self.trading = Trading(symbol, parameters.calendar)
        self.open_bar = OpenBar(
            self.book,
            self.leverage_baselines,
            self.large,
            self.feed,
            self.trading,
            counts,
            parameters,
        )
        self._handlers = self.open_bar.handlers

    @property
    def progress(self) -> SymbolProgress:
        """The progress of the symbol's stream."""
        return self.open_bar.progress

    def apply(self, event: Event | Late) -> None:
        """Process one event of this symbol; the caller passes events in order."""
        sequence = event.sequence
        if sequence is not None:
            numbering = self.feed.numbering
            if sequence == numbering.next:
                numbering.next = sequence + 1
            elif numbering.is_repeat(event, sequence):
                self.counts.repeated_events += 1
                return
            elif numbering.broken(event, sequence):
                self.counts.sequence_regressions += 1
        self._handlers[event.kind](event)

    def close_bar(
        self, ends_at: int, delays: Mapping[str, float] = NO_DELAYS
    ) -> tuple[Signal, list[Alert]]:
        """Close a bar of this symbol alone.

        The steps are `end_bar`, `Columns.sum_up`, `measure`, `Columns.judge` and `conclude`; a
        partition takes each for all symbols at once.
        """
        ended = self.end_bar(ends_at, delays)
        closing = self.measure(ended, *self.columns.sum_up([ended]))
        return self.conclude(closing, *self.columns.judge([closing]))

    def end_bar(self, ends_at: int, delays: Mapping[str, float] = NO_DELAYS) -> Ended:
        """End the bar that ends at ``ends_at``. The bar must have events.

        Parameters
        ----------
        ends_at
            The end of the bar, in nanoseconds of event time.
        delays
            The record delays of the partition, see `Feed.close_bar`.

        Returns
        -------
        Ended
            The bar, which must be closed, see `close_bar`.
        """
        bar_ns = self.parameters.bar_ns
        index = ends_at // bar_ns
        open_bar = self.open_bar
        flow, progress = open_bar.flow, open_bar.progress
        elapsed = index - progress.bar_index
        lull = elapsed * bar_ns > LULL_NS
        since_ns = ends_at - (bar_ns if lull else elapsed * bar_ns)
        settled = progress.settled_bars > SETTLING_BARS
        trading = self.trading.close_bar(
            since_ns, ends_at, bar_ns, self.book, flow.trades, settled=settled
        )
        paused = trading.paused or trading.presumed_auction or trading.reopened
        if lull or paused:
            # After these, and before the very first bar, the market is not in its usual state.
            progress.settled_bars = 0
            progress.lulls += lull
        progress.settled_bars += not paused
        progress.bar_index = index
        self.counts.bars += 1

        feed = self.feed.end_bar(ends_at, elapsed, self.book, flow, delays, trading)
        if trading.uncross:
            self.book.uncross(ends_at - bar_ns, open_bar.early.doubtful)
        if self.book.in_ticks:
            self.book.learn_tick()
        opened = open_bar.opened
        last_mid = opened.mid if opened is not None else None
        closed = book_state(self.book, last_mid)
        open_bar.learn_leveraged()
        self._count_evictions()
        layered, spoofed = self.large.close_bar(elapsed)
        settling = progress.settled_bars <= SETTLING_BARS
        if not settling:
            progress.lulls = 0
        ended = BarFlow(
            self.row,
            index,
            elapsed,
            amounts(flow),
            open_bar.last_quantity,
            spread_of(closed),
            closed.near_depth if closed is not None and not paused else math.nan,
            paused,
        )
        return Ended(
            ends_at, ended, closed, layered, spoofed, settling, feed, not trading.presumed_auction
        )

    def measure(self, ended: Ended, summed: Summed) -> Closing:
        """Measure the bar with its sums."""
        open_bar, sums = self.open_bar, summed.sums
        alerts = self.feed.conclude(
            ended.ends_at,
            ended.feed,
            may_be_silent=summed.may_be_silent,
            escalates=ended.escalates,
        )
        inputs = self.feed.inputs(ended.ends_at)
        bar = self.bar = Bar(
            symbol=self.symbol,
            starts_at=ended.ends_at - self.parameters.bar_ns,
            ends_at=ended.ends_at,
            flow=open_bar.flow,
            span_sums=sums.span_sums,
            opened=open_bar.opened,
            closed=ended.closed,
            usual_depth=sums.usual_depth,
            typical_spread=sums.typical_spread,
            smooth_log_depth=sums.smooth_log_depth,
            recent=sums.recent,
            layered=ended.layered,
            spoofed=ended.spoofed,
        )
        columns, paused, settling = self.columns, ended.flow.paused, ended.settling
        measured = None if paused else columns.measure(self.row, bar, settling=settling)
        return Closing(
            self.row,
            bar,
            sums.median_spread,
            sums.median_size,
            measured,
            ended.settling,
            alerts,
            inputs,
        )

    def conclude(self, closing: Closing, verdict: Verdict | None) -> tuple[Signal, list[Alert]]:
        """Return the signal of a judged bar and the alerts that it causes; begin the next bar."""
        bar, inputs = closing.bar, closing.inputs
        ends_at = bar.ends_at
        readings = self._readings(closing, verdict)
        p_values = [its.p_value for its in readings.values() if its.p_value is not None]
        if p_values:
            self.counts.judged_bars += 1
        alerts = closing.alerts
        news = [its for its in readings.values() if its.alarm or its.drift]
        market = (
            self._market(bar) if closing.measured is not None and not closing.settling else None
        )
        if news or self.with_incident:
            self.suppressor.mark(bar, readings)
            alerts = [
                *alerts,
                *self.incidents.step(ends_at, self.detectors, readings, inputs, market),
                *self.drifts.step(ends_at, self.detectors, readings, inputs),
                *self._end_at_expiry(ends_at),
            ]
            self.ledger.note(self.incidents.open, readings, self.scorers)
        summary = self.open_bar.summary(bar.closed)
        self.book.bands = bands_of(closing.median_spread)
        self.open_bar.begin(bar.closed, closing.median_size)
        budget, bar_seconds = self.parameters.false_alarms_per_day, self.parameters.bar_seconds
        stress = stress_ratio(min(p_values), budget, bar_seconds) if p_values else None
        self.signal = Signal(self.symbol, ends_at, stress, readings, inputs, summary)
        return self.signal, alerts

    def _market(self, bar: Bar) -> MarketNow:
        """Learn how much the market fluctuates in a bar, and return the market at its close."""
        return MarketNow(bar, self.book, self.noise.learn(bar, self.book.tick))

    def _readings(self, closing: Closing, verdict: Verdict | None) -> dict[str, Reading]:
        measured = closing.measured
        if measured is None:
            return {detector.name: PAUSED for detector in self.detectors}
        readings = self.columns.scorers.readings(measured, verdict)
        for watch in self.watches:
            reading = watch.step(closing.bar, settling=closing.settling)
            readings[watch.detector.name] = reading
        if self.too_sparse:
            return {name: too_sparse(reading) for name, reading in readings.items()}
        return readings

    @property
    def scorers(self) -> list[Scorer]:
        """The detectors that judge the symbol."""
        return self.columns.scorers.of(self.row)

    def release(self) -> None:
        """Give up the symbol's row: it is no longer watched."""
        self.columns.remove(self.row)

    def resolve(self, ts_event: int) -> list[Alert]:
        """Resolve the incidents that are over at ``ts_event``, by quiet time or by expiry."""
        expired_ns = self._expired_ns(ts_event)
        quiet_until = ts_event if expired_ns is None else expired_ns
        return [
            *self.feed.incidents.resolve(quiet_until),
            *self.incidents.resolve(quiet_until),
            *self.drifts.resolve(quiet_until),
            *self._end_at_expiry(ts_event),
        ]

    @property
    def resolves_ns(self) -> int:
        """When the first open incident resolves, unless alarms or findings prolong it."""
        return min(
            self.incidents.resolves_ns, self.drifts.resolves_ns, self.feed.incidents.resolves_ns
        )

    def _end_at_expiry(self, ts_event: int) -> list[Alert]:
        """Resolve all incidents if the symbol has expired by ``ts_event``."""
        expired_ns = self._expired_ns(ts_event)
        if expired_ns is None or not self.with_incident:
            return []
        why = "it has expired"
        return [
            *self.feed.incidents.end(expired_ns, why),
            *self.incidents.end(expired_ns, why),
            *self.drifts.end(expired_ns, why),
        ]

    def _expired_ns(self, ts_event: int) -> int | None:
        """Return the end of the bar in which the symbol expired; None before that."""
        expired_ns = self.trading.expired_ns(ts_event)
        if expired_ns is None:
            return None
        bar_ns = self.parameters.bar_ns
        ends_at = -(-expired_ns // bar_ns) * bar_ns
        return ends_at if ends_at <= ts_event else None

    @property
    def warming_up(self) -> bool:
        """Whether every detector that raises alarms is still warming up."""
        return self.columns.scorers.model.tails.warming_up(self.row, slice(None))

    @property
    def too_sparse(self) -> bool:
        """Whether the symbol has so few events that it never settles, and is not judged."""
        return self.progress.lulls >= SPARSE_LULLS

    @property
    def paused(self) -> bool:
        """Whether the symbol did not trade continuously in its last bar."""
        return self.signal is not None and PAUSED in self.signal.detectors.values()

    @property
    def with_incident(self) -> bool:
        """Whether an incident is open, or the feed has an active finding."""
        return self.incidents.open is not None or self.drifts.open is not None or self.feed.active

    @property
    def open_alerts(self) -> list[Alert]:
        """The last alert of each open incident."""
        incidents = (self.incidents.open, self.drifts.open, *self.feed.findings.incidents)
        return [incident.alert for incident in incidents if incident is not None]

    def _count_evictions(self) -> None:
        book, leverage_baselines, counts = self.book, self.leverage_baselines, self.counts
        counts.stale_orders += book.stale
        self.feed.partial_book.open_stale += book.stale
        counts.evicted_orders += book.evicted
        counts.evicted_accounts += leverage_baselines.evicted
        book.stale = book.evicted = leverage_baselines.evicted = 0
