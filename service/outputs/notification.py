"""An incident in the form in which Alertmanager's v2 API takes alerts.

Labels identify an alert there: what changes while an incident goes on stands in the annotations.
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
"""Alertmanager takes a firing alert for over when it has not been sent again for so many times the
interval at which it is: long enough for a restart of the service, or for another to take over."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode

Key = tuple[str, str, Severity]
"""Symbol, detector and severity: what tells two alerts apart at Alertmanager."""


class Notification(Struct, frozen=True, rename="camel"):
    """One element of the body of ``POST /api/v2/alerts``."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime


def by_key(alert: Alert) -> dict[Key, Alert]:
    """An alert as Alertmanager gets to see it.

    Severity is a label there, so a critical incident is two alerts: the warning goes on, for
    inhibition to hide, and is not told to be over just when things become worse. One of the market
    has never been a warning.
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
    """What to post for an alert at ``now_ns``.

    Parameters
    ----------
    alert
        One that fires or has been resolved.
    now_ns
        The clock; Alertmanager judges by it whether an alert is over.
    hold_seconds
        How long a firing alert is to be held for firing if it is not sent again.
    labels
        What to add to the alert's own labels.
    runbook_base
        What to put before the runbook's path.
    """
    # Event time may be ahead of this clock a little, and Alertmanager refuses what ends before it
    # begins.
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
            **({"inputs": "; ".join(alert.inputs)} if alert.inputs else {}),
        },
        starts_at=_time(starts_ns),
        ends_at=_time(ends_ns),
    )


def body(notifications: Sequence[Notification]) -> bytes:
    """The body of a request."""
    return _encode(notifications)


def _evidence(alert: Alert) -> str:
    """The evidence in lines, the strongest first."""
    return "\n".join(
        f"{e.feature}: {e.value:.4g}, expected {e.expected:.4g} ({e.detector}, "
        f"{e.contribution:.0%} of the score)"
        for e in alert.evidence
    )


def _time(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1_000)
