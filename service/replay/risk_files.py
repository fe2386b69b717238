"""The streams of a directory that the risk of positions needs, as one sequence in event time."""

import time
from collections.abc import Iterator
from heapq import merge
from pathlib import Path

from detectors.market_data.events import Late, Margin, Position, Reference
from service.pipeline.align import Aligner
from service.pipeline.wire import Decoder
from service.replay.files import BatchReader, stream_path
from service.settings.assembly import decoders
from service.settings.types import Settings

_STREAMS = ("references", "margins", "positions")


RiskInput = Reference | Margin | Position


def risk_events(directory: Path, settings: Settings) -> Iterator[RiskInput]:
    """Yield the references, margins and positions of a directory in the order of event time.

    Memory holds a few batches of each file. The same files give the same sequence. Every file is
    optional.
    """
    found = {name: stream_path(directory, name) for name in _STREAMS}
    paths = {name: path for name, path in found.items() if path is not None}
    decode = decoders(settings, paths)
    disorder_ns = settings.time.max_disorder_ms * 1_000_000
    most_bytes = settings.wire.max_record_bytes
    streams = [
        _events(BatchReader(path, max_line_bytes=most_bytes), decode[name], name, disorder_ns)
        for name, path in paths.items()
    ]
    return merge(*streams, key=_place)


def _events(
    reader: BatchReader, decoder: Decoder, name: str, disorder_ns: int
) -> Iterator[RiskInput]:
    aligner = Aligner([name], disorder_ns)
    lines = 0
    for batch in reader:
        now_ms = time.time_ns() // 1_000_000
        events = decoder.decode(batch, [now_ms] * len(batch)).events
        aligner.feed(name, events, first_offset=lines, next_offset=lines + len(batch))
        lines += len(batch)
        yield from _released(aligner)
    aligner.set_idle(name)
    yield from _released(aligner)


def _released(aligner: Aligner) -> Iterator[RiskInput]:
    for event in aligner.release():
        its = event.event if isinstance(event, Late) else event
        if isinstance(its, RiskInput):
            yield its


def _place(event: RiskInput) -> tuple[int, int]:
    return event.ts_event, event.sequence or 0
