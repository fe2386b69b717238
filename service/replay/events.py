"""Runs events that a caller holds through the same pipeline as the service, as one sequence."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from detectors.detector import Detector
from detectors.market_data.events import LATEST_NS, Event
from service.pipeline.output import Output, Tally
from service.pipeline.wire import STREAMS
from service.plug_ins import report
from service.replay.engine import with_market_alerts
from service.settings.assembly import decoders, market_monitor, partition_task
from service.settings.types import Settings

Record = Mapping[str, Any] | bytes | str
"""One event: a row by field names, or a line of JSON."""

_SEQUENCE = "events"
"""The one topic of the task: the caller has decided the order between the streams."""


class EventRun:
    """Watches the symbols of a sequence of events.

    The events come in the order of event time. Events of the same time keep the order in which they
    are given. An event that is older than the newest by more than ``time.max_disorder_ms`` is late:
    it changes the book, and no bar.

    Parameters
    ----------
    settings
        The settings; the field names of ``wire.fields`` hold for the records.
    own
        Detectors that run beside the built-in ones and the plug-ins.
    """

    def __init__(self, settings: Settings, own: tuple[Detector, ...] = ()) -> None:
        self._decoders = decoders(settings, STREAMS)
        self.task = partition_task(settings, [_SEQUENCE], Tally(), own=own)
        self._market = market_monitor(settings)
        self._encode = msgspec.json.Encoder(enc_hook=_number).encode
        self._taken = 0

    def decode(self, records: Iterable[tuple[str, Record]]) -> list[Event]:
        """Return the events of pairs of a stream's name and a record.

        Raises
        ------
        ValueError
            A record is not a valid event of its stream, or the stream does not exist.
        """
        given = list(records)
        events: list[Event | None] = [None] * len(given)
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, (stream, _) in enumerate(given):
            if stream not in self._decoders:
                raise ValueError(f"unknown stream {stream!r}; there are {', '.join(STREAMS)}")
            places[stream].append(place)
        now_ms = time.time_ns() // 1_000_000
        for stream, its in places.items():
            lines = [self._line(stream, given[place][1]) for place in its]
            decoded = self._decoders[stream].decode(lines, [now_ms] * len(lines))
            for rejection in decoded.rejections:
                line = lines[rejection.index].decode(errors="replace")
                raise ValueError(f"{stream}: {rejection.detail}; the record is {line:.200}")
            for place, event in zip(its, decoded.events, strict=True):
                events[place] = event
        return [event for event in events if event is not None]

    def take(self, events: list[Event]) -> Output:
        """Take the next events of the sequence; return what the bars that closed have given."""
        first = self._taken
        self._taken += len(events)
        self.task.feed(_SEQUENCE, events, first_offset=first, next_offset=self._taken)
        return self._completed(self.task.advance())

    def finish(self) -> Output:
        """Close the last bar and end the incidents that are over: nothing comes any more."""
        self.task.aligner.set_idle(_SEQUENCE)
        output = self.task.advance()
        rest = self.task.rest(LATEST_NS)
        output.alerts += rest.alerts
        output.signals += rest.signals
        output.left_out += rest.left_out
        return self._completed(output)

    def _line(self, stream: str, record: Record) -> bytes:
        if isinstance(record, bytes):
            return record
        if isinstance(record, str):
            return record.encode()
        try:
            return self._encode(dict(record))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{stream}: {record!r:.200} is no event: {error}; give a row by field names, or a"
                " line of JSON"
            ) from error

    def _completed(self, output: Output) -> Output:
        output.alerts = list(with_market_alerts(output.alerts, self._market, self.task))
        report(output.left_out)
        return output


def _number(value: Any) -> Any:
    """Return the Python number of a NumPy one, as rows of data frames hold them."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r:.60} of type {type(value).__name__} has no JSON")
