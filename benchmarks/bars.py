"""The cost of a bar: one partition in memory, without Kafka, fed as the service feeds it.

The process time of a step in which bars close, per symbol and bar: sums, detectors, incidents and
signals. Events, decoding and the encoding of signals are measured beside it.
"""

import time
from typing import Any

import msgspec
from load import STREAMS, Load, generate
from stages import Stages

from service.pipeline.align import Aligner
from service.pipeline.output import Tally
from service.pipeline.task import PartitionTask
from service.pipeline.wire import Decoder
from service.settings.assembly import decoders, partition_task
from service.settings.types import Settings

POLL_RECORDS = 5_000
SKIPPED_SHARE = 0.3
"""The first part of the load is not measured: books fill and detectors warm up."""

TIMED = (
    ("decode", Decoder, "decode"),
    ("align", Aligner, "feed"),
    ("align", Aligner, "release"),
    ("events", PartitionTask, "advance"),
    ("bars", PartitionTask, "_close_bars"),
)


def measure_bars(load: Load, settings: Settings) -> dict[str, float]:
    """The microseconds of a symbol-bar and of an event, and the events a second of all stages."""
    stages = Stages()
    for stage, owner, name in TIMED:
        setattr(owner, name, stages.timed(getattr(owner, name), stage))
    encode = msgspec.json.Encoder().encode
    task = partition_task(settings, STREAMS, Tally())
    decode = decoders(settings, dict.fromkeys(STREAMS))
    fed = dict.fromkeys(STREAMS, 0)
    now_ms = time.time_ns() // 1_000_000
    polls = _polls(load)
    skipped = int(SKIPPED_SHARE * len(polls))
    bars = events = 0
    for number, poll in enumerate(polls):
        if number == skipped:
            with stages.of("loop"):
                stages.seconds.clear()
            bars, events = task.tally.market.bars, 0
        for stream, values in poll.items():
            decoded = decode[stream].decode(values, [now_ms] * len(values))
            first = fed[stream]
            fed[stream] = first + len(values)
            task.feed(stream, decoded.events, first_offset=first, next_offset=fed[stream])
            events += len(values)
        output = task.advance()
        with stages.of("encode"):
            for signal in output.signals:
                encode(signal)
    bars = task.tally.market.bars - bars
    seconds = stages.seconds
    return {
        "symbols": load.symbols,
        "events_per_symbol_second": load.events_per_symbol_second,
        "bars": bars,
        "us_per_symbol_bar": seconds["bars"] / bars * 1e6,
        "us_per_event": (seconds["events"] + seconds["align"] + seconds["decode"]) / events * 1e6,
        "us_per_signal_encoded": seconds["encode"] / bars * 1e6,
        "events_per_second": events / sum(seconds.values()),
    }


def _polls(load: Load) -> list[dict[str, list[Any]]]:
    polls: list[dict[str, list[Any]]] = []
    for number, record in enumerate(generate(load)):
        if number % POLL_RECORDS == 0:
            polls.append({stream: [] for stream in STREAMS})
        polls[-1][STREAMS[record.stream]].append(record.value)
    return polls
