"""What Prometheus sees: the core's plain counters, read when it asks. No event pays for it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, get_args

from msgspec import Struct
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from detectors.catalogue import ALARMING, NAMES
from detectors.drift_incidents import NAME as DRIFT
from detectors.feed import CHECKS
from detectors.feed_incidents import NAME as FEED_INTEGRITY
from detectors.incidents import Severity
from detectors.suppression import REASON_KINDS
from detectors.symbol import SymbolMonitor, mean_budget_per_day
from service import __version__
from service.consumer import Intake
from service.partition import Partition
from service.publish import Published
from service.settings import Settings
from service.snapshots import Problem


class View(Struct):
    """What the collector looks at: the live parts, as they are at the moment.

    ``lags`` are the records not yet read, by topic and partition number.
    """

    intake: Intake
    published: Published
    partitions: Mapping[int, Partition]
    lags: Mapping[tuple[str, int], int]
    connected: bool


class ForeshockCollector(Collector):
    """Exposes the service.

    Parameters
    ----------
    settings
        For the budget and for the cap on symbols as labels.
    view
        Gives the live parts; they change as the service connects anew.
    """

    def __init__(self, settings: Settings, view: Callable[[], View]) -> None:
        self._settings = settings
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """The metrics at this moment."""
        view = self._view()
        monitors = [m for p in view.partitions.values() for m in p.task.monitors.values()]
        yield from self._service(view, monitors)
        yield from _intake(view.intake)
        yield from _output(view)
        yield from _partitions(view)
        yield from _market(view.intake, monitors)
        yield from _feeds(view.intake, monitors)
        yield from self._symbols(monitors)

    def _service(self, view: View, monitors: list[SymbolMonitor]) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "foreshock_build_info", "1, with the version as a label.", labels=["version"]
        )
        info.add_metric([__version__], 1)
        yield info
        yield _gauge("connected", "1 while a member of the consumer group.", view.connected)
        yield _gauge(
            "false_alarm_budget_per_day",
            "The false alarms a symbol and day that thresholds are set for, the mean over symbols.",
            mean_budget_per_day(monitors, self._settings.detection.false_alarms_per_day),
        )
        yield _counter(
            "judged_symbol_seconds",
            "Market time in which an alarm could be raised, summed over symbols.",
            [],
            view.intake.tally.market.judged_bars * self._settings.time.bar_seconds,
        )

    def _symbols(self, monitors: list[SymbolMonitor]) -> Iterator[Metric]:
        """The most stressed symbols, as many as may be labels."""
        stress = GaugeMetricFamily(
            "foreshock_symbol_stress_ratio",
            "How surprising the last bar was: 0 is ordinary, 1 is an alarm.",
            labels=["symbol"],
        )
        score = GaugeMetricFamily(
            "foreshock_detector_score",
            "A detector's score of the last bar, in standard deviations.",
            labels=["symbol", "detector"],
        )
        signals = [m.signal for m in monitors if m.signal is not None]
        signals.sort(key=lambda signal: -(signal.stress_ratio or 0.0))
        for signal in signals[: self._settings.limits.labelled_symbols]:
            if signal.stress_ratio is not None:
                stress.add_metric([signal.symbol], signal.stress_ratio)
            for name, reading in signal.detectors.items():
                if reading.score is not None:
                    score.add_metric([signal.symbol, name], reading.score)
        yield stress
        yield score


def _intake(intake: Intake) -> Iterator[Metric]:
    tally = intake.tally
    yield _counter("records", "Records read.", ["topic"], _single(intake.records))
    yield _counter(
        "events",
        "Events by what became of them.",
        ["outcome"],
        {
            ("scored",): tally.scored,
            ("late",): tally.late,
            ("rejected",): intake.dead_letters.total(),
            ("skipped",): tally.skipped,
            ("unwatched",): tally.unwatched,
        },
    )
    yield _counter(
        "dead_letters",
        "Records that could not be decoded.",
        ["topic", "reason"],
        intake.dead_letters,
    )
    yield _counter(
        "snapshots_left_out",
        "Records and sets of records on the snapshots topic that a restoration could not use.",
        ["reason"],
        {(reason,): intake.snapshots_left_out[reason] for reason in get_args(Problem)},
    )
    yield _counter("rebalances", "Times that partitions were handed back.", [], intake.rebalances)
    yield _counter("commits", "Commits of offsets.", [], intake.commits)
    yield _counter("muted_alerts", "Alerts that were out already.", [], tally.muted_alerts)
    yield _counter(
        "incidents",
        "Incidents that opened (warning), became critical, or tell of a drift (info).",
        ["detector", "severity"],
        # All of them from the start: the first of a series is nothing that a rate can see.
        {
            kind: intake.incidents[kind]
            for kind in (*product(ALARMING, ("warning", "critical")), (DRIFT, "info"))
        },
    )


def _output(view: View) -> Iterator[Metric]:
    published = view.published
    yield _counter(
        "alerts_published", "Alerts sent to Kafka.", ["status"], _single(published.alerts)
    )
    yield _counter("signals_published", "Signals sent to Kafka.", [], published.signals)
    yield _counter("snapshots_written", "Snapshots sent to Kafka.", [], published.snapshots)
    yield _counter("publish_errors", "Sends that Kafka did not take.", [], published.errors)


def _partitions(view: View) -> Iterator[Metric]:
    partitions = view.partitions
    lag = GaugeMetricFamily(
        "foreshock_consumer_lag_records",
        "Records that are there and not yet read.",
        labels=["topic", "partition"],
    )
    for (topic, number), records in view.lags.items():
        lag.add_metric([topic, str(number)], records)
    yield lag
    delay = GaugeMetricFamily(
        "foreshock_watermark_delay_seconds",
        "How far the market as seen lags behind the clock.",
        labels=["partition"],
    )
    for number, partition in partitions.items():
        watermark_ns = partition.task.aligner.watermark_ns
        if watermark_ns > 0:
            delay.add_metric([str(number)], max(0.0, time.time() - watermark_ns / 1e9))
    yield delay
    yield _gauge("assigned_partitions", "Partition numbers owned.", len(partitions))
    yield _gauge(
        "paused_partitions",
        "Topic partitions paused because too much of them waits.",
        sum(len(partition.paused) for partition in partitions.values()),
    )
    yield _gauge(
        "restore_seconds",
        "The longest that restoring one of the owned partitions took.",
        max((partition.restored_in_seconds for partition in partitions.values()), default=0.0),
    )


def _market(intake: Intake, monitors: list[SymbolMonitor]) -> Iterator[Metric]:
    counts = intake.tally.market
    yield _counter(
        "suppressed_alarms",
        "Alarms of a detector in a bar that an override or a maintenance window suppressed.",
        ["detector", "reason_kind"],
        # All of them from the start, as for incidents.
        {pair: counts.suppressed_alarms.get(pair, 0) for pair in product(NAMES, REASON_KINDS)},
    )
    yield _counter("bars", "Bars closed.", [], counts.bars)
    yield _counter(
        "unknown_orders", "Cancels and trades about orders not known.", [], counts.unknown_orders
    )
    yield _counter(
        "replaced_orders", "Orders whose id was resting already.", [], counts.replaced_orders
    )
    yield _counter(
        "stale_orders", "Orders dropped because they crossed the book.", [], counts.stale_orders
    )
    yield _counter(
        "sequence_regressions",
        "Events whose sequence was lower than the one before.",
        [],
        counts.sequence_regressions,
    )
    yield _counter(
        "evictions",
        "What was forgotten because a bound was reached.",
        ["what"],
        {
            ("orders",): counts.evicted_orders,
            ("accounts",): counts.evicted_accounts,
            ("symbols",): intake.tally.evicted_symbols,
        },
    )
    open_incidents = Counter(
        incident.alert.severity
        for monitor in monitors
        for incident in (monitor.incidents.open, monitor.drifts.open)
        if incident is not None
    )
    incidents = GaugeMetricFamily(
        "foreshock_incidents_open", "Incidents that are open.", labels=["severity"]
    )
    for severity in get_args(Severity):
        incidents.add_metric([severity], open_incidents[severity])
    yield incidents
    yield _gauge("tracked_symbols", "Symbols watched.", len(monitors))
    yield _gauge(
        "warming_up_symbols",
        "Symbols none of whose detectors judges yet.",
        sum(monitor.warming_up for monitor in monitors),
    )
    yield _gauge(
        "resting_orders", "Orders in the books.", sum(len(m.book.orders) for m in monitors)
    )
    yield _gauge(
        "tracked_accounts",
        "Accounts whose leverage habit is known, summed over symbols.",
        sum(len(m.habits.recent) + len(m.habits.older) for m in monitors),
    )


def _feeds(intake: Intake, monitors: list[SymbolMonitor]) -> Iterator[Metric]:
    """Whether the inputs are to be trusted: apart from the market's incidents."""
    counts = intake.tally.market.feed
    yield _counter(
        "feed_findings",
        "Bars of a symbol in which something was found against its feed.",
        ["check"],
        # All of them from the start, as for incidents.
        {(check,): counts.findings.get(check, 0) for check in CHECKS},
    )
    yield _counter("feed_lost_events", "Events missing by their numbers.", [], counts.lost_events)
    yield _counter(
        "feed_incidents",
        "Incidents of a feed that opened (warning) or became critical.",
        ["severity"],
        {(kind,): intake.incidents[FEED_INTEGRITY, kind] for kind in ("warning", "critical")},
    )
    standing = Counter(check for m in monitors for check in m.feed.findings.standing)
    suspect = GaugeMetricFamily(
        "foreshock_feed_suspect_symbols",
        "Symbols against whose feed something stands.",
        labels=["check"],
    )
    for check in CHECKS:
        suspect.add_metric([check], standing[check])
    yield suspect
    numbered = Counter(m.feed.numbering.known for m in monitors)
    yield _gauge(
        "feed_numbered_symbols", "Symbols whose missing numbers mean lost events.", numbered[True]
    )
    delay = GaugeMetricFamily(
        "foreshock_feed_transport_delay_seconds",
        "From event to log, of a stream's fastest record in the last bar, the longest of symbols.",
        labels=["stream"],
    )
    transports = [its for m in monitors for its in m.feed.state.transport.items() if its[1].known]
    longest: dict[str, float] = {}
    for stream, transport in transports:
        longest[stream] = max(transport.last, longest.get(stream, transport.last))
    for stream, seconds in longest.items():
        delay.add_metric([stream], seconds)
    yield delay


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"foreshock_{name}", documentation, value=value)


def _counter(
    name: str,
    documentation: str,
    labels: list[str],
    values: float | Mapping[Any, float],
) -> Metric:
    family = CounterMetricFamily(f"foreshock_{name}", documentation, labels=labels)
    for label_values, value in (values if isinstance(values, Mapping) else {(): values}).items():
        family.add_metric(label_values, value)
    return family


def _single(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(label,): value for label, value in values.items()}


def registry(collectors: Iterable[Collector]) -> CollectorRegistry:
    """A registry with the given collectors and those of the process itself."""
    its = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=its)
    PlatformCollector(registry=its)
    GCCollector(registry=its)
    for collector in collectors:
        its.register(collector)
    return its
