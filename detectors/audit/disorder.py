"""Whether the events of a stream come in the order of their times."""

from collections.abc import Iterable, Iterator

from detectors.audit.outcome import Case, Tally
from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent, RiskEvent


def watched(
    name: str, events: Iterable[Event | RiskEvent | AuditEvent], tally: Tally
) -> Iterator[Event | RiskEvent | AuditEvent]:
    """Yield the events of a stream, and count those that are older than the one before them."""
    newest_ns = 0
    for event in events:
        if event.ts_event < newest_ns:
            back = (newest_ns - event.ts_event) / 1e9
            whose: str = getattr(event, "symbol", "")
            story = f"an event of {name} is {back:g} s older than the one before it"
            tally.breach(Case(event.ts_event, whose, "", back, 0.0, story))
        else:
            tally.held()
            newest_ns = event.ts_event
        yield event
