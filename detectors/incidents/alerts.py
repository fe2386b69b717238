"""Alerts: the published records of an incident, their evidence and their ids."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from detectors.incidents.market_effect import Effect, clock

MAX_EVIDENCE = 6
"""The largest number of features in an alert, the largest contributions first."""

Severity = Literal["info", "warning", "critical"]
"""``info`` reports a drift: no immediate action is needed."""


Reason = Literal["opened", "severity", "detector", "rarity", "worse", "better", "resolved"]
"""Why a record of an incident is published, see `detectors.incidents.updates.needs_update`."""


class Evidence(Struct, frozen=True):
    """One feature behind an alert. ``contribution`` is the feature's share of the evidence."""

    detector: str
    feature: str
    value: float
    expected: float
    contribution: float


class Alert(Struct, frozen=True):
    """The record that is published when an incident opens, changes, escalates or resolves.

    Times are nanoseconds of event time. ``ts_event`` is the close of the bar that caused the alert.
    ``summary`` begins with the worst that is true then, and ends with how the incident began.
    ``update`` is 0 when the incident opens, becomes critical or resolves. It is 1, 2, … for the
    updates in between, which page nobody. A repeat of an alert has the same ``alert_id``,
    ``status``, ``severity`` and ``update``. ``reason`` says why the record is published.
    ``alarming`` names the detectors that alarm in the bar, the rarest alarm first. ``opening`` is
    the sentence that the incident opened with. ``market`` is its effect on the market; null while
    the book has no state, and for other kinds of incidents.
    ``inputs`` describes the faults of the feed that make the alert unreliable; it is empty without
    faults.
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
    update: int = 0
    reason: Reason | None = None
    alarming: list[str] = []
    opening: str = ""
    market: Effect | None = None


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
    reason: Reason = "opened",
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
        reason=reason,
    )


def resolved(fired: Alert, ends_at: int, summary: str) -> Alert:
    """Return the alert for the end of the incident of a firing alert."""
    return replace(
        fired,
        status="resolved",
        ends_at=ends_at,
        ts_event=ends_at,
        summary=summary,
        update=0,
        reason="resolved",
        alarming=[],
    )


def ended(fired: Alert, ts_event: int, why: str) -> Alert:
    """Return the alert for an incident that ends at ``ts_event`` before its quiet time is over.

    It ends at its last alert if that is later.
    """
    return resolved(fired, max(ts_event, fired.ts_event), f"{fired.symbol}: {why}")


def history(alert: Alert) -> str:
    """Return the end of the summary of an alert that says how its incident began.

    It is missing where the summary begins with that.
    """
    began = f"It began at {clock(alert.starts_at)} with {alert.detector}"
    return f". {began}: {alert.opening}" if alert.opening else ""


def distrusted(summary: str, inputs: Sequence[str]) -> str:
    """Return the summary of an alert, with the faults of its inputs.

    >>> distrusted("BTC-PERP: the book is thin", ["cancels frozen for 12 s"])
    'BTC-PERP: the book is thin; do not trust it: cancels frozen for 12 s'
    """
    return f"{summary}; do not trust it: {', '.join(inputs)}" if inputs else summary
