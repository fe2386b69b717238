"""Feed incidents: findings about a symbol's feed, separate from the market's incidents.

An incident opens with the first finding. It becomes critical when another check joins or when it
lasts. It resolves after a quiet time, so an intermittent fault is one incident. A check that
returns for the third time within a day is a standing condition: it has one incident of its own,
which resolves after a day without a finding.
"""

from collections.abc import Sequence

from msgspec import Struct, field

from detectors.feed.findings import Finding
from detectors.feed.partial_book import PARTIAL_BOOK
from detectors.incidents.alerts import (
    MAX_EVIDENCE,
    Alert,
    Evidence,
    Reason,
    Severity,
    ended,
    firing,
    resolved,
)
from detectors.incidents.kind import FEED_INTEGRITY
from detectors.incidents.suppression import Window
from detectors.market_data.events import LATEST_NS

VERSION = 1

LASTING_BARS = 60
"""The number of bars with a finding that makes an incident critical."""

STANDING_NS = 86_400_000_000_000
"""The time in which a check must return `STANDING_RETURNS` times to be a standing condition, and
the time without a finding after which it is no longer one."""

STANDING_RETURNS = 3

EXPLAINED = frozenset({PARTIAL_BOOK})
"""The checks that are standing conditions from their first finding. They have an explanation and
are never critical."""

_STANDING_VERSION = -1
"""Separates the id of a standing incident from one that opens at the same time."""

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
    """The open incidents and the active findings of a symbol's feed; part of a snapshot.

    ``condition`` is the incident of the standing conditions. ``returns`` holds, by check, the last
    times at which the check found something after a quiet time, at most `STANDING_RETURNS`.
    """

    open: FeedIncident | None = None
    standing: dict[str, StandingFinding] = {}
    condition: FeedIncident | None = None
    returns: dict[str, list[int]] = {}

    @property
    def incidents(self) -> list[FeedIncident]:
        """The open incidents: of the feed's faults, and of its standing conditions."""
        return [its for its in (self.open, self.condition) if its is not None]

    def is_standing(self, check: str) -> bool:
        """Whether a check is a standing condition."""
        return check in EXPLAINED or len(self.returns.get(check, ())) >= STANDING_RETURNS


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
        """Return the recent findings about the symbol's inputs at ``ts_event``; empty without any.

        A finding counts for the quiet time of the incident, because a lost event leaves the book
        wrong.
        """
        return [
            finding.description if age < ONGOING_NS
            else f"{finding.description}, {age // 10**9} s ago"
            for finding in self.findings.standing.values()
            if (age := ts_event - finding.last_ns) < self._quiet_ns
        ]  # fmt: skip

    @property
    def distrusted_until_ns(self) -> int:
        """When the data can be trusted again, in nanoseconds of event time; 0: it can.

        A check with an explanation is a property of the feed, and no fault of its data.
        """
        standing = self.findings.standing.items()
        faults = (its.last_ns for name, its in standing if name not in EXPLAINED)
        return max((last_ns + self._quiet_ns for last_ns in faults), default=0)

    @property
    def active(self) -> bool:
        """Whether an incident is open or a finding is active."""
        findings = self.findings
        return bool(findings.open or findings.condition or findings.standing)

    def in_maintenance(self, ts_event: int) -> bool:
        """Whether findings of the bar that ends at ``ts_event`` have no effect on incidents."""
        return any(window.suppresses(ts_event - 1) for window in self.windows)

    def step(
        self,
        ts_event: int,
        found: Sequence[Finding],
        starts_at: int | None = None,
        *,
        escalates: bool = True,
    ) -> list[Alert]:
        """Process the findings of ``ts_event`` and return their alerts.

        A new incident starts at ``starts_at``, or at ``ts_event`` if ``starts_at`` is None. Bars
        and checks count towards a critical incident only if it ``escalates``.
        """
        if not found and not self.active:
            return []
        alerts = self.resolve(ts_event)
        if not found:
            return alerts
        for finding in found:
            self._note(finding, ts_event)
        if self.in_maintenance(ts_event):
            return alerts
        is_standing = self.findings.is_standing
        faults = [finding for finding in found if not is_standing(finding.feature)]
        conditions = [finding for finding in found if is_standing(finding.feature)]
        if faults:
            alerts += self._fault(ts_event, faults, starts_at, escalates=escalates)
        if conditions:
            alerts += self._condition(ts_event, conditions, starts_at)
        return alerts

    def resolve(self, ts_event: int) -> list[Alert]:
        """Drop findings after their quiet time, and resolve incidents after their quiet time."""
        findings, quiet_ns = self.findings, self._quiet_ns
        for name, standing in list(findings.standing.items()):
            condition = findings.is_standing(name)
            if ts_event >= standing.last_ns + (STANDING_NS if condition else quiet_ns):
                del findings.standing[name]
                if condition:
                    findings.returns.pop(name, None)
        alerts = []
        incident = findings.open
        if incident is not None and ts_event >= incident.last_ns + quiet_ns:
            findings.open = None
            alerts.append(self._resolved(incident, quiet_ns))
        incident = findings.condition
        if incident is not None and ts_event >= incident.last_ns + STANDING_NS:
            findings.condition = None
            alerts.append(self._resolved(incident, STANDING_NS))
        return alerts

    @property
    def resolves_ns(self) -> int:
        """When the first open incident resolves without a further finding; else `LATEST_NS`."""
        findings, ends = self.findings, [LATEST_NS]
        if findings.open is not None:
            ends.append(findings.open.last_ns + self._quiet_ns)
        if findings.condition is not None:
            ends.append(findings.condition.last_ns + STANDING_NS)
        return min(ends)

    def _note(self, finding: Finding, ts_event: int) -> None:
        """Record a finding, and whether its check returned after a quiet time."""
        findings, name = self.findings, finding.feature
        known = findings.standing.get(name)
        if known is None or ts_event >= known.last_ns + self._quiet_ns:
            recent = [at for at in findings.returns.get(name, ()) if at > ts_event - STANDING_NS]
            if not findings.is_standing(name):
                findings.returns[name] = [*recent, ts_event]
        findings.standing[name] = StandingFinding(finding.description, ts_event)

    def _fault(
        self,
        ts_event: int,
        found: Sequence[Finding],
        starts_at: int | None,
        *,
        escalates: bool,
    ) -> list[Alert]:
        names = [finding.feature for finding in found]
        incident = self.findings.open
        if incident is None:
            begins = ts_event if starts_at is None else starts_at
            alert = self._raise("warning", begins, ts_event, found)
            self.findings.open = FeedIncident(alert, names, 1, ts_event)
            return [alert]
        incident.last_ns = ts_event
        if not escalates:
            return []
        incident.checks += [name for name in names if name not in incident.checks]
        incident.bars += 1
        lasts = incident.bars >= LASTING_BARS
        if incident.alert.severity == "warning" and (lasts or len(incident.checks) > 1):
            begins = incident.alert.starts_at
            incident.alert = self._raise("critical", begins, ts_event, found, reason="severity")
            return [incident.alert]
        return []

    def _condition(
        self, ts_event: int, found: Sequence[Finding], starts_at: int | None
    ) -> list[Alert]:
        """Open the incident of the standing conditions, or prolong it.

        It becomes critical once, if a check without an explanation lasts.
        """
        incident = self.findings.condition
        if incident is None:
            begins = ts_event if starts_at is None else starts_at
            alert = self._raise("warning", begins, ts_event, found, standing=True)
            names = [finding.feature for finding in found]
            self.findings.condition = FeedIncident(alert, names, 1, ts_event)
            return [alert]
        faults = [finding for finding in found if finding.feature not in EXPLAINED]
        if ts_event >= incident.last_ns + self._quiet_ns:
            incident.bars = 0
        incident.bars += bool(faults)
        incident.last_ns = ts_event
        new = [its.feature for its in found if its.feature not in incident.checks]
        incident.checks += new
        if incident.alert.severity == "warning" and incident.bars >= LASTING_BARS:
            begins = incident.alert.starts_at
            incident.alert = self._raise(
                "critical", begins, ts_event, faults, standing=True, reason="severity"
            )
            return [incident.alert]
        return []

    def _resolved(self, incident: FeedIncident, quiet_ns: int) -> Alert:
        summary = f"{self._symbol}: the feed is sound again: no finding for {quiet_ns // 10**9} s"
        return resolved(incident.alert, incident.last_ns + quiet_ns, summary)

    def end(self, ts_event: int, why: str) -> list[Alert]:
        """Drop all findings and resolve the incidents, whatever their quiet time."""
        incidents = self.findings.incidents
        self.findings.open = self.findings.condition = None
        self.findings.standing.clear()
        return [ended(its.alert, ts_event, why) for its in incidents]

    def _raise(
        self,
        severity: Severity,
        starts_at: int,
        ts_event: int,
        found: Sequence[Finding],
        *,
        standing: bool = False,
        reason: Reason = "opened",
    ) -> Alert:
        found = sorted(found, key=lambda finding: -finding.score)[:MAX_EVIDENCE]
        inputs = self.inputs(ts_event)
        total = sum(finding.score for finding in found)
        text = (
            "; ".join(finding.description for finding in found) if standing else "; ".join(inputs)
        )
        if standing and any(finding.feature not in EXPLAINED for finding in found):
            text += ". It returned several times within a day: one incident until a day without it"
        return firing(
            self._symbol,
            FEED_INTEGRITY,
            _STANDING_VERSION if standing else VERSION,
            severity,
            starts_at,
            ts_event,
            score=found[0].score,
            p_value=min(finding.p_value for finding in found),
            evidence=[
                Evidence(FEED_INTEGRITY, f.feature, f.value, f.expected, f.score / total)
                for f in found
            ],
            summary=f"{self._symbol}: {text}",
            inputs=inputs,
            reason=reason,
        )
