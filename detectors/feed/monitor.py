"""One symbol's feed at work: what the hot path writes, what is found in it, told of and counted."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from detectors.feed.checks import LOST, Feed, FeedLimits, FeedState, Finding
from detectors.feed.incidents import FeedFindings, FeedIncidents
from detectors.incidents.alerts import Alert
from detectors.incidents.kind import FEED_INTEGRITY
from detectors.incidents.suppression import ReasonKind, Suppression, Window, limits
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.market_data.bar import Flow
from detectors.market_data.book import Book

MAINTENANCE: tuple[str, ReasonKind] = (FEED_INTEGRITY, "maintenance")


class FeedCounts(Struct):
    """What was found against the feeds of some symbols; it only grows.

    ``findings`` are bars with a finding, by check; ``lost_events`` are missing by their numbers.
    """

    findings: dict[str, int] = {}
    lost_events: int = 0


class FeedMonitor:
    """The feed of one symbol, and what stands against it.

    Parameters
    ----------
    symbol
        Whose it is.
    bar_ns
        The length of a bar, in nanoseconds.
    feed_limits
        What counts against a feed.
    suppression
        Whose maintenance windows suppress incidents of the feed.
    counts, suppressed
        Where to count; symbols may share it.

    Attributes
    ----------
    checks, incidents
        What is known of it, and what stands against it.
    numbering, seen
        What events write to: their numbers, and a count by `Kind` of what no bar's flow has.
    """

    __slots__ = (
        "_bar_ns",
        "_counts",
        "_suppressed",
        "checks",
        "incidents",
        "numbering",
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
    ) -> None:
        self._bar_ns = bar_ns
        self._counts = counts
        self._suppressed = suppressed
        self.checks = Feed(feed_limits, bar_ns)
        self.incidents = FeedIncidents(symbol, feed_limits.quiet_ns, _windows(symbol, suppression))
        self.restore(self.checks.state, self.incidents.findings)

    @property
    def state(self) -> FeedState:
        """What is known of the feed; a snapshot keeps it."""
        return self.checks.state

    @property
    def findings(self) -> FeedFindings:
        """What stands against it; a snapshot keeps it."""
        return self.incidents.findings

    @property
    def active(self) -> bool:
        """Whether an incident is open or something stands."""
        return self.incidents.active

    def restore(self, state: FeedState, findings: FeedFindings) -> None:
        """Take over what a snapshot knew."""
        self.checks.restore(state)
        self.incidents.findings = findings
        self.numbering, self.seen = state.numbering, state.seen

    def reconfigure(self, symbol: str, feed_limits: FeedLimits, suppression: Suppression) -> None:
        """Check by other limits and windows from now on; what was found stays."""
        self.checks.limit(feed_limits)
        self.incidents.windows = _windows(symbol, suppression)

    def inputs(self, ts_event: int) -> list[str]:
        """Why the symbol's inputs are not to be trusted at ``ts_event``; nothing where they are."""
        return self.incidents.inputs(ts_event)

    def close_bar(
        self, ends_at: int, elapsed: int, book: Book, flow: Flow, delays: Mapping[str, float]
    ) -> list[Alert]:
        """Check the bar that ends at ``ends_at``, see `Feed.close_bar`; the alerts it gives."""
        return self._found(ends_at, self.checks.close_bar(ends_at, elapsed, book, flow, delays))

    def check_silence(self, at_ns: int, others_since_ns: int) -> list[Alert]:
        """See whether the symbol is silent at ``at_ns`` while others have moved since then."""
        finding = self.checks.silent(at_ns, others_since_ns)
        if finding is None:
            return []
        # The same incident begins where its silence does, whenever that is noticed.
        return self._found(at_ns, [finding], self.state.last_bar_ns + self._bar_ns)

    def _found(
        self, ts_event: int, findings: Sequence[Finding], starts_at: int | None = None
    ) -> list[Alert]:
        counts = self._counts
        for its in findings:
            counts.findings[its.feature] = counts.findings.get(its.feature, 0) + 1
            if its.feature == LOST:
                counts.lost_events += round(its.value)
        if findings and self.incidents.in_maintenance(ts_event):
            self._suppressed[MAINTENANCE] = self._suppressed.get(MAINTENANCE, 0) + 1
        return self.incidents.step(ts_event, findings, starts_at)


def _windows(symbol: str, suppression: Suppression) -> tuple[Window, ...]:
    return limits(suppression, symbol, FEED_INTEGRITY).windows
