"""A detector of a venue's conduct that holds while the mark price is above 100."""

from msgspec import Struct

from detectors.conduct.incident import Verdict
from detectors.conduct.monitor import ConductMonitor
from detectors.conduct.venue_monitor import VenueMonitor
from detectors.incidents.alerts import Evidence
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput, Statement
from tests.risk_watch.venue import BEGIN, SECOND, reference


class Count(Struct):
    references: int


class Record(Struct):
    symbol: str
    ts_event: int


class Spread:
    """Holds while the mark price is above 100; states each reference."""

    name, version, quiet_ns, over = "spread", 1, 5 * SECOND, "the price is back"
    needs = ("references",)

    remembered = Count

    def __init__(self):
        self.statements = []
        self.mark = {}
        self.references = {}
        self.summaries = []

    def take(self, event, _scene):
        self.mark[event.symbol] = event.mark_price
        self.references[event.symbol] = self.references.get(event.symbol, 0) + 1
        record = Record(event.symbol, event.ts_event)
        self.statements.append(
            Statement(
                "parameter_changes", event.symbol, event.ts_event, str(event.mark_price), record
            )
        )

    def summarise(self, _symbol, _ends_at, summary):
        self.summaries.append(summary)

    def memory(self, symbol):
        count = self.references.get(symbol)
        return None if count is None else Count(count)

    def restore(self, symbol, state):
        self.references[symbol] = state.references

    def judge(self, _ts_event, _scene):
        return {
            symbol: Verdict(
                "critical" if mark > 300.0 else "warning",
                mark - 100.0,
                None,
                [Evidence(self.name, "mark", mark, 100.0, 1.0)],
                f"the price is {mark:g}",
            )
            for symbol, mark in self.mark.items()
            if mark > 100.0
        }


def spread_monitor(**options):
    return VenueMonitor(RiskMonitor(), ConductMonitor([Spread()], **options))


def run(venue, path, until, output=None):
    """Give the monitor the mark prices at these seconds, and close up to a second."""
    output = output or RiskOutput()
    for second, mark in path.items():
        output.join(venue.take(reference(at=BEGIN + second * SECOND, mark=mark)))
    output.join(venue.close_until(BEGIN + until * SECOND))
    return output
