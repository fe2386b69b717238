"""Findings about a symbol's feed as incidents of their own, apart from the market's.

An incident opens with the first finding, becomes critical when another check joins or when it
lasts, and resolves after a quiet time: a feed that comes and goes is one incident.
"""

from collections.abc import Sequence

from msgspec import Struct, field

from detectors.feed.checks import Finding
from detectors.incidents.alerts import MAX_EVIDENCE, Alert, Evidence, Severity, firing, resolved
from detectors.incidents.kind import FEED_INTEGRITY
from detectors.incidents.suppression import Window

VERSION = 1

LASTING_BARS = 60
"""Bars with a finding that make an incident critical."""

JUST_NOW_NS = 5_000_000_000
"""What was found no longer ago than this is told as if it were going on."""


class StandingFinding(Struct):
    """A finding that stands, in words, and when it was last found."""

    description: str = field(name="words")
    last_ns: int


class FeedIncident(Struct):
    """An open incident; ``alert`` is the last that was raised for it."""

    alert: Alert
    checks: list[str]
    bars: int
    last_ns: int


class FeedFindings(Struct):
    """What stands against a symbol's feed; a snapshot keeps it as it is."""

    open: FeedIncident | None = None
    standing: dict[str, StandingFinding] = {}


class FeedIncidents:
    """The feed incidents of one symbol, one at a time.

    Parameters
    ----------
    symbol
        Whose they are.
    quiet_ns
        An incident resolves after so much event time without a finding.
    windows
        Maintenance, in which none is opened, escalated or prolonged.
    """

    __slots__ = ("_quiet_ns", "_symbol", "findings", "windows")

    def __init__(self, symbol: str, quiet_ns: int, windows: Sequence[Window]) -> None:
        self._symbol = symbol
        self._quiet_ns = quiet_ns
        self.windows = windows
        self.findings = FeedFindings()

    def inputs(self, ts_event: int) -> list[str]:
        """Why the symbol's inputs are not to be trusted at ``ts_event``; nothing where they are.

        What was found a while ago stands as long as the incident: a book that lost an event goes
        on without it.
        """
        return [
            its.description if (ago := ts_event - its.last_ns) < JUST_NOW_NS
            else f"{its.description}, {ago // 10**9} s ago"
            for its in self.findings.standing.values()
        ]  # fmt: skip

    @property
    def active(self) -> bool:
        """Whether an incident is open or something stands."""
        return self.findings.open is not None or bool(self.findings.standing)

    def in_maintenance(self, ts_event: int) -> bool:
        """Whether findings of the bar that ends now are to have no effect on incidents."""
        return any(window.covers(ts_event - 1) for window in self.windows)

    def step(
        self, ts_event: int, found: Sequence[Finding], starts_at: int | None = None
    ) -> list[Alert]:
        """Take in what was found at ``ts_event``; the alerts it gives rise to.

        An incident that opens starts at ``starts_at``, or at ``ts_event`` if None.
        """
        alerts = self.resolve(ts_event)
        if not found:
            return alerts
        findings = self.findings
        for its in found:
            findings.standing[its.feature] = StandingFinding(its.description, ts_event)
        if self.in_maintenance(ts_event):
            return alerts
        names = [its.feature for its in found]
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
        """Forget what has not been found for long enough; resolve the incident with the last."""
        findings = self.findings
        for name, standing in list(findings.standing.items()):
            if ts_event >= standing.last_ns + self._quiet_ns:
                del findings.standing[name]
        incident = findings.open
        if incident is None or ts_event < incident.last_ns + self._quiet_ns:
            return []
        findings.open = None
        summary = (
            f"{self._symbol}: the feed is sound again, nothing found for"
            f" {self._quiet_ns // 10**9} s"
        )
        return [resolved(incident.alert, incident.last_ns + self._quiet_ns, summary)]

    def _raise(
        self, severity: Severity, starts_at: int, ts_event: int, found: Sequence[Finding]
    ) -> Alert:
        found = sorted(found, key=lambda its: -its.score)[:MAX_EVIDENCE]
        inputs = self.inputs(ts_event)
        total = sum(its.score for its in found)
        return firing(
            self._symbol,
            FEED_INTEGRITY,
            VERSION,
            severity,
            starts_at,
            ts_event,
            score=found[0].score,
            p_value=min(its.p_value for its in found),
            evidence=[
                Evidence(FEED_INTEGRITY, its.feature, its.value, its.expected, its.score / total)
                for its in found
            ],
            summary=f"{self._symbol}: {'; '.join(inputs)}",
            inputs=inputs,
        )
