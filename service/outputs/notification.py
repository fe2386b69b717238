"""An incident in the form of an alert of Alertmanager's v2 API.

Labels identify an alert in Alertmanager. Values that change during an incident are annotations.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from detectors.incidents.alerts import Alert, Severity
from detectors.incidents.market_wide import MARKET

ALERTNAME = "ForeshockIncident"

HOLD_RESENDS = 5
"""Alertmanager resolves a firing alert that was not sent again for this number of resend intervals.
This is long enough for a restart of the service, or for another process to take over."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode

Key = tuple[str, str, Severity]
"""Symbol, detector and severity: the identity of an alert in Alertmanager."""


class Notification(Struct, frozen=True, rename="camel"):
    """One element of the body of ``POST /api/v2/alerts``."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime


def by_key(alert: Alert) -> dict[Key, Alert]:
    """Return the alerts that Alertmanager receives for an alert, by key.

    Severity is a label, so a critical incident is two alerts. The warning continues, hidden by
    inhibition, and does not resolve at the moment when the incident gets worse. A market-wide
    incident never was a warning, so it is one alert.
    """
    severities: tuple[Literal["warning", "critical"], ...] = ("warning", "critical")
    if alert.severity != "critical" or alert.symbol == MARKET:
        return {(alert.symbol, alert.detector, alert.severity): alert}
    return {
        (alert.symbol, alert.detector, severity): replace(alert, severity=severity)
        for severity in severities
    }


def notification(
    alert: Alert, now_ns: int, hold_seconds: float, labels: Mapping[str, str], runbook_base: str
) -> Notification:
    """Return the notification of an alert at ``now_ns``.

    Parameters
    ----------
    alert
        A firing or resolved alert.
    now_ns
        The clock in nanoseconds; Alertmanager decides by it whether an alert has ended.
    hold_seconds
        How long a firing alert stays firing without being sent again, in seconds.
    labels
        Labels to add to those of the alert.
    runbook_base
        The prefix of the runbook's path.
    """
    # Event time may be slightly ahead of this clock, and Alertmanager refuses an alert that ends
    # before it starts.
    starts_ns = min(alert.starts_at, now_ns)
    if alert.status == "firing" or alert.ends_at is None:
        ends_ns = now_ns + round(hold_seconds * 1e9)
    else:
        ends_ns = max(starts_ns, min(alert.ends_at, now_ns))
    return Notification(
        labels={
            **labels,
            "alertname": ALERTNAME,
            "symbol": alert.symbol,
            "detector": alert.detector,
            "severity": alert.severity,
        },
        annotations={
            "summary": alert.summary,
            "description": _evidence(alert),
            "runbook_url": f"{runbook_base}{alert.runbook}",
            "alert_id": alert.alert_id,
            "score": f"{alert.score:.4g}",
            "p_value": f"{alert.p_value:.3g}",
            "ts_event": _time(alert.ts_event).isoformat(),
            **({"alarming": ", ".join(alert.alarming)} if alert.alarming else {}),
            **({"opening": alert.opening} if alert.opening else {}),
            **({"reason": alert.reason} if alert.reason else {}),
            **({"inputs": "; ".join(alert.inputs)} if alert.inputs else {}),
        },
        starts_at=_time(starts_ns),
        ends_at=_time(ends_ns),
    )


def body(notifications: Sequence[Notification]) -> bytes:
    """Return the body of a request."""
    return _encode(notifications)


def _evidence(alert: Alert) -> str:
    """Return the evidence as lines, the strongest first."""
    return "\n".join(
        f"{e.feature}: {e.value:.4g}, expected {e.expected:.4g} ({e.detector}, "
        f"{e.contribution:.0%} of the score)"
        for e in alert.evidence
    )


def _time(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1_000)
