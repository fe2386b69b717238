"""Growth of state over hours of event time: the soak's flow through the core, without Kafka.

``python benchmarks/growth.py --hours 72`` runs this file: days of event time in minutes, in one
process. Every hour of event time it prints the resident memory, and the bytes of each part of all
symbols' state, encoded as in a snapshot.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
from churn import Churn, records
from load import STREAMS
from msgspec.structs import replace
from process import MIB, resident_bytes

from detectors.state import capture
from service.console.history import History
from service.pipeline.output import Tally
from service.pipeline.task import PartitionTask
from service.settings.assembly import decoders, partition_task
from service.settings.types import LimitSettings, Settings

PARTITIONS = 4
BATCH_RECORDS = 500

# The soak's bounds, reached within minutes.
BOUNDS = LimitSettings(symbols=8, resting_orders=150, accounts=256)

_encode = msgspec.msgpack.Encoder().encode


def sizes(tasks: Sequence[PartitionTask]) -> Counter[str]:
    """The bytes of each part of the state, summed over symbols."""
    bytes_by_part: Counter[str] = Counter()
    for task in tasks:
        for monitor in task.monitors.values():
            state: dict[str, Any] = msgspec.to_builtins(capture(monitor, None))
            for scorer in state.pop("scorers").values():
                for part, part_state in scorer.items():
                    fields = part_state if isinstance(part_state, dict) else {"": part_state}
                    bytes_by_part.update(
                        {f"{part}.{name}": len(_encode(v)) for name, v in fields.items()}
                    )
            bytes_by_part.update(
                {part: len(_encode(part_state)) for part, part_state in state.items()}
            )
    return bytes_by_part


def grow(churn: Churn, hours: int) -> None:
    """Run the flow; print a line per hour of event time."""
    settings = replace(Settings(), limits=BOUNDS)
    tasks = [partition_task(settings, STREAMS, Tally()) for _ in range(PARTITIONS)]
    by_stream = decoders(settings, dict.fromkeys(STREAMS))
    history = History()
    history.owns(range(PARTITIONS))
    fed: Counter[tuple[int, str]] = Counter()
    flow = records(churn)
    began = time.monotonic()
    for hour in range(1, hours + 1):
        remaining = round(churn.rate * 3_600)
        while remaining:
            batches: dict[tuple[int, str], list[bytes]] = defaultdict(list)
            for record in islice(flow, min(BATCH_RECORDS, remaining)):
                batches[record.place % PARTITIONS, STREAMS[record.stream]].append(record.value)
            remaining -= min(BATCH_RECORDS, remaining)
            for (number, stream), values in batches.items():
                events = (
                    by_stream[stream]
                    .decode(values, [time.time_ns() // 1_000_000] * len(values))
                    .events
                )
                first = fed[number, stream]
                fed[number, stream] = following = first + len(values)
                tasks[number].feed(stream, events, first_offset=first, next_offset=following)
            for number, task in enumerate(tasks):
                history.take(number, task.advance())
        gc.collect()
        line = {
            "hour": hour,
            "seconds": round(time.monotonic() - began),
            "resident_mib": round(resident_bytes(os.getpid()) / MIB, 1),
            **dict(sizes(tasks).most_common(8)),
        }
        print(json.dumps(line), flush=True)


def main() -> None:
    """Parse the options, and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--hours", type=int, default=24, help="of event time; default 24")
    parser.add_argument("--symbols", type=int, default=8, help="half of them change; default 8")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second; default 20")
    options = parser.parse_args()
    if options.hours < 1 or options.symbols < 2 or options.rate <= 0:
        parser.error("--hours and --rate must be positive, --symbols at least 2")
    lasting = options.symbols // 2
    grow(
        Churn(lasting=lasting, changing=options.symbols - lasting, rate=options.rate), options.hours
    )


if __name__ == "__main__":
    sys.exit(main())
