"""One symbol's feed at work: what the hot path writes, what is found in it, told of and counted."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from detectors.bar import Flow
from detectors.book import Book
from detectors.events import Reference
from detectors.feed import LOST, Feed, FeedState, Problem
from detectors.feed_incidents import NAME, FeedFindings, FeedIncidents
from detectors.incidents import Alert
from detectors.parameters import Parameters
from detectors.suppression import ReasonKind, Window, limits
from detectors.suppressor import SuppressedAlarms

MAINTENANCE: tuple[str, ReasonKind] = (NAME, "maintenance")


class FeedCounts(Struct):
    """What was found against the feeds of some symbols; it only grows.

    ``findings`` are bars with a finding, by check; ``lost_events`` are missing by their numbers.
    """

    findings: dict[str, int] = {}
    lost_events: int = 0


class FeedWatch:
    """The feed of one symbol, and what stands against it.

    Parameters
    ----------
    symbol
        Whose it is.
    parameters
        How it is watched.
    counts, suppressed
        Where to count; symbols may share it.

    Attributes
    ----------
    numbering, seen
        What events write to: their numbers, and a count by `Kind` of what no bar's flow has.
    due_ns
        The event time at which, without another event, the symbol may be silent.
    """

    __slots__ = (
        "_bar_ns",
        "_counts",
        "_feed",
        "_incidents",
        "_suppressed",
        "due_ns",
        "numbering",
        "seen",
    )

    def __init__(
        self,
        symbol: str,
        parameters: Parameters,
        counts: FeedCounts,
        suppressed: SuppressedAlarms,
    ) -> None:
        self._bar_ns = parameters.bar_ns
        self._counts = counts
        self._suppressed = suppressed
        self._feed = Feed(parameters.feed, parameters.bar_ns)
        self._incidents = FeedIncidents(
            symbol, parameters.feed.quiet_ns, _windows(symbol, parameters)
        )
        self.restore(self._feed.state, self._incidents.findings)

    @property
    def state(self) -> FeedState:
        """What is known of the feed; a snapshot keeps it."""
        return self._feed.state

    @property
    def findings(self) -> FeedFindings:
        """What stands against it; a snapshot keeps it."""
        return self._incidents.findings

    @property
    def active(self) -> bool:
        """Whether an incident is open or something stands."""
        return self._incidents.active

    def restore(self, state: FeedState, findings: FeedFindings) -> None:
        """Take over what a snapshot knew."""
        self._feed.restore(state)
        self._incidents.findings = findings
        self.numbering, self.seen = state.numbering, state.seen
        self.due_ns = self._feed.due_ns

    def reconfigure(self, symbol: str, parameters: Parameters) -> None:
        """Check by other limits and windows from now on; what was found stays."""
        self._feed.limit(parameters.feed)
        self.due_ns = self._feed.due_ns
        self._incidents.windows = _windows(symbol, parameters)

    def moved(self, reference: Reference) -> None:
        """Take a reference that has arrived."""
        self._feed.moved(reference)

    def arrived_late(self, flow: Flow) -> None:
        """Take what came too late for its bar: its stream is not silent."""
        self._feed.add(flow)

    def inputs(self, ts_event: int) -> list[str]:
        """Why the symbol's inputs are not to be trusted at ``ts_event``; nothing where they are."""
        return self._incidents.inputs(ts_event)

    def close_bar(
        self, ends_at: int, elapsed: int, book: Book, flow: Flow, delays: Mapping[str, float]
    ) -> list[Alert]:
        """Check the bar that ends at ``ends_at``, see `Feed.close_bar`; the alerts it gives."""
        problems = self._feed.close_bar(ends_at, elapsed, book, flow, delays)
        self.due_ns = self._feed.due_ns
        return self._found(ends_at, problems)

    def mind_silence(self, at_ns: int, others_since_ns: int) -> list[Alert]:
        """See whether the symbol is silent at ``at_ns`` while others have moved since then."""
        problem = self._feed.silent(at_ns, others_since_ns)
        if problem is None:
            return []
        # The same incident begins where its silence does, whenever that is noticed.
        return self._found(at_ns, [problem], self.state.last_bar_ns + self._bar_ns)

    def resolve(self, ts_event: int) -> list[Alert]:
        """Forget what has not been found for long enough at ``ts_event``."""
        return self._incidents.resolve(ts_event)

    def _found(
        self, ts_event: int, problems: Sequence[Problem], starts_at: int | None = None
    ) -> list[Alert]:
        found = self._counts.findings
        for problem in problems:
            found[problem.feature] = found.get(problem.feature, 0) + 1
            if problem.feature == LOST:
                self._counts.lost_events += round(problem.value)
        if problems and self._incidents.in_maintenance(ts_event):
            self._suppressed[MAINTENANCE] = self._suppressed.get(MAINTENANCE, 0) + 1
        return self._incidents.step(ts_event, problems, starts_at)


def _windows(symbol: str, parameters: Parameters) -> tuple[Window, ...]:
    return limits(parameters.suppression, symbol, NAME).windows
