"""Metrics of how the venue treats its positions, on the instance that watches it."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric

from detectors.conduct.monitor import ConductMonitor
from service.metric_families import counter, gauge, single


def conduct(
    monitor: ConductMonitor | None,
    missing: Mapping[str, tuple[str, ...]],
    published: Mapping[str, int],
) -> Iterator[Metric]:
    """Yield the metrics; ``monitor`` is None elsewhere.

    Parameters
    ----------
    missing
        The streams that detectors need and that no topic has, by detector.
    published
        Records that were sent, by the setting of their topic.
    """
    yield gauge(
        "conduct_no_input",
        "1 for each stream that a detector of the venue's conduct needs and that no topic has.",
        {(name, stream): 1 for name, streams in missing.items() for stream in streams},
        ["detector", "input"],
    )
    yield gauge(
        "conduct_incident_start_timestamp_seconds",
        "Start of an open incident about the venue's conduct, in event time since the Unix epoch.",
        {
            (its.symbol, its.detector, its.severity): its.starts_at / 1e9
            for its in (monitor.open_alerts if monitor is not None else ())
        },
        ["symbol", "detector", "severity"],
        unit="seconds",
    )
    yield gauge(
        "conduct_crowding_score",
        "How far basis, funding, volatility and open interest are from their week towards "
        "crowding, as a squared distance, of symbols that are crowded, unwinding or squeezed.",
        {
            (symbol, its.state): its.score
            for symbol, its in (monitor.crowding if monitor is not None else {}).items()
            if its.state != "ordinary"
        },
        ["symbol", "state"],
    )
    yield counter(
        "conduct_records_published",
        "Records of liquidations and of margin changes sent to Kafka.",
        single(dict(published)),
        ["output"],
    )
