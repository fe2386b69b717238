"""Feed incidents: findings about a symbol's feed, separate from the market's incidents.

An incident opens with the first finding. It becomes critical when another check joins or when it
lasts. It resolves after a quiet time, so an intermittent fault is one incident.
"""

from collections.abc import Sequence

from msgspec import Struct, field

from detectors.feed.checks import Finding
from detectors.incidents.alerts import MAX_EVIDENCE, Alert, Evidence, Severity, firing, resolved
from detectors.incidents.kind import FEED_INTEGRITY
from detectors.incidents.suppression import Window

VERSION = 1

LASTING_BARS = 60
"""The number of bars with a finding that makes an incident critical."""

ONGOING_NS = 5_000_000_000
"""A finding younger than this is described as ongoing, without its age."""


class StandingFinding(Struct):
    """An active finding: its description, and the event time when it was last found."""

    description: str = field(name="words")
    last_ns: int


class FeedIncident(Struct):
    """An open feed incident. ``alert`` is its last alert."""

    alert: Alert
    checks: list[str]
    bars: int
    last_ns: int


class FeedFindings(Struct):
    """The open incident and the active findings of a symbol's feed; part of a snapshot."""

    open: FeedIncident | None = None
    standing: dict[str, StandingFinding] = {}


class FeedIncidents:
    """The feed incidents of one symbol, one at a time.

    Parameters
    ----------
    symbol
        The symbol of the incidents.
    quiet_ns
        The event time without a finding after which an incident resolves, in nanoseconds.
    windows
        The maintenance windows, in which no incident is opened, escalated or prolonged.
    """

    __slots__ = ("_quiet_ns", "_symbol", "findings", "windows")

    def __init__(self, symbol: str, quiet_ns: int, windows: Sequence[Window]) -> None:
        self._symbol = symbol
        self._quiet_ns = quiet_ns
        self.windows = windows
        self.findings = FeedFindings()

    def inputs(self, ts_event: int) -> list[str]:
        """Return the active findings about the symbol's inputs at ``ts_event``; empty without any.

        A finding stays active for the quiet time of the incident, because a lost event leaves the
        book wrong.
        """
        return [
            finding.description if (age := ts_event - finding.last_ns) < ONGOING_NS
            else f"{finding.description}, {age // 10**9} s ago"
            for finding in self.findings.standing.values()
        ]  # fmt: skip

    @property
    def active(self) -> bool:
        """Whether an incident is open or a finding is active."""
        return self.findings.open is not None or bool(self.findings.standing)

    def in_maintenance(self, ts_event: int) -> bool:
        """Whether findings of the bar that ends at ``ts_event`` have no effect on incidents."""
        return any(window.covers(ts_event - 1) for window in self.windows)

    def step(
        self, ts_event: int, found: Sequence[Finding], starts_at: int | None = None
    ) -> list[Alert]:
        """Process the findings of ``ts_event`` and return their alerts.

        A new incident starts at ``starts_at``, or at ``ts_event`` if ``starts_at`` is None.
        """
        alerts = self.resolve(ts_event)
        if not found:
            return alerts
        findings = self.findings
        for finding in found:
            findings.standing[finding.feature] = StandingFinding(finding.description, ts_event)
        if self.in_maintenance(ts_event):
            return alerts
        names = [finding.feature for finding in found]
        incident = findings.open
        if incident is None:
            begins = ts_event if starts_at is None else starts_at
            alert = self._raise("warning", begins, ts_event, found)
            findings.open = FeedIncident(alert, names, 1, ts_event)
            return [*alerts, alert]
        incident.checks += [name for name in names if name not in incident.checks]
        incident.bars += 1
        incident.last_ns = ts_event
        lasts = incident.bars >= LASTING_BARS
        if incident.alert.severity == "warning" and (lasts or len(incident.checks) > 1):
            begins = incident.alert.starts_at
            incident.alert = self._raise("critical", begins, ts_event, found)
            alerts.append(incident.alert)
        return alerts

    def resolve(self, ts_event: int) -> list[Alert]:
        """Drop findings after their quiet time, and resolve the incident after its quiet time."""
        findings = self.findings
        for name, standing in list(findings.standing.items()):
            if ts_event >= standing.last_ns + self._quiet_ns:
                del findings.standing[name]
        incident = findings.open
        if incident is None or ts_event < incident.last_ns + self._quiet_ns:
            return []
        findings.open = None
        summary = (
            f"{self._symbol}: the feed is sound again: no finding for {self._quiet_ns // 10**9} s"
        )
        return [resolved(incident.alert, incident.last_ns + self._quiet_ns, summary)]

    def _raise(
        self, severity: Severity, starts_at: int, ts_event: int, found: Sequence[Finding]
    ) -> Alert:
        found = sorted(found, key=lambda finding: -finding.score)[:MAX_EVIDENCE]
        inputs = self.inputs(ts_event)
        total = sum(finding.score for finding in found)
        return firing(
            self._symbol,
            FEED_INTEGRITY,
            VERSION,
            severity,
            starts_at,
            ts_event,
            score=found[0].score,
            p_value=min(finding.p_value for finding in found),
            evidence=[
                Evidence(FEED_INTEGRITY, f.feature, f.value, f.expected, f.score / total)
                for f in found
            ],
            summary=f"{self._symbol}: {'; '.join(inputs)}",
            inputs=inputs,
        )
