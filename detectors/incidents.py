"""From alarms to incidents: a line of alerts that opens, escalates and resolves; not a storm.

A symbol has at most one incident at a time. It opens on the first alarm, becomes critical when the
alarm persists or a second detector joins, and resolves after a quiet time.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from detectors.detector import Detector, phrase
from detectors.scorer import Reading

PERSISTENT_BARS = 10
"""Alarmed bars within an incident that make it critical."""

MAX_EVIDENCE = 6
"""The features that an alert names, the largest contributions first."""

Severity = Literal["info", "warning", "critical"]
"""``info`` tells of a drift: nothing to act on at once."""


class Evidence(Struct, frozen=True):
    """One feature behind an alert: ``contribution`` is its share of the squared score."""

    detector: str
    feature: str
    value: float
    expected: float
    contribution: float


class Alert(Struct, frozen=True):
    """What is published when an incident opens, escalates or resolves.

    Times are nanoseconds of event time; ``ts_event`` is the close of the bar that caused it.
    A repeat of an alert has the same ``alert_id``, ``status`` and ``severity``. ``inputs`` says, in
    words, why what the alert rests on is not to be trusted; it is empty where nothing is known
    against it.
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


class KillSwitch(Struct, frozen=True):
    """Whether trading in a symbol should be held, for an order gateway that chooses to listen.

    ``tripped`` while an incident is critical, renewed as long as it alarms; it lapses at
    ``until`` (nanoseconds of event time) by itself, so that it never outlives its sender.
    """

    symbol: str
    state: Literal["armed", "tripped"]
    ts_event: int
    until: int | None
    reason: str
    alert_id: str


class Incident(Struct):
    """An open incident; ``alert`` is the last that was raised for it."""

    alert: Alert
    detectors: list[str]
    alarmed_bars: int
    last_alarm_ns: int
    tripped_until_ns: int = 0


def alert_id(symbol: str, detector: str, version: int, starts_at: int) -> str:
    """The same incident has the same id, wherever and whenever it is computed.

    >>> alert_id("BTC-PERP", "cancel_burst", 1, 1_700_000_000_000_000_000)
    '78f06c56d9142a041e179255dbf2eb1b'
    """
    made_of = f"{symbol}\\0{detector}\\0{version}\\0{starts_at}"
    return blake2b(made_of.encode(), digest_size=16).hexdigest()


def escalation(incident: Incident) -> str | None:
    """Why an incident is critical, None where it is not."""
    if len(incident.detectors) > 1:
        return f"{' and '.join(incident.detectors)} agree"
    if incident.alarmed_bars >= PERSISTENT_BARS:
        return f"the alarm persisted for {incident.alarmed_bars} bars"
    return None


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
    """What is published when an incident that starts at ``starts_at`` opens or escalates."""
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
    """What is published when the incident of a firing alert has ended."""
    return replace(fired, status="resolved", ends_at=ends_at, ts_event=ends_at, summary=summary)


def distrusted(summary: str, inputs: Sequence[str]) -> str:
    """An alert's sentence, with what is known against its inputs.

    >>> distrusted("BTC-PERP: the book is thin", ["cancels frozen for 12 s"])
    'BTC-PERP: the book is thin; do not trust it: cancels frozen for 12 s'
    """
    return f"{summary}; do not trust it: {', '.join(inputs)}" if inputs else summary


class Incidents:
    """The incidents of one symbol.

    Parameters
    ----------
    symbol
        Whose incidents they are.
    quiet_ns
        An incident resolves after so much event time without an alarm.
    """

    __slots__ = ("open", "quiet_ns", "symbol")

    def __init__(self, symbol: str, quiet_ns: int) -> None:
        self.symbol = symbol
        self.quiet_ns = quiet_ns
        self.open: Incident | None = None

    def step(
        self,
        ts_event: int,
        detectors: Sequence[Detector],
        readings: Mapping[str, Reading],
        inputs: Sequence[str] = (),
    ) -> list[Alert]:
        """Take in a bar that closed at ``ts_event``; the alerts it gives rise to.

        ``inputs`` is what is known against the symbol's feed.
        """
        alerts = self.resolve(ts_event)
        alarmed = [d for d in detectors if readings[d.name].effective]
        if not alarmed:
            return alerts
        incident = self.open
        if incident is None:
            # The least likely reading names the incident.
            first = min(alarmed, key=lambda d: _p_value(readings[d.name]))
            alert = self._raise(first, "warning", ts_event, ts_event, readings, alarmed, inputs)
            incident = self.open = Incident(alert, [], 0, ts_event)
            alerts.append(alert)
        incident.detectors += [d.name for d in alarmed if d.name not in incident.detectors]
        incident.alarmed_bars += 1
        incident.last_alarm_ns = ts_event
        reason = escalation(incident)
        if reason is not None and incident.alert.severity == "warning":
            first = next(d for d in detectors if d.name == incident.alert.detector)
            starts_at = incident.alert.starts_at
            incident.alert = self._raise(
                first, "critical", starts_at, ts_event, readings, alarmed, inputs, reason
            )
            alerts.append(incident.alert)
        return alerts

    def resolve(self, ts_event: int) -> list[Alert]:
        """Resolve what has been quiet for long enough at ``ts_event``."""
        incident = self.open
        if incident is None or ts_event < incident.last_alarm_ns + self.quiet_ns:
            return []
        self.open = None
        # Its end follows from its last alarm, not from when somebody looked.
        ends_at = incident.last_alarm_ns + self.quiet_ns
        summary = (
            f"{self.symbol}: quiet for {self.quiet_ns // 10**9} s after"
            f" {incident.alarmed_bars} alarmed bars ({', '.join(incident.detectors)})"
        )
        return [resolved(incident.alert, ends_at, summary)]

    def kill_switch(self, ts_event: int, alerts: Sequence[Alert]) -> KillSwitch | None:
        """What the kill switch should show after the ``alerts`` of a bar; None for no change."""
        incident = self.open
        if incident is not None and incident.alert.severity == "critical":
            alert = incident.alert
            # Renewed by half-time, so that it covers the quiet time that resolves the incident.
            if incident.last_alarm_ns < ts_event:
                return None
            if incident.tripped_until_ns >= ts_event + self.quiet_ns:
                return None
            until = incident.tripped_until_ns = ts_event + 2 * self.quiet_ns
            return KillSwitch(
                self.symbol, "tripped", ts_event, until, alert.summary, alert.alert_id
            )
        for alert in alerts:
            if alert.status == "resolved" and alert.severity == "critical":
                return KillSwitch(
                    self.symbol, "armed", alert.ts_event, None, alert.summary, alert.alert_id
                )
        return None

    def _raise(
        self,
        detector: Detector,
        severity: Severity,
        starts_at: int,
        ts_event: int,
        readings: Mapping[str, Reading],
        alarmed: Sequence[Detector],
        inputs: Sequence[str],
        reason: str | None = None,
    ) -> Alert:
        worst = min(alarmed, key=lambda d: _p_value(readings[d.name]))
        reading = readings[worst.name]
        assert reading.score is not None
        evidence = [
            Evidence(worst.name, c.feature, c.value, c.expected, c.share)
            for c in reading.contributions[:MAX_EVIDENCE]
        ]
        top = evidence[0]
        sentence = phrase(worst.phrases[top.feature], top.value, top.expected)
        sentence = f"{self.symbol}: {sentence}" + (f"; {reason}" if reason else "")
        return firing(
            self.symbol,
            detector.name,
            detector.version,
            severity,
            starts_at,
            ts_event,
            score=reading.score,
            p_value=reading.p_value,
            evidence=evidence,
            summary=distrusted(sentence, inputs),
            inputs=inputs,
        )


def _p_value(reading: Reading) -> float:
    return 1.0 if reading.p_value is None else reading.p_value
