"""Helpers that create metric families with the project's prefix."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "foreshock_"

Values = float | Mapping[Any, float]
"""One value, or one value for each tuple of label values."""

_Family = TypeVar("_Family", GaugeMetricFamily, CounterMetricFamily)


def gauge(
    name: str, documentation: str, values: Values, labels: Sequence[str] = (), *, unit: str = ""
) -> GaugeMetricFamily:
    """Create a gauge. ``unit`` is the last word of the name if that is a unit."""
    return _filled(
        GaugeMetricFamily(PREFIX + name, documentation, labels=labels, unit=unit), values
    )


def counter(
    name: str, documentation: str, values: Values, labels: Sequence[str] = (), *, unit: str = ""
) -> CounterMetricFamily:
    """Create a counter; ``_total`` is appended to its name."""
    return _filled(
        CounterMetricFamily(PREFIX + name, documentation, labels=labels, unit=unit), values
    )


def single(values: Mapping[Any, float]) -> dict[tuple[str, ...], float]:
    """Return values of a family with one label, keyed by tuples of label values."""
    return {(str(label),): value for label, value in values.items()}


def _filled(family: _Family, values: Values) -> _Family:
    items = values.items() if isinstance(values, Mapping) else [((), values)]
    for label_values, value in items:
        family.add_metric(label_values, value)
    return family
