"""Metric families under the project's prefix, in one line each."""

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "foreshock_"

Values = float | Mapping[Any, float]
"""One value, or one for each tuple of label values."""


def gauge(
    name: str, documentation: str, values: Values, labels: Sequence[str] = (), *, unit: str = ""
) -> GaugeMetricFamily:
    """What goes up and down. ``unit`` is the name's last word where it is one."""
    family = GaugeMetricFamily(PREFIX + name, documentation, labels=labels, unit=unit)
    for label_values, value in _items(values):
        family.add_metric(label_values, value)
    return family


def counter(
    name: str, documentation: str, values: Values, labels: Sequence[str] = (), *, unit: str = ""
) -> CounterMetricFamily:
    """What only grows; ``_total`` is appended to its name."""
    family = CounterMetricFamily(PREFIX + name, documentation, labels=labels, unit=unit)
    for label_values, value in _items(values):
        family.add_metric(label_values, value)
    return family


def single(values: Mapping[Any, float]) -> dict[tuple[str, ...], float]:
    """Values by the one label that they have."""
    return {(str(label),): value for label, value in values.items()}


def _items(values: Values) -> list[tuple[tuple[str, ...], float]]:
    return list(values.items()) if isinstance(values, Mapping) else [((), values)]
