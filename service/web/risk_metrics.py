"""Metrics of the risk of liquidations, on the instance that watches it."""

import math
from collections.abc import Iterator
from heapq import nsmallest

from prometheus_client.core import Metric

from detectors.risk.ladder import rungs
from detectors.risk_watch.assessment import Assessment
from detectors.risk_watch.liquidation_flow import Forced
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.withdrawals import SIDES
from service.metric_families import counter, gauge, single

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
        {(its.symbol, its.side): its.known.coverage_ratio for its in chosen},
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
    yield from _contagion(monitor)
    liquidated = monitor.liquidated if monitor is not None else Forced()
    yield counter(
        "risk_liquidations",
        "Liquidations that began, by the side of the position; only where the venue publishes "
        "liquidations.",
        single({side: liquidated.of(side)[1] for side in SIDES}),
        ["side"],
    )
    yield counter(
        "risk_liquidated_notional",
        "Notional that was liquidated, by the side of the position, in the quote currency.",
        single({side: liquidated.of(side)[0] for side in SIDES}),
        ["side"],
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


def _contagion(monitor: RiskMonitor | None) -> Iterator[Metric]:
    """Yield how liquidations would spread over the venue; no series where nothing would spread."""
    spread = monitor.contagion.spread if monitor is not None else None
    alert = monitor.contagion.alert if monitor is not None else None
    yield gauge(
        "risk_contagion_radius",
        "Spectral radius of the contagion matrix, by its percentile over the draws: notional "
        "forced in the long run per unit liquidated. No series if liquidations force nothing.",
        dict(zip([("10",), ("50",), ("90",)], spread.radius, strict=True)) if spread else {},
        ["percentile"],
    )
    yield gauge(
        "risk_contagion_probability_ratio",
        "Share of draws in which the spectral radius of the contagion matrix is at least 1.",
        {(): spread.probability} if spread else {},
        [],
        unit="ratio",
    )
    yield gauge(
        "risk_contagion_elsewhere_ratio",
        "Share of what liquidations force in the long run that is in other symbols than the first.",
        {(): spread.elsewhere_ratio} if spread else {},
        [],
        unit="ratio",
    )
    yield gauge(
        "risk_contagion_doubling_seconds",
        "Time in which forced liquidations would double; no series if they do not grow.",
        {(): spread.doubling_seconds} if spread and math.isfinite(spread.doubling_seconds) else {},
        [],
        unit="seconds",
    )
    yield gauge(
        "risk_contagion_incident_start_timestamp_seconds",
        "Start of the open incident of contagion, in event time since the Unix epoch.",
        {(): alert.starts_at / 1e9} if alert is not None else {},
        [],
        unit="seconds",
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
