"""Incidents, put together from their alerts, and as rows for people to read."""

from collections.abc import Iterable
from typing import get_args

from msgspec import Struct

from detectors.incidents.alerts import Alert, Severity, history
from detectors.incidents.kind import Kind, kind
from service.presentation.phrases import describe_feature

GRAVITY = {severity: rank for rank, severity in enumerate(get_args(Severity))}
"""The rank of each severity; a higher rank is graver."""


MAX_TOLD = 12
"""The largest number of records of an incident that are kept for its history, the latest."""


class Incident(Struct):
    """An incident as its alerts report it: the latest firing alert, and the resolved alert.

    ``critical_at`` is when it became critical, in nanoseconds of event time. ``number`` is the
    partition of its symbol. ``told`` holds its firing alerts, in the order of event time.
    """

    fired: Alert
    critical_at: int | None = None
    ended: Alert | None = None
    number: int = 0
    told: list[Alert] = []


def fold(incidents: dict[str, Incident], alert: Alert, number: int = 0) -> None:
    """Add an alert to its incident, by alert id."""
    incident = incidents.setdefault(alert.alert_id, Incident(alert, number=number))
    if alert.status == "resolved":
        incident.ended = alert
        return
    if alert in incident.told:
        return  # a repeat
    if not incident.told or alert.ts_event >= incident.fired.ts_event:
        incident.fired = alert
        incident.told = [*incident.told, alert][-MAX_TOLD:]
    if alert.severity == "critical" and incident.critical_at is None:
        incident.critical_at = alert.ts_event


class Cause(Struct, frozen=True):
    """A feature behind an alert: a sentence, and its share of the evidence."""

    detector: str
    feature: str
    text: str
    value: float
    expected: float
    share: float


class ToldRow(Struct, frozen=True):
    """What an earlier record of an incident said, without the symbol and without its history."""

    at_ms: int
    severity: Severity
    text: str


class IncidentRow(Struct, frozen=True):
    """An incident for people; times are milliseconds of event time.

    ``summary`` describes the incident without the symbol, as of ``told_ms``. ``ended`` is the
    summary of its end. ``before`` holds what was told before the summary, the latest first.
    """

    alert_id: str
    symbol: str
    detector: str
    kind: Kind
    severity: Severity
    summary: str
    told_ms: int
    before: list[ToldRow]
    starts_ms: int
    critical_ms: int | None
    ends_ms: int | None
    ended: str | None
    score: float
    p_value: float
    causes: list[Cause]
    runbook: str


def without_symbol(alert: Alert) -> str:
    """Return the summary of an alert without its symbol."""
    return alert.summary.removeprefix(f"{alert.symbol}: ")


def _told(alert: Alert) -> ToldRow:
    text = without_symbol(alert).removesuffix(history(alert))
    return ToldRow(alert.ts_event // 1_000_000, alert.severity, text)


def incident_rows(incidents: Iterable[Incident], limit: int | None = None) -> list[IncidentRow]:
    """Return rows for incidents: open ones first, critical before others, then the latest."""
    ordered = sorted(
        incidents,
        key=lambda i: (
            i.ended is not None,
            -GRAVITY[i.fired.severity] if i.ended is None else 0,
            -i.fired.starts_at,
        ),
    )
    return [_row(incident) for incident in ordered[:limit]]


def _row(incident: Incident) -> IncidentRow:
    alert, ended, critical_at = incident.fired, incident.ended, incident.critical_at
    causes = [
        Cause(
            detector=item.detector,
            feature=item.feature,
            text=describe_feature(item.detector, item.feature, item.value, item.expected),
            value=item.value,
            expected=item.expected,
            share=item.contribution,
        )
        for item in alert.evidence
    ]
    return IncidentRow(
        alert_id=alert.alert_id,
        symbol=alert.symbol,
        detector=alert.detector,
        kind=kind(alert.detector, alert.severity),
        severity=alert.severity,
        summary=without_symbol(alert),
        told_ms=alert.ts_event // 1_000_000,
        before=[_told(its) for its in reversed(incident.told[:-1])],
        starts_ms=alert.starts_at // 1_000_000,
        critical_ms=critical_at // 1_000_000 if critical_at is not None else None,
        ends_ms=ended.ends_at // 1_000_000 if ended is not None and ended.ends_at else None,
        ended=without_symbol(ended) if ended is not None else None,
        score=alert.score,
        p_value=alert.p_value,
        causes=causes,
        runbook=alert.runbook,
    )
