"""What a detector says of a symbol in a second, and the incident that follows from it."""

from msgspec import Struct
from msgspec.structs import replace

from detectors.incidents.alerts import (
    Alert,
    Evidence,
    Reason,
    Severity,
    ended,
    firing,
    resolved,
)
from detectors.incidents.updates import UPDATE_NS

MATERIAL_RATIO = 0.25
"""A score that differs by more than this from the one told last is a material change."""


class Verdict(Struct, frozen=True):
    """What holds now.

    Attributes
    ----------
    severity
        How bad it is.
    score
        The figure that a change is judged by; at least 0.
    p_value
        The probability of a score as high by chance; None if a rule is broken, which has none.
    evidence
        The figures behind it.
    summary
        One sentence without the symbol: how far, how much money, how many accounts, which side.
    """

    severity: Severity
    score: float
    p_value: float | None
    evidence: list[Evidence]
    summary: str


class Incident:
    """The incident of one detector and symbol.

    Parameters
    ----------
    symbol, detector, version
        Of whom, and by which version of which detector.
    quiet_ns
        For how long the detector must find nothing before the incident resolves.
    over
        What the last alert says, without the symbol.

    Attributes
    ----------
    alert
        The last alert of the open incident; None without one.
    held_ns
        When the detector last found that it holds; 0 before.
    suppressed
        Why an incident that would be open is held back; None if none is.
    """

    __slots__ = (
        "_detector", "_over", "_quiet_ns", "_symbol", "_version", "alert", "held_ns", "suppressed",
    )  # fmt: skip

    def __init__(self, symbol: str, detector: str, version: int, quiet_ns: int, over: str) -> None:
        self._symbol = symbol
        self._detector = detector
        self._version = version
        self._quiet_ns = quiet_ns
        self._over = over
        self.alert: Alert | None = None
        self.held_ns = 0
        self.suppressed: str | None = None

    def note(self, ts_event: int, verdict: Verdict | None) -> None:
        """Note a second whose alerts are published already, or are held back."""
        if verdict is not None:
            self.held_ns = ts_event

    def resume(self, alert: Alert) -> None:
        """Continue from the last published alert of the open incident."""
        self.alert = alert
        self.held_ns = max(self.held_ns, alert.ts_event)

    def is_over(self, ts_event: int) -> bool:
        """Whether nothing is open, and nothing has held for long enough."""
        return self.alert is None and ts_event - self.held_ns >= self._quiet_ns

    def step(self, ts_event: int, verdict: Verdict | None) -> list[Alert]:
        """Return the alerts of a second that ends at ``ts_event``."""
        self.note(ts_event, verdict)
        self.suppressed = None
        alert = self.alert
        if verdict is None:
            if alert is None or ts_event - self.held_ns < self._quiet_ns:
                return []
            self.alert = None
            return [resolved(alert, ts_event, f"{self._symbol}: {self._over}")]
        reason = "opened" if alert is None else _change(alert, ts_event, verdict)
        return [self._tell(ts_event, verdict, reason)] if reason is not None else []

    def hold_back(self, ts_event: int, verdict: Verdict | None, why: str) -> list[Alert]:
        """Let no incident be open in a second; return the alert that ends one which is."""
        self.note(ts_event, verdict)
        self.suppressed = why if verdict is not None else None
        if self.alert is None:
            return []
        over = ended(self.alert, ts_event, f"held back, {why}")
        self.alert = None
        return [over]

    def _tell(self, ts_event: int, verdict: Verdict, reason: Reason) -> Alert:
        before = self.alert
        severity = verdict.severity
        if before is not None and before.severity == "critical":
            severity = "critical"  # an incident does not become milder before it is over
        alert = firing(
            self._symbol,
            self._detector,
            self._version,
            severity,
            before.starts_at if before is not None else ts_event,
            ts_event,
            score=verdict.score,
            p_value=verdict.p_value,
            evidence=verdict.evidence,
            summary=f"{self._symbol}: {verdict.summary}",
            inputs=[],
            reason=reason,
        )
        updates = reason in ("better", "worse")
        self.alert = replace(
            alert,
            update=before.update + 1 if before is not None and updates else 0,
            opening=before.opening if before is not None else alert.summary,
        )
        return self.alert


def _change(told: Alert, ts_event: int, now: Verdict) -> Reason | None:
    """Return why an open incident must be told again; None if it need not be."""
    if now.severity == "critical" and told.severity != "critical":
        return "severity"
    if ts_event - told.ts_event < UPDATE_NS:
        return None
    if now.score > (1.0 + MATERIAL_RATIO) * told.score:
        return "worse"
    return "better" if (1.0 + MATERIAL_RATIO) * now.score < told.score else None
