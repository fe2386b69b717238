"""Metric families under the project's prefix, in one line each."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "foreshock_"

Values = float | Mapping[Any, float]
"""One value, or one for each tuple of label values."""

_Family = TypeVar("_Family", GaugeMetricFamily, CounterMetricFamily)


def gauge(
    name: str, documentation: str, values: Values, labels: Sequence[str] = (), *, unit: str = ""
) -> GaugeMetricFamily:
    """What goes up and down. ``unit`` is the name's last word where it is one."""
    return _filled(
        GaugeMetricFamily(PREFIX + name, documentation, labels=labels, unit=unit), values
    )


def counter(
    name: str, documentation: str, values: Values, labels: Sequence[str] = (), *, unit: str = ""
) -> CounterMetricFamily:
    """What only grows; ``_total`` is appended to its name."""
    return _filled(
        CounterMetricFamily(PREFIX + name, documentation, labels=labels, unit=unit), values
    )


def single(values: Mapping[Any, float]) -> dict[tuple[str, ...], float]:
    """Values by the one label that they have."""
    return {(str(label),): value for label, value in values.items()}


def _filled(family: _Family, values: Values) -> _Family:
    its = values.items() if isinstance(values, Mapping) else [((), values)]
    for label_values, value in its:
        family.add_metric(label_values, value)
    return family
