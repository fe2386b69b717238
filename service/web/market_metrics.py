"""Metrics of the market: symbols, their stress and their incidents."""

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import product
from typing import get_args

from prometheus_client.core import Metric

from detectors.catalogue import NAMES
from detectors.incidents.alerts import Severity
from detectors.incidents.kind import of_market
from detectors.incidents.suppression import REASON_KINDS
from detectors.market_data.bar import NEAR_BAND, Bar
from detectors.market_data.events import State
from detectors.market_data.leverage_baselines import excess_ratio, near_maximum_ratio
from detectors.market_data.spans import SPANS_SECONDS
from detectors.symbol import SymbolMonitor
from service.kafka.counters import ConsumerCounters
from service.metric_families import counter, gauge, single

RATE_SPAN = SPANS_SECONDS.index(15)
"""Index of the 15 s span. Its sums decay exponentially: a sum divided by 15 s is a rate."""


def market(counters: ConsumerCounters, monitors: Sequence[SymbolMonitor]) -> Iterator[Metric]:
    """Yield the metrics of the market as a whole."""
    counts = counters.tally.market
    yield counter(
        "suppressed_alarms",
        "Detector alarms suppressed by an override or a maintenance window, one per bar.",
        # All series from the start, as for incidents.
        {pair: counts.suppressed_alarms.get(pair, 0) for pair in product(NAMES, REASON_KINDS)},
        ["detector", "reason_kind"],
    )
    yield counter("bars", "Bars closed, summed over symbols.", counts.bars)
    yield counter(
        "unknown_orders", "Cancels and trades that name an unknown order.", counts.unknown_orders
    )
    yield counter(
        "replaced_orders",
        "Orders with the id of an order that already rests.",
        counts.replaced_orders,
    )
    yield counter(
        "early_ends", "Orders published after a trade or cancel of theirs.", counts.early_ends
    )
    yield counter(
        "stale_orders", "Orders dropped because they crossed the book.", counts.stale_orders
    )
    yield counter(
        "sequence_regressions",
        "Events whose sequence was lower than the one before.",
        counts.sequence_regressions,
    )
    yield counter(
        "evictions",
        "Orders, accounts and symbols evicted at a limit.",
        {
            ("orders",): counts.evicted_orders,
            ("accounts",): counts.evicted_accounts,
            ("symbols",): counters.tally.evicted_symbols,
        },
        ["what"],
    )
    severities = Counter(
        alert.severity
        for monitor in monitors
        for alert in monitor.open_alerts
        if of_market(alert.detector)
    )
    yield gauge(
        "incidents_open",
        "Open market incidents.",
        {(severity,): severities[severity] for severity in get_args(Severity)},
        ["severity"],
    )
    yield gauge(
        "symbols_with_incident",
        "Symbols with an open warning or critical incident.",
        sum(monitor.incidents.open is not None for monitor in monitors),
    )
    yield gauge("tracked_symbols", "Symbols watched.", len(monitors))
    yield gauge(
        "warming_up_symbols",
        "Symbols for which no detector is past its warm-up.",
        sum(monitor.warming_up and not monitor.too_sparse for monitor in monitors),
    )
    yield gauge(
        "sparse_symbols",
        "Symbols that are not judged because they have too few events.",
        sum(monitor.too_sparse for monitor in monitors),
    )
    yield gauge(
        "paused_symbols",
        "Symbols that did not trade continuously in their last bar: they are not judged.",
        sum(monitor.paused for monitor in monitors),
    )
    yield counter(
        "statuses",
        "Statuses received from the venue, by trading state.",
        {(state,): counts.statuses.get(state, 0) for state in get_args(State)},
        ["state"],
    )
    yield gauge("resting_orders", "Orders in the books.", sum(len(m.book.orders) for m in monitors))
    yield gauge(
        "tracked_accounts",
        "Accounts with a leverage baseline, summed over symbols.",
        sum(len(m.leverage_baselines.recent) + len(m.leverage_baselines.older) for m in monitors),
    )


class LabelledSymbols:
    """The symbols that have their own series: up to a limit, the most stressed first.

    A symbol keeps its series until another symbol has an alarm. So the changing stress of calm
    symbols does not create new series at each scrape.

    Parameters
    ----------
    limit
        Highest number of symbols with their own series.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: frozenset[str] = frozenset()

    def collect(self, monitors: Sequence[SymbolMonitor]) -> Iterator[Metric]:
        """Yield the metrics of these symbols, and the number of other symbols."""
        chosen = nsmallest(self._limit, monitors, key=self._rank)
        self._kept = frozenset(monitor.symbol for monitor in chosen)
        signals = [monitor.signal for monitor in chosen if monitor.signal is not None]
        yield gauge(
            "symbol_stress_ratio",
            "Stress of the last bar: 0 is ordinary, 1 is an alarm, unless the statistic alarmed"
            " before.",
            {(s.symbol,): s.stress_ratio for s in signals if s.stress_ratio is not None},
            ["symbol"],
            unit="ratio",
        )
        yield gauge(
            "detector_score",
            "A detector's score of the last bar: minus the decimal logarithm of its p-value; "
            "of activity, standard deviations.",
            {
                (signal.symbol, name): reading.score
                for signal in signals
                for name, reading in signal.detectors.items()
                if reading.score is not None
            },
            ["symbol", "detector"],
        )
        bars = [monitor.bar for monitor in chosen if monitor.bar is not None]
        yield from _last_bars(bars)
        yield from _leverage(bars)
        yield gauge(
            "incident_start_timestamp_seconds",
            "Start of the open incident, in event time since the Unix epoch.",
            {
                (alert.symbol, alert.detector, alert.severity): alert.starts_at / 1e9
                for monitor in chosen
                for alert in monitor.open_alerts
            },
            ["symbol", "detector", "severity"],
            unit="seconds",
        )
        yield gauge(
            "unlabelled_symbols",
            "Watched symbols without own series, beyond limits.labelled_symbols.",
            len(monitors) - len(chosen),
        )

    def _rank(self, monitor: SymbolMonitor) -> tuple[bool, bool, bool, float]:
        """Return the sort key of a symbol; the smallest comes first."""
        signal = monitor.signal
        stress = (signal.stress_ratio if signal is not None else None) or 0.0
        with_incident = monitor.incidents.open is not None
        return (not with_incident, stress < 1.0, monitor.symbol not in self._kept, -stress)


def _last_bars(bars: Sequence[Bar]) -> Iterator[Metric]:
    """Yield the market values of each symbol's last bar with events."""
    books = {bar.symbol: bar.closed for bar in bars if bar.closed is not None}
    yield gauge(
        "symbol_mid_price",
        "The mid price at the end of the last bar, in the quote currency.",
        single({symbol: book.mid for symbol, book in books.items()}),
        ["symbol"],
    )
    yield gauge(
        "symbol_depth_notional",
        "Notional resting within five typical spreads of the mid price, in the quote currency.",
        {
            (symbol, side): depth[NEAR_BAND]
            for symbol, book in books.items()
            for side, depth in (("bid", book.bid_depth), ("ask", book.ask_depth))
        },
        ["symbol", "side"],
    )
    yield gauge(
        "symbol_usual_depth_notional",
        "Usual notional resting within five typical spreads of the mid price, both sides, in the "
        "quote currency.",
        single({bar.symbol: bar.usual_depth for bar in bars if bar.usual_depth > 0.0}),
        ["symbol"],
    )
    recent = {bar.symbol: bar.spans[RATE_SPAN] for bar in bars}
    yield gauge(
        "symbol_events_per_second",
        "Orders, cancels and trades per second over about the last 15 s before "
        "the end of the last bar.",
        {
            (symbol, kind): count / SPANS_SECONDS[RATE_SPAN]
            for symbol, flow in recent.items()
            for kind, count in (
                ("orders", flow.orders),
                ("cancels", flow.cancels),
                ("trades", flow.trades),
            )
        },
        ["symbol", "kind"],
    )


def _leverage(bars: Sequence[Bar]) -> Iterator[Metric]:
    """Yield the recent leverage of the accounts, per symbol."""
    minutes = {bar.symbol: bar.spans[-1] for bar in bars if bar.spans[-1].leveraged > 0.0}
    yield gauge(
        "symbol_leverage_excess_ratio",
        "Leverage of the last minute's new orders above the accounts' baselines.",
        single({symbol: excess_ratio(minute) for symbol, minute in minutes.items()}),
        ["symbol"],
        unit="ratio",
    )
    yield gauge(
        "symbol_near_maximum_leverage_ratio",
        "Share of the last minute's new leveraged notional near the venue's maximum leverage.",
        single({symbol: near_maximum_ratio(minute) for symbol, minute in minutes.items()}),
        ["symbol"],
        unit="ratio",
    )
