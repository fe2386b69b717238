"""The feed monitor of one symbol: inputs from the hot path, checks, incidents and counters."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from detectors.feed.checks import Feed, FeedBar, FeedLimits, FeedState
from detectors.feed.findings import LOST, Finding
from detectors.feed.incidents import FeedFindings, FeedIncidents
from detectors.feed.silence import Silences
from detectors.incidents.alerts import Alert
from detectors.incidents.kind import FEED_INTEGRITY
from detectors.incidents.suppression import ReasonKind, Suppression, Window, limits
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.market_data.book import Book
from detectors.market_data.flow import Flow
from detectors.venue.trading import CONTINUOUS, BarTrading

MAINTENANCE: tuple[str, ReasonKind] = (FEED_INTEGRITY, "maintenance")


class FeedCounts(Struct):
    """Counters of the feed findings of some symbols; they only grow.

    ``findings`` counts bars with a finding, by check. ``lost_events`` counts events that are
    missing by their sequence numbers.
    """

    findings: dict[str, int] = {}
    lost_events: int = 0


class FeedMonitor:
    """The feed of one symbol, and its findings.

    Parameters
    ----------
    symbol
        The symbol of the feed.
    bar_ns
        The length of a bar, in nanoseconds.
    feed_limits
        The limits of the feed checks.
    suppression
        The suppression whose maintenance windows apply to feed incidents.
    counts, suppressed
        The counters to increment; symbols may share them.
    silences, row
        See `Feed`.

    Attributes
    ----------
    checks, incidents
        The checks of the feed, and its incidents.
    numbering, seen, partial_book
        The state that event handlers update: the sequence numbers, the corrections to the event
        counts by `Kind`, see `FeedState`, and the evidence for a partial book.
    """

    __slots__ = (
        "_bar_ns",
        "_counts",
        "_suppressed",
        "checks",
        "incidents",
        "numbering",
        "partial_book",
        "seen",
    )

    def __init__(
        self,
        symbol: str,
        bar_ns: int,
        feed_limits: FeedLimits,
        suppression: Suppression,
        counts: FeedCounts,
        suppressed: SuppressedAlarms,
        silences: Silences,
        row: int,
    ) -> None:
        self._bar_ns = bar_ns
        self._counts = counts
        self._suppressed = suppressed
        self.checks = Feed(feed_limits, bar_ns, silences, row)
        self.incidents = FeedIncidents(symbol, feed_limits.quiet_ns, _windows(symbol, suppression))
        self.restore(self.checks.state, self.incidents.findings)

    @property
    def state(self) -> FeedState:
        """The state of the feed; part of a snapshot."""
        return self.checks.state

    @property
    def findings(self) -> FeedFindings:
        """The open incident and the active findings; part of a snapshot."""
        return self.incidents.findings

    @property
    def active(self) -> bool:
        """Whether an incident is open or a finding is active."""
        return self.incidents.active

    def restore(self, state: FeedState, findings: FeedFindings) -> None:
        """Continue from the state of a snapshot."""
        self.checks.restore(state)
        self.incidents.findings = findings
        self.numbering, self.seen = state.numbering, state.seen
        self.partial_book = state.partial_book

    def reconfigure(self, symbol: str, feed_limits: FeedLimits, suppression: Suppression) -> None:
        """Use other limits and windows from now on; the findings stay."""
        self.checks.limit(feed_limits)
        self.incidents.windows = _windows(symbol, suppression)

    def inputs(self, ts_event: int) -> list[str]:
        """Return the active findings about the symbol's inputs, see `FeedIncidents.inputs`."""
        return self.incidents.inputs(ts_event)

    def end_bar(
        self,
        ends_at: int,
        elapsed: int,
        book: Book,
        flow: Flow,
        delays: Mapping[str, float],
        trading: BarTrading = CONTINUOUS,
    ) -> FeedBar:
        """End the bar that ends at ``ends_at``, see `Feed.end_bar`."""
        incidents = self.incidents
        if incidents.windows:
            last_bar_ns = self.state.last_bar_ns
            if incidents.in_maintenance(last_bar_ns) > incidents.in_maintenance(ends_at):
                self.checks.reopen()
        return self.checks.end_bar(ends_at, elapsed, book, flow, delays, trading)

    def conclude(
        self, ends_at: int, ended: FeedBar, *, may_be_silent: bool, escalates: bool
    ) -> list[Alert]:
        """Return the alerts of a bar that has ended, see `Feed.findings`."""
        findings = self.checks.findings(ended, may_be_silent=may_be_silent)
        if not findings and not self.active:
            return []
        return self._found(ends_at, findings, escalates=escalates)

    def silence(self, at_ns: int, others_since_ns: int) -> Finding | None:
        """Return a finding if the symbol is silent at ``at_ns``, see `Feed.silent`."""
        return self.checks.silent(at_ns, others_since_ns)

    def report_silence(self, at_ns: int, finding: Finding) -> list[Alert]:
        """Process a finding about a silent symbol and return its alerts."""
        # The incident starts with the silence, not with its detection: the id stays the same.
        return self._found(at_ns, [finding], self.state.last_bar_ns + self._bar_ns)

    def _found(
        self,
        ts_event: int,
        findings: Sequence[Finding],
        starts_at: int | None = None,
        *,
        escalates: bool = True,
    ) -> list[Alert]:
        counts = self._counts
        for finding in findings:
            counts.findings[finding.feature] = counts.findings.get(finding.feature, 0) + 1
            if finding.feature == LOST:
                counts.lost_events += round(finding.value)
        if findings and self.incidents.in_maintenance(ts_event):
            self._suppressed[MAINTENANCE] = self._suppressed.get(MAINTENANCE, 0) + 1
        return self.incidents.step(ts_event, findings, starts_at, escalates=escalates)


def _windows(symbol: str, suppression: Suppression) -> tuple[Window, ...]:
    return limits(suppression, symbol, FEED_INTEGRITY).windows
