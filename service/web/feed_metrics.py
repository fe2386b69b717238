"""Metrics of the feeds: whether the inputs are complete, in time and plausible."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from detectors.feed.findings import CHECKS
from detectors.incidents.kind import FEED_INTEGRITY
from detectors.symbol import SymbolMonitor
from service.kafka.counters import ConsumerCounters
from service.metric_families import counter, gauge, single


def feeds(counters: ConsumerCounters, monitors: Sequence[SymbolMonitor]) -> Iterator[Metric]:
    """Yield the metrics of past and current feed findings."""
    counts = counters.tally.market.feed
    yield counter(
        "feed_findings",
        "Bars of a symbol with a feed finding.",
        # All series from the start, as for incidents.
        {(check,): counts.findings.get(check, 0) for check in CHECKS},
        ["check"],
    )
    yield counter(
        "feed_lost_events", "Events lost, by gaps in sequence numbers.", counts.lost_events
    )
    yield counter(
        "feed_incidents",
        "Feed incidents opened (warning) or escalated (critical).",
        {(kind,): counters.incidents[FEED_INTEGRITY, kind] for kind in ("warning", "critical")},
        ["severity"],
    )
    current = Counter(check for m in monitors for check in m.feed.findings.standing)
    yield gauge(
        "feed_suspect_symbols",
        "Symbols with an active feed finding.",
        {(check,): current[check] for check in CHECKS},
        ["check"],
    )
    yield gauge(
        "feed_numbered_symbols",
        "Symbols with consecutive sequence numbers, where a gap means lost events.",
        sum(monitor.feed.numbering.known for monitor in monitors),
    )
    longest: dict[str, float] = {}
    for monitor in monitors:
        for stream, transport in monitor.feed.state.transport.items():
            if transport.known:
                longest[stream] = max(transport.last, longest.get(stream, transport.last))
    yield gauge(
        "feed_transport_delay_seconds",
        "Delay from event time to log timestamp of the fastest record in a "
        "stream's last bar, maximum over symbols.",
        single(longest),
        ["stream"],
        unit="seconds",
    )
