"""Alerts: the published records of an incident, their evidence and their ids."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

MAX_EVIDENCE = 6
"""The largest number of features in an alert, the largest contributions first."""

Severity = Literal["info", "warning", "critical"]
"""``info`` reports a drift: no immediate action is needed."""


class Evidence(Struct, frozen=True):
    """One feature behind an alert. ``contribution`` is the feature's share of the evidence."""

    detector: str
    feature: str
    value: float
    expected: float
    contribution: float


class Alert(Struct, frozen=True):
    """The record that is published when an incident opens, escalates or resolves.

    Times are nanoseconds of event time. ``ts_event`` is the close of the bar that caused the alert.
    A repeat of an alert has the same ``alert_id``, ``status`` and ``severity``. ``inputs``
    describes the faults of the feed that make the alert unreliable; it is empty without faults.
    """

    alert_id: str
    symbol: str
    detector: str
    severity: Severity
    status: Literal["firing", "resolved"]
    starts_at: int
    ends_at: int | None
    ts_event: int
    score: float
    p_value: float
    evidence: list[Evidence]
    summary: str
    runbook: str
    inputs: list[str] = []


def alert_id(symbol: str, detector: str, version: int, starts_at: int) -> str:
    """Return the alert id of an incident.

    The id depends on the arguments alone: every process computes the same id for an incident.

    >>> alert_id("BTC-PERP", "cancel_burst", 1, 1_700_000_000_000_000_000)
    '78f06c56d9142a041e179255dbf2eb1b'
    """
    key = f"{symbol}\\0{detector}\\0{version}\\0{starts_at}"
    return blake2b(key.encode(), digest_size=16).hexdigest()


def firing(
    symbol: str,
    detector: str,
    version: int,
    severity: Severity,
    starts_at: int,
    ts_event: int,
    *,
    score: float,
    p_value: float | None,
    evidence: list[Evidence],
    summary: str,
    inputs: Sequence[str],
) -> Alert:
    """Return the alert for an incident that starts at ``starts_at`` and opens or escalates."""
    return Alert(
        alert_id=alert_id(symbol, detector, version, starts_at),
        symbol=symbol,
        detector=detector,
        severity=severity,
        status="firing",
        starts_at=starts_at,
        ends_at=None,
        ts_event=ts_event,
        score=score,
        p_value=1.0 if p_value is None else p_value,
        evidence=evidence,
        summary=summary,
        runbook=f"docs/runbook.md#{detector}",
        inputs=list(inputs),
    )


def resolved(fired: Alert, ends_at: int, summary: str) -> Alert:
    """Return the alert for the end of the incident of a firing alert."""
    return replace(fired, status="resolved", ends_at=ends_at, ts_event=ends_at, summary=summary)


def ended(fired: Alert, ts_event: int, why: str) -> Alert:
    """Return the alert for an incident that ends at ``ts_event`` before its quiet time is over.

    It ends at its last alert if that is later.
    """
    return resolved(fired, max(ts_event, fired.ts_event), f"{fired.symbol}: {why}")


def distrusted(summary: str, inputs: Sequence[str]) -> str:
    """Return the summary of an alert, with the faults of its inputs.

    >>> distrusted("BTC-PERP: the book is thin", ["cancels frozen for 12 s"])
    'BTC-PERP: the book is thin; do not trust it: cancels frozen for 12 s'
    """
    return f"{summary}; do not trust it: {', '.join(inputs)}" if inputs else summary
