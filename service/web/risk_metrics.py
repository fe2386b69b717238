"""Metrics of the risk of liquidations, on the instance that watches it."""

import math
from collections.abc import Iterator
from heapq import nsmallest

from prometheus_client.core import Metric

from detectors.risk.ladder import rungs
from detectors.risk_watch.assessment import Assessment
from detectors.risk_watch.monitor import RiskMonitor
from service.metric_families import counter, gauge

_NEAR_BPS = 100.0


def risk(
    monitor: RiskMonitor | None, failures: int, published: int, limit: int
) -> Iterator[Metric]:
    """Yield the metrics; ``monitor`` is None elsewhere. At most ``limit`` symbols have series."""
    yield gauge(
        "risk_watched",
        "1 at the instance that watches the risk of liquidations, 0 elsewhere.",
        monitor is not None,
    )
    yield counter(
        "risk_watch_failures",
        "Failures of the watch over the risk of liquidations; it is retried.",
        failures,
    )
    yield counter("risk_records_published", "Records of risk sent to Kafka.", published)
    chosen = _chosen(monitor, limit) if monitor is not None else []
    distances = {(its.symbol, its.side): its.distances for its in chosen}
    yield gauge(
        "risk_distance_ratio",
        "Median least move of the mark price that sets off a run over 40 % of the open interest; "
        "no series if no move does.",
        {
            key: its.p50
            for key, its in distances.items()
            if its is not None and math.isfinite(its.p50)
        },
        ["symbol", "side"],
        unit="ratio",
    )
    yield gauge(
        "risk_cascade_probability_ratio",
        "Share of draws in which a move of at most 0.85 % sets off a run over 40 % of the open "
        "interest.",
        {(its.symbol, its.side): its.probability for its in chosen},
        ["symbol", "side"],
        unit="ratio",
    )
    yield gauge(
        "risk_forced_notional",
        "Notional that a move of the mark price by 1 % liquidates, in the quote currency.",
        {(its.symbol, its.side): rungs(its.ladder, (_NEAR_BPS,))[0].notional for its in chosen},
        ["symbol", "side"],
    )
    yield gauge(
        "risk_coverage_ratio",
        "Known positions of the side over the open interest.",
        {(its.symbol, its.side): its.ends.coverage_ratio for its in chosen},
        ["symbol", "side"],
        unit="ratio",
    )
    yield gauge(
        "risk_incident_start_timestamp_seconds",
        "Start of the open incident of cascade, in event time since the Unix epoch.",
        {
            (symbol, cascade.alert.severity): cascade.alert.starts_at / 1e9
            for symbol, cascade in (monitor.cascades.items() if monitor is not None else ())
            if cascade.alert is not None
        },
        ["symbol", "severity"],
        unit="seconds",
    )
    yield gauge(
        "risk_positions",
        "Open positions in memory.",
        len(monitor.holdings.positions) if monitor is not None else 0,
    )
    yield counter(
        "risk_evicted_positions",
        "Positions dropped at risk.max_positions, the smallest first.",
        monitor.holdings.evicted_positions if monitor is not None else 0,
    )


def _chosen(monitor: RiskMonitor, limit: int) -> list[Assessment]:
    """Return the sides of the symbols that are nearest to a cascade."""

    def rank(symbol: str) -> tuple[float, float]:
        sides = monitor.assessments[symbol].values()
        near = max((its.probability for its in sides), default=0.0)
        distances = [its.distances for its in sides if its.distances is not None]
        return -near, min((its.p50 for its in distances), default=math.inf)

    symbols = nsmallest(limit, monitor.assessments, key=rank)
    return [its for symbol in symbols for its in monitor.assessments[symbol].values()]
