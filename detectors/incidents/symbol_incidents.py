"""Incidents of one symbol: alarms become a few alerts that open, escalate and resolve.

A symbol has at most one incident at a time. It opens on the first alarm, becomes critical when the
alarm persists or a second detector joins, and resolves after a quiet time.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from detectors.detector import Detector, sentence
from detectors.incidents.alerts import (
    MAX_EVIDENCE,
    Alert,
    Evidence,
    Severity,
    distrusted,
    ended,
    firing,
    resolved,
)
from detectors.market_data.events import LATEST_NS
from detectors.scorer import Reading

PERSISTENT_BARS = 10
"""The number of alarmed bars that makes an incident critical."""


class Incident(Struct):
    """An open incident. ``alert`` is its last alert."""

    alert: Alert
    detectors: list[str]
    alarmed_bars: int
    last_alarm_ns: int
    tripped_until_ns: int = 0


def escalation(incident: Incident) -> str | None:
    """Return why an incident is critical; None if it is not."""
    if len(incident.detectors) > 1:
        return f"{' and '.join(incident.detectors)} confirm it"
    if incident.alarmed_bars >= PERSISTENT_BARS:
        return f"it has lasted for {incident.alarmed_bars} bars"
    return None


class Incidents:
    """The incidents of one symbol.

    Parameters
    ----------
    symbol
        The symbol of the incidents.
    quiet_ns
        The event time without an alarm after which an incident resolves, in nanoseconds.
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
        """Process a bar that closed at ``ts_event`` and return its alerts.

        ``inputs`` holds the current findings about the symbol's feed.
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

    @property
    def resolves_ns(self) -> int:
        """When the open incident resolves without a further alarm; `LATEST_NS` without one."""
        return LATEST_NS if self.open is None else self.open.last_alarm_ns + self.quiet_ns

    def resolve(self, ts_event: int) -> list[Alert]:
        """Resolve the incident if its quiet time is over at ``ts_event``."""
        incident = self.open
        if incident is None or ts_event < incident.last_alarm_ns + self.quiet_ns:
            return []
        self.open = None
        # The end depends on the last alarm, not on the time of this call.
        ends_at = incident.last_alarm_ns + self.quiet_ns
        bars = f"{incident.alarmed_bars} bar{'s' if incident.alarmed_bars > 1 else ''}"
        summary = (
            f"{self.symbol}: the stress is over: no alarm for {self.quiet_ns // 10**9} s after"
            f" {bars} with an alarm ({', '.join(incident.detectors)})"
        )
        return [resolved(incident.alert, ends_at, summary)]

    def end(self, ts_event: int, why: str) -> list[Alert]:
        """Resolve the incident at ``ts_event``, or at its last alert if that is later."""
        incident = self.open
        if incident is None:
            return []
        self.open = None
        return [ended(incident.alert, ts_event, why)]

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
        text = sentence(worst, top.feature, top.value, top.expected)
        text = f"{self.symbol}: {text}" + (f"; {reason}" if reason else "")
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
            summary=distrusted(text, inputs),
            inputs=inputs,
        )


def _p_value(reading: Reading) -> float:
    return 1.0 if reading.p_value is None else reading.p_value
