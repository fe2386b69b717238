"""The risk of liquidations of a venue, from topics of all partitions aligned in event time.

This module does no I/O and never waits, like `service.pipeline.task`. A task that takes over reads
again what it needs: output up to what was published before is computed again and withheld.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from msgspec import Struct

from detectors.conduct.monitor import Published
from detectors.conduct.venue_monitor import VenueMonitor
from detectors.incidents.alerts import Alert
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Event, Late
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.monitor import RiskInput, RiskMonitor
from detectors.risk_watch.output import RiskOutput
from detectors.risk_watch.records import RiskRecord
from service.pipeline.align import Aligner


class SignalBook(Struct):
    """What the risk needs of a signal; the other fields are ignored."""

    symbol: str
    ts_event: int
    book: BookSummary | None = None


class PublishedStatement(Struct):
    """What is needed of a statement that was published before; its key is that of its record."""

    symbol: str
    ts_event: int


class _Placed(Struct):
    """An event or a summary with its place in the sequence, as the aligner wants it."""

    ts_event: int
    sequence: int | None
    symbol: str
    its: Any


class RiskTask:
    """Aligns the streams that the risk needs, and feeds a monitor.

    Parameters
    ----------
    streams
        The names of the topic partitions, in the order that decides between events of one time.
    venue
        A new monitor.
    max_disorder_ns, max_waiting
        See `Aligner`.

    Attributes
    ----------
    aligner
        The aligner.
    partitions
        The partition number from which each symbol was last read.
    """

    def __init__(
        self, streams: Sequence[str], venue: VenueMonitor, max_disorder_ns: int, max_waiting: int
    ) -> None:
        self.aligner = Aligner(streams, max_disorder_ns, max_waiting)
        self.venue = venue
        self.partitions: dict[str, int] = {}

    @property
    def monitor(self) -> RiskMonitor:
        """The monitor of the risk of liquidations."""
        return self.venue.risk

    def resume(
        self,
        records: Iterable[RiskRecord],
        alerts: Iterable[Alert],
        memories: Iterable[Memory] = (),
        statements: Published | None = None,
    ) -> None:
        """Continue after what was published before, in any order; call this before `feed`.

        ``statements`` are the newest of those.

        What comes up to its newest event time is withheld. An incident that is open by its last
        alert stays open, and what was learned goes on from the memories.
        """
        self.venue.resume(records, alerts, memories, statements)

    def feed(
        self,
        stream: str,
        partition: int,
        events: Sequence[RiskInput | SignalBook],
        *,
        first_offset: int,
        next_offset: int,
    ) -> None:
        """Take the events of the records [first_offset, next_offset) of a topic partition."""
        placed = [_placed(its) for its in events]
        for each in placed:
            if each.symbol:
                self.partitions[each.symbol] = partition
        self.aligner.feed(
            stream,
            cast("list[Event]", placed),
            first_offset=first_offset,
            next_offset=next_offset,
        )

    def advance(self) -> RiskOutput:
        """Take the released events, and return what is to be published."""
        output = RiskOutput()
        monitor = self.venue
        for released in self.aligner.release():
            # A late one has the earliest place that is left: the monitor does not go back.
            placed = released.event if isinstance(released, Late) else released
            its = cast("_Placed", placed).its
            if not isinstance(its, SignalBook):
                more = monitor.take(its)
            elif its.book is not None:
                more = monitor.summarise(its.symbol, its.ts_event, its.book)
            else:
                continue
            output.join(more)
        more = monitor.close_until(self.aligner.watermark_ns)
        output.join(more)
        return output


def _placed(its: RiskInput | SignalBook) -> _Placed:
    """Return an event at its time, and a summary just before the end of its bar."""
    if isinstance(its, SignalBook):
        return _Placed(its.ts_event - 1, None, its.symbol, its)
    return _Placed(its.ts_event, its.sequence, getattr(its, "symbol", ""), its)
