"""The monitor of one symbol: its book, bars and detectors."""

import math
from collections.abc import Collection, Mapping

from msgspec import Struct

from detectors.change_watch import ChangeWatch
from detectors.counts import Counts
from detectors.detector import Detector
from detectors.feed.monitor import FeedMonitor
from detectors.incidents.alerts import Alert
from detectors.incidents.drift_incidents import DriftIncidents
from detectors.incidents.ledger import Ledger
from detectors.incidents.market_effect import MarketNow
from detectors.incidents.suppressor import Suppressor
from detectors.incidents.symbol_incidents import Incidents
from detectors.judging.tail import DAY_SECONDS
from detectors.market_data.bar import (
    NEAR_BAND,
    WIDEST_SPREAD_BPS,
    Bar,
    BookState,
    DepthBaseline,
    Spans,
    book_state,
)
from detectors.market_data.book import Book, bands_of
from detectors.market_data.events import Event, Late
from detectors.market_data.large_orders import LargeOrders
from detectors.market_data.leverage_baselines import LeverageBaselines
from detectors.market_data.market_noise import MarketNoise
from detectors.market_data.windows import Windows
from detectors.open_bar import OpenBar, SymbolProgress
from detectors.parameters import Parameters, effective_tests
from detectors.scorer import PAUSED, Reading, Scorer, too_sparse
from detectors.venue.trading import Trading

LULL_NS = 60_000_000_000
"""The time without an event after which the next event is a reopening."""

SETTLING_BARS = 60
"""The number of bars after a lull, or after the first event, in which nothing is judged."""

SPARSE_LULLS = 10
"""The number of lulls without settling in between after which a symbol is too sparse to judge."""

NO_DELAYS: Mapping[str, float] = {}


class Signal(Struct, frozen=True):
    """The results of the detectors for one bar of a symbol.

    ``stress_ratio`` is 0 for an ordinary bar and 1 for an alarm. It is the place of the most
    surprising reading between the two, in log probability; None while every detector is warming up.
    ``inputs`` holds the current findings about the symbol's feed.
    """

    symbol: str
    ts_event: int
    stress_ratio: float | None
    detectors: dict[str, Reading]
    inputs: list[str] = []


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
    """

    __slots__ = (
        "_handlers",
        "bar",
        "book",
        "counts",
        "depth_baseline",
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
        "scorers",
        "signal",
        "spans",
        "suppressor",
        "symbol",
        "trading",
        "watches",
        "windows",
    )  # fmt: skip

    def __init__(
        self,
        symbol: str,
        parameters: Parameters,
        detectors: tuple[Detector, ...],
        counts: Counts,
    ) -> None:
        self.symbol = symbol
        self.parameters = parameters = parameters.of(symbol)
        self.suppressor = Suppressor(
            symbol, parameters.suppression, detectors, counts.suppressed_alarms
        )
        self.detectors = detectors
        self.book = Book(parameters.max_orders, in_ticks=parameters.prices_in_ticks(symbol))
        self.leverage_baselines = LeverageBaselines(parameters.max_accounts)
        self.spans = Spans(parameters.bar_seconds)
        self.depth_baseline = DepthBaseline(parameters.bar_seconds)
        self.noise = MarketNoise(parameters.bar_seconds)
        tests = effective_tests(detectors)
        quiet_bars = max(1, parameters.quiet_ns // parameters.bar_ns)
        self.scorers = [
            Scorer(
                detector,
                budget_per_day=parameters.false_alarms_per_day / tests,
                tests=tests,
                bar_seconds=parameters.bar_seconds,
                warmup_bars=parameters.warmup_bars,
                quiet_bars=quiet_bars,
            )
            for detector in detectors
            if detector.alarms
        ]
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
        )
        self.counts = counts
        self.signal: Signal | None = None
        self.bar: Bar | None = None
        self.large = LargeOrders(parameters.bar_seconds)
        self.windows = Windows(parameters.bar_seconds)
        self.trading = Trading(symbol, parameters.calendar)
        self.open_bar = OpenBar(
            self.book,
            self.leverage_baselines,
            self.large,
            self.feed,
            self.trading,
            counts,
            parameters.quantities,
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
        """Close the bar that ends at ``ends_at``. The bar must have events.

        Parameters
        ----------
        ends_at
            The end of the bar, in nanoseconds of event time.
        delays
            The record delays of the partition, see `Feed.close_bar`.

        Returns
        -------
        tuple
            The signal of the bar, and the alerts that the bar causes.
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

        feed_alerts = self.feed.close_bar(ends_at, elapsed, self.book, flow, delays, trading)
        inputs = self.feed.inputs(ends_at)
        if trading.uncross:
            self.book.uncross(ends_at - bar_ns, open_bar.early.doubtful)
        if self.book.in_ticks:
            self.book.learn_tick()
        baseline = self.depth_baseline.state
        opened = open_bar.opened
        last_mid = opened.mid if opened is not None else None
        closed = book_state(self.book, last_mid)
        if closed is not None and not paused:
            self.depth_baseline.learn(closed.depth[NEAR_BAND])
        open_bar.learn_leveraged()
        self._count_evictions()
        layered, spoofed = self.large.close_bar(elapsed)
        bar = self.bar = Bar(
            symbol=self.symbol,
            starts_at=ends_at - bar_ns,
            ends_at=ends_at,
            flow=flow,
            spans=self.spans.add(flow, elapsed),
            opened=opened,
            closed=closed,
            usual_depth=baseline.usual,
            typical_spread=self.windows.median_spread,
            smooth_log_depth=baseline.smooth,
            recent=self.windows.add(index, flow, open_bar.last_quantity, _spread(closed)),
            layered=layered,
            spoofed=spoofed,
        )
        settling = progress.settled_bars <= SETTLING_BARS
        if not settling:
            progress.lulls = 0
        readings = self._readings(bar, paused=paused, settling=settling)
        self.suppressor.mark(bar, readings)
        if any(reading.p_value is not None for reading in readings.values()):
            self.counts.judged_bars += 1
        market = None if paused or settling else self._market(bar)
        alerts = [
            *feed_alerts,
            *self.incidents.step(ends_at, self.detectors, readings, inputs, market),
            *self.drifts.step(ends_at, self.detectors, readings, inputs),
            *self._end_at_expiry(ends_at),
        ]
        self.ledger.note(self.incidents.open, readings, self.scorers)
        if paused:
            self.spans.clear()
            self.windows.clear()
        self.book.bands = bands_of(self.windows.median_spread)
        open_bar.begin(closed, self.windows.median_size)
        self.signal = Signal(self.symbol, ends_at, self._stress_ratio(readings), readings, inputs)
        return self.signal, alerts

    def _market(self, bar: Bar) -> MarketNow:
        """Learn how much the market fluctuates in a bar, and return the market at its close."""
        return MarketNow(bar, self.book, self.noise.learn(bar, self.book.tick))

    def _readings(self, bar: Bar, *, paused: bool, settling: bool) -> dict[str, Reading]:
        if paused:
            return {detector.name: PAUSED for detector in self.detectors}
        readings = {its.detector.name: its.step(bar, settling=settling) for its in self.scorers}
        for watch in self.watches:
            readings[watch.detector.name] = watch.step(bar, settling=settling)
        if self.too_sparse:
            return {name: too_sparse(reading) for name, reading in readings.items()}
        return readings

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
        return all(scorer.warming_up for scorer in self.scorers)

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

    def _stress_ratio(self, readings: dict[str, Reading]) -> float | None:
        p_values = [r.p_value for r in readings.values() if r.p_value is not None]
        if not p_values:
            return None
        return stress_ratio(
            min(p_values), self.parameters.false_alarms_per_day, self.parameters.bar_seconds
        )


def _spread(closed: BookState | None) -> float:
    """Return the spread of a book with both sides; 0 without them."""
    if closed is None or closed.spread_bps >= WIDEST_SPREAD_BPS:
        return 0.0
    return closed.spread_bps


def stress_ratio(p_value: float, budget_per_day: float, bar_seconds: float) -> float:
    """Return the place of a p-value between no surprise (0) and an alarm (1).

    The scale is log probability.

    >>> stress_ratio(1.0, 1.0, 1.0), stress_ratio(1.0 / 86_400.0, 1.0, 1.0)
    (0.0, 1.0)
    """
    at_alarm = min(0.5, budget_per_day * bar_seconds / DAY_SECONDS)
    return min(1.0, abs(math.log(max(p_value, 1e-300)) / math.log(at_alarm)))


def mean_budget_per_day(monitors: Collection[SymbolMonitor], default: float) -> float:
    """Return the mean false-alarm budget per symbol and day; ``default`` without symbols."""
    if not monitors:
        return default
    return sum(m.parameters.false_alarms_per_day for m in monitors) / len(monitors)
