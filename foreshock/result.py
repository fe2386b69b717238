"""What a run gives: alerts and signals, and both as rows for a data frame."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from detectors.closing import Signal
from detectors.incidents.alerts import Alert


class Result(NamedTuple):
    """Alerts and signals, in the order of event time.

    ``late`` is the number of late events so far: they changed the book, and no bar. ``rejected`` is
    the number of records of files that are no events.
    """

    alerts: list[Alert]
    signals: list[Signal]
    late: int = 0
    rejected: int = 0


def rows(records: Iterable[Alert | Signal]) -> list[dict[str, Any]]:
    """Return a row for each alert or signal; all rows of a call have the same columns.

    A row of an alert has the fields of the published record; times are nanoseconds since 1970, the
    evidence and the effect on the market are plain lists and dicts.

    A row of a signal is flat. It has ``symbol``, ``ts_event`` and ``stress_ratio``, and for each
    detector ``NAME.status``, ``NAME.alarm``, ``NAME.score``, ``NAME.p_value`` and each of its
    features as ``NAME.FEATURE``. A number that a bar does not have is NaN, so that a column has one
    type.
    """
    found = [_signal(its) if isinstance(its, Signal) else _alert(its) for its in records]
    columns = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name, math.nan) for name in columns} for row in found]


def _alert(alert: Alert) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(alert)
    return row


def _signal(signal: Signal) -> dict[str, Any]:
    row: dict[str, Any] = {
        "symbol": signal.symbol,
        "ts_event": signal.ts_event,
        "stress_ratio": _float(signal.stress_ratio),
    }
    for name, reading in signal.detectors.items():
        row[f"{name}.status"] = reading.status
        row[f"{name}.alarm"] = reading.alarm
        row[f"{name}.score"] = _float(reading.score)
        row[f"{name}.p_value"] = _float(reading.p_value)
        row |= {f"{name}.{feature}": value for feature, value in reading.features.items()}
    return row


def _float(value: float | None) -> float:
    return math.nan if value is None else value
