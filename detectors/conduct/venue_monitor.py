"""The risk of liquidations of a venue and the venue's conduct, followed together."""

from collections.abc import Iterable

from detectors.conduct.detector import Scene
from detectors.conduct.monitor import SECOND_NS, ConductMonitor, Published
from detectors.incidents.alerts import Alert
from detectors.incidents.suppression import Suppression
from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.monitor import RiskInput, RiskMonitor
from detectors.risk_watch.output import RiskOutput
from detectors.risk_watch.records import RiskRecord

GAP_NS = 1_800_000_000_000
"""A gap without any event that is longer than this is closed in one step."""


class VenueMonitor:
    """Both watches over a venue, one second after the other.

    Events and summaries come in the order of event time. A second is closed when something of a
    later one comes. The conduct is judged by the positions as they are at the end of the second.

    Parameters
    ----------
    risk, conduct
        New monitors.
    """

    def __init__(self, risk: RiskMonitor, conduct: ConductMonitor) -> None:
        self.risk = risk
        self.conduct = conduct

    @property
    def open_alerts(self) -> list[Alert]:
        """The last alert of each open incident."""
        return [*self.risk.open_alerts, *self.conduct.open_alerts]

    def reconfigure(self, suppression: Suppression) -> None:
        """Apply other maintenance windows."""
        self.risk.suppression = self.conduct.suppression = suppression

    def resume(
        self,
        records: Iterable[RiskRecord],
        alerts: Iterable[Alert],
        memories: Iterable[Memory] = (),
        published: Published | None = None,
    ) -> None:
        """Continue where another monitor stopped; see the ``resume`` of both."""
        alerts = list(alerts)
        self.risk.resume(records, alerts, memories)
        its = self.risk
        self.conduct.resume(alerts, published or {}, its.published_ns, its.newest_memories)

    def go_live(self) -> None:
        """Take over what was published before, if not yet: nothing is withheld from now on."""
        self.risk.go_live()
        self.conduct.go_live()

    def take(self, event: RiskInput) -> RiskOutput:
        """Take an event, and return what the seconds before it give."""
        output = self.close_until(event.ts_event)
        self.conduct.take(event, self._scene())
        output.join(self.risk.take(event))
        return output

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> RiskOutput:
        """Take the summary of the bar that ends at ``ends_at``; return what is before it."""
        output = self.close_until(ends_at - 1)
        self.conduct.summarise(symbol, ends_at, self.risk.in_quote_currency(symbol, summary))
        output.join(self.risk.summarise(symbol, ends_at, summary))
        return output

    def close_until(self, ts_event: int) -> RiskOutput:
        """Close the seconds that end at ``ts_event`` or before."""
        until = ts_event // SECOND_NS * SECOND_NS
        risk, output = self.risk, RiskOutput()
        if not risk.closed_ns or until - risk.closed_ns > GAP_NS:
            self._close(until, output)
        while risk.closed_ns < until:
            self._close(risk.closed_ns + SECOND_NS, output)
        return output

    def _close(self, until: int, output: RiskOutput) -> None:
        its = self.risk.close_until(until)
        self.conduct.close(self.risk.closed_ns, self._scene(), its)
        for memory in its.memories:
            memory.conduct = self.conduct.memory(memory.symbol)
        output.join(its)

    def _scene(self) -> Scene:
        risk = self.risk
        return Scene(risk.holdings, risk.books, risk.learned, risk.assessments)
