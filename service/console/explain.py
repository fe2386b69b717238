"""What is behind a finding, in words: for the console and for reports."""

from collections.abc import Iterable

from msgspec import Struct

from detectors.catalogue import CATALOGUE
from detectors.detector import phrase
from detectors.incidents import Alert
from service.console.history import Incident

_DETECTORS = {detector.name: detector for detector in CATALOGUE}


class Cause(Struct, frozen=True):
    """A feature behind an alert: a sentence, and its share of the squared score."""

    detector: str
    feature: str
    words: str
    value: float
    expected: float
    share: float


class IncidentRow(Struct, frozen=True):
    """An incident for people; times are milliseconds of event time.

    ``summary`` says what is wrong, without the symbol; ``ended`` how it came to its end.
    """

    alert_id: str
    symbol: str
    detector: str
    severity: str
    summary: str
    starts_ms: int
    critical_ms: int | None
    ends_ms: int | None
    ended: str | None
    score: float
    p_value: float
    causes: list[Cause]
    runbook: str


def words(detector: str, feature: str, value: float, expected: float) -> str:
    """A feature's value as an alert would put it; its name where nothing better is known.

    >>> words("leverage_jump", "leverage_over_habit", 0.5, 0.0)
    "leverage is 50.0% above the accounts' own habits (usually 0.0%)"
    """
    its = _DETECTORS.get(detector)
    if its is None or feature not in its.phrases:
        return f"{feature} is {value:.3g} (usually {expected:.3g})"
    return phrase(its.phrases[feature], value, expected)


def without_symbol(alert: Alert) -> str:
    """An alert's sentence where it is plain which symbol it is about."""
    return alert.summary.removeprefix(f"{alert.symbol}: ")


def incident_rows(incidents: Iterable[Incident], most: int | None = None) -> list[IncidentRow]:
    """Incidents for people: the open ones first, critical before others, then the latest."""
    gravity = {"critical": 0, "warning": 1, "info": 2}
    ordered = sorted(
        incidents,
        key=lambda i: (
            i.ended is not None,
            gravity[i.fired.severity] if i.ended is None else 0,
            -i.fired.starts_at,
        ),
    )
    return [_row(incident) for incident in ordered[:most]]


def _row(incident: Incident) -> IncidentRow:
    alert, ended, critical_at = incident.fired, incident.ended, incident.critical_at
    causes = [
        Cause(
            detector=item.detector,
            feature=item.feature,
            words=words(item.detector, item.feature, item.value, item.expected),
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
        severity=alert.severity,
        summary=without_symbol(alert),
        starts_ms=alert.starts_at // 1_000_000,
        critical_ms=critical_at // 1_000_000 if critical_at is not None else None,
        ends_ms=ended.ends_at // 1_000_000 if ended is not None and ended.ends_at else None,
        ended=without_symbol(ended) if ended is not None else None,
        score=alert.score,
        p_value=alert.p_value,
        causes=causes,
        runbook=alert.runbook,
    )
