"""Metrics of the plug-ins: which run, and which are left out and why."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

from prometheus_client.core import Metric

from detectors.counts import Counts
from service.metric_families import counter, gauge
from service.plug_ins import PlugIns

_RUNNING = ("exception", "wrong_type", "not_finite")


def plug_in_metrics(plug_ins: PlugIns, counts: Counts) -> Iterator[Metric]:
    """Yield the metrics of the plug-ins that the settings allow."""
    yield gauge(
        "plugin_info",
        "1 for each plug-in that runs, with its version and its package as labels.",
        {
            (its.name, str(its.version), " ".join(plug_ins.packages[its.name])): 1
            for its in plug_ins.detectors
        },
        ["plugin", "version", "package"],
    )
    names = [its.name for its in plug_ins.detectors]
    # All series from the start: rate() ignores the first value of a new series.
    left_out = Counter(dict.fromkeys(product(names, _RUNNING), 0))
    left_out.update(counts.left_out)
    left_out.update((its.name, its.reason) for its in plug_ins.left_out)
    yield counter(
        "plugins_left_out",
        "Plug-ins left out, by reason: once at the start, or once for each symbol.",
        left_out,
        ["plugin", "reason"],
    )
