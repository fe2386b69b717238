"""How long it took until something was told, counted in the buckets of a histogram."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from prometheus_client.core import HistogramMetricFamily

from service.metric_families import PREFIX

BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Delays(Struct):
    """Counts of delays; they only grow.

    ``counts`` has one count for each of ``BUCKETS_SECONDS``, and one for longer delays.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    sum_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a delay."""
        self.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds


def histogram(
    name: str,
    documentation: str,
    delays: Mapping[tuple[str, ...], Delays],
    labels: Sequence[str] = (),
) -> HistogramMetricFamily:
    """Create a histogram of delays in seconds, by tuples of label values."""
    family = HistogramMetricFamily(PREFIX + name, documentation, labels=labels, unit="seconds")
    bounds = [*map(str, BUCKETS_SECONDS), "+Inf"]
    for values, its in delays.items():
        buckets = [(bound, float(sum(its.counts[: i + 1]))) for i, bound in enumerate(bounds)]
        family.add_metric(values, buckets, its.sum_seconds)
    return family
