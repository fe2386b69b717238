"""The Prometheus metrics: plain counters of the core, read at each scrape, without cost per event.

docs/metrics.md is the specification; a test compares it with the metrics.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from detectors.catalogue import ALARMING
from detectors.incidents.kind import CASCADE, DRIFT
from detectors.incidents.market_wide import NAME as MARKET_WIDE
from service import __version__
from service.kafka.counters import ConsumerCounters
from service.logs import dropped_lines
from service.metric_families import counter, gauge, single
from service.outputs.alert_queue import DeliveryCounters
from service.outputs.delays import histogram
from service.outputs.publisher import Published
from service.pipeline.snapshots import Problem
from service.plug_ins import plug_ins
from service.settings.types import Settings
from service.web.budget_metrics import budget
from service.web.conduct_metrics import conduct
from service.web.feed_metrics import feeds
from service.web.kill_switch_metrics import kill_switches
from service.web.market_metrics import LabelledSymbols, market
from service.web.plug_in_metrics import plug_in_metrics
from service.web.risk_metrics import risk
from service.web.view import View


class ForeshockCollector(Collector):
    """Exposes the metrics of the service.

    Parameters
    ----------
    settings
        Source of the length of a bar and of the limit of symbols as labels.
    view
        Returns the live components; they change when the service connects again.
    """

    def __init__(self, settings: Settings, view: Callable[[], View]) -> None:
        self._settings = settings
        self._view = view
        self._symbols = LabelledSymbols(settings.limits.labelled_symbols)

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        view = self._view()
        plugged = plug_ins(self._settings.plugins.allow)
        names = [its.name for its in plugged.detectors]
        monitors = view.monitors
        yield gauge(
            "build_info", "1, with the version as a label.", {(__version__,): 1}, ["version"]
        )
        yield counter(
            "log_lines_dropped",
            "Log lines that were dropped because nobody read the log, or it could not be written.",
            dropped_lines(),
        )
        yield gauge("connected", "1 while a member of the consumer group.", view.connected)
        yield from budget(
            view.counters,
            monitors,
            view.budget_per_day,
            self._settings.time.bar_seconds,
            view.judgements,
            names,
        )
        yield from plug_in_metrics(plugged, view.counters.tally.market)
        yield from _counters(view.counters, names)
        yield from _output(view.published)
        yield from _partitions(view)
        yield from _deliveries(view.deliveries)
        yield from market(view.counters, monitors)
        yield gauge(
            "market_wide_symbols",
            "Symbols in the open market-wide incident, on the instance that "
            "watches for it; 0 elsewhere.",
            view.market_wide_symbols,
        )
        yield gauge(
            "symbols_set_aside",
            "Symbols that are not watched because their detection failed.",
            sum(len(its.task.aside.reasons) for its in view.partitions.values()),
        )
        yield gauge(
            "market_watched",
            "1 at the instance that watches for market-wide incidents, 0 elsewhere.",
            view.market_watched,
        )
        yield counter(
            "market_watch_failures",
            "Failures of the market-wide watch; it is retried.",
            view.counters.market_failures,
        )
        if view.risk_wanted:
            yield from risk(
                view.risk,
                view.counters.risk_failures,
                view.published.risk_records,
                self._settings.limits.labelled_symbols,
            )
            yield from conduct(view.conduct, view.conduct_missing, view.published.statements)
        yield from feeds(view.counters, monitors)
        yield from kill_switches(view, self._settings.limits.labelled_symbols)
        yield from self._symbols.collect(monitors)


def _counters(counters: ConsumerCounters, plugged: Sequence[str]) -> Iterator[Metric]:
    tally = counters.tally
    yield counter("records", "Records read.", single(counters.records), ["topic"])
    yield counter(
        "events",
        "Events by outcome.",
        {
            ("scored",): tally.scored,
            ("late",): tally.late,
            ("rejected",): counters.dead_letters.total(),
            ("skipped",): tally.skipped,
            ("unwatched",): tally.unwatched,
            ("repeated",): tally.repeated,
        },
        ["outcome"],
    )
    yield counter(
        "dead_letters",
        "Records that could not be decoded.",
        {
            **counters.dead_letters,
            **counters.written_refused,
        },
        ["topic", "reason"],
    )
    yield counter(
        "records_ignored",
        "Records of mapped topics that meet the conditions of no mapping, or have no value.",
        single(counters.ignored),
        ["topic"],
    )
    yield counter(
        "records_of_risk_only",
        "Records of mapped topics that only the watch over the risk of liquidations takes.",
        single(counters.of_risk_only),
        ["topic"],
    )
    yield counter(
        "more_events",
        "Events and faults of mapped topics beyond one for each record.",
        single(counters.more_events),
        ["topic"],
    )
    yield counter(
        "unread_fields",
        "Values of optional fields that could not be read; the field counts as absent.",
        counters.unread_fields,
        ["topic", "field"],
    )
    yield counter(
        "records_lost",
        "Offsets of records that Kafka deleted before Foreshock read them.",
        single(counters.records_lost),
        ["topic"],
    )
    yield counter(
        "snapshots_left_out",
        "Unusable records or snapshots on the snapshots topic, by reason.",
        {(reason,): counters.snapshots_left_out[reason] for reason in get_args(Problem)},
        ["reason"],
    )
    yield counter(
        "rebalances", "Rebalances in which partitions were handed back.", counters.rebalances
    )
    yield counter("commits", "Commits of offsets.", counters.commits)
    yield counter(
        "restore_records", "Records read to restore partitions.", counters.restore.records
    )
    yield counter(
        "restore_bytes",
        "Bytes of records' values read to restore partitions.",
        counters.restore.value_bytes,
        unit="bytes",
    )
    yield counter(
        "muted_alerts",
        "Alerts not repeated because they were published before.",
        tally.withheld_alerts,
    )
    yield counter(
        "incidents",
        "Incidents opened (warning), escalated or opened as critical "
        "(critical), and drifts (info).",
        # All series from the start: rate() ignores the first value of a new series.
        {
            kind: counters.incidents[kind]
            for kind in (
                *product((*ALARMING, *plugged, CASCADE), ("warning", "critical")),
                (DRIFT, "info"),
                (MARKET_WIDE, "critical"),
            )
        },
        ["detector", "severity"],
    )


def _output(published: Published) -> Iterator[Metric]:
    yield counter("alerts_published", "Alerts sent to Kafka.", single(published.alerts), ["status"])
    yield counter("signals_published", "Signals sent to Kafka.", published.signals)
    yield counter("snapshots_written", "Snapshots sent to Kafka.", published.snapshots)
    yield counter("publish_errors", "Failed sends to Kafka.", published.errors)


def _partitions(view: View) -> Iterator[Metric]:
    partitions = view.partitions
    yield gauge(
        "consumer_lag_records",
        "Records not read yet.",
        {(topic, str(number)): lag for (topic, number), lag in view.lags.items()},
        ["topic", "partition"],
        unit="records",
    )
    now = time.time()
    delays = {
        number: max(0.0, now - partition.task.aligner.watermark_ns / 1e9)
        for number, partition in partitions.items()
        if partition.task.aligner.watermark_ns > 0
    }
    yield gauge(
        "watermark_delay_seconds",
        "Wall clock minus the partition's watermark.",
        single(delays),
        ["partition"],
        unit="seconds",
    )
    waiting = {number for (_, number), lag in view.lags.items() if lag > 0}
    yield gauge(
        "behind_seconds",
        "Watermark delay of a partition with unread records; 0 without.",
        single({number: delay * (number in waiting) for number, delay in delays.items()}),
        ["partition"],
        unit="seconds",
    )
    tasks = {number: partition.task for number, partition in partitions.items()}
    yield counter(
        "partition_records",
        "Offsets of a partition number that were read, in all its topics.",
        single({number: task.aligner.records_read for number, task in tasks.items()}),
        ["partition"],
    )
    yield counter(
        "partition_on_time_events",
        "Events of a partition number that were not late.",
        single({number: task.aligner.on_time for number, task in tasks.items()}),
        ["partition"],
    )
    yield counter(
        "registry_failures", "Requests to the schema registry without an answer.",
        view.registry_failures,
    )  # fmt: skip
    yield gauge(
        "pending_schemas", "Schemas that records wait for: their topic partitions stand still.",
        view.pending_schemas,
    )  # fmt: skip
    yield gauge("assigned_partitions", "Partition numbers owned and restored.", len(partitions))
    yield gauge(
        "unread_partitions",
        "Partitions of an input topic that are not read because another topic lacks them.",
        single(view.unread),
        ["topic"],
    )
    yield gauge(
        "paused_partitions",
        "Topic partitions paused because too many of their events wait.",
        sum(len(partition.paused) for partition in partitions.values()),
    )
    yield gauge(
        "stuck_partitions",
        "Partition numbers that have work and have not advanced for a minute.",
        len(view.stuck),
    )
    yield gauge(
        "misplaced_symbols",
        "Symbols whose events are not in one partition number: their books are wrong.",
        view.misplaced_symbols,
    )
    yield gauge(
        "buffered_events",
        "Events read and waiting for event-time order.",
        sum(
            partition.task.aligner.pending(stream)
            for partition in partitions.values()
            for stream in partition.inputs.values()
        ),
    )
    yield gauge(
        "restoring_partitions",
        "Assigned topic partitions whose state is not restored yet.",
        view.restoring,
    )
    yield gauge(
        "replaying_partitions",
        "Partition numbers that read records from before a restart again.",
        sum(partition.task.resuming for partition in partitions.values()),
    )
    yield gauge(
        "restore_seconds",
        "Longest restore among the owned partitions.",
        max((partition.restored_in_seconds for partition in partitions.values()), default=0.0),
        unit="seconds",
    )


def _deliveries(deliveries: Mapping[str, DeliveryCounters]) -> Iterator[Metric]:
    labels = ["alertmanager"]
    yield gauge(
        "alertmanager_up",
        "1 if the last request to Alertmanager was answered, 0 if not.",
        single({url: d.up for url, d in deliveries.items() if d.up is not None}),
        labels,
    )
    yield counter(
        "notifications",
        "Alerts for Alertmanager by outcome.",
        {
            (url, outcome): count
            for url, d in deliveries.items()
            for outcome, count in (
                ("sent", d.sent),
                ("refused", d.refused),
                ("dropped", d.dropped),
            )
        },
        [*labels, "outcome"],
    )
    yield counter(
        "notification_failures",
        "Failed requests to Alertmanager; they are retried.",
        single({url: d.failures for url, d in deliveries.items()}),
        labels,
    )
    yield gauge(
        "notifications_waiting",
        "Alerts waiting to be sent to Alertmanager.",
        single({url: d.waiting for url, d in deliveries.items()}),
        labels,
    )
    yield histogram(
        "notification_delay_seconds",
        "From the close of the bar that caused an alert to Alertmanager's answer.",
        {(url,): d.delays for url, d in deliveries.items()},
        labels,
    )


def registry(collectors: Iterable[Collector]) -> CollectorRegistry:
    """Create a registry with these collectors and the collectors of the process."""
    created = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=created)
    PlatformCollector(registry=created)
    GCCollector(registry=created)
    for collector in collectors:
        created.register(collector)
    return created
