"""How fast the service is, how much memory it takes, and where the time goes.

``make bench`` runs this file: it starts a real Kafka, fills it with order flow, and measures the
bare drain of the records, the drain with decoding, and the whole service, in turns; see
docs/performance.md. Every measurement is a process of its own. What it finds is shown as tables
and written to build/bench.json.
"""

import argparse
import datetime as dt
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import report
from kafka_load import PARTITIONS, addressed, produce, write_files
from load import Load, generate
from phases import Result, Task
from process import ROOT, create_topics, variables
from rich.console import Console

sys.path.insert(0, str(ROOT))  # for deploy, which is not installed

from deploy.kafka.kafka import KafkaServer

WARMUP_BARS = 30
"""So few that most bars of a run are scored and judged: a bar of the warm-up costs less."""

console = Console(width=None if sys.stdout.isatty() else 110)  # as wide as the tables


def measure(phase: str, task: Task) -> Result:
    """One measurement in a fresh process."""
    program = [sys.executable, str(Path(__file__).with_name("phases.py")), phase]
    done = subprocess.run(
        [*program, msgspec.json.encode(task).decode()],
        capture_output=True,
        text=True,
        check=False,
        cwd=tempfile.gettempdir(),
    )
    if done.returncode:
        raise SystemExit(f"{phase} failed:\n{done.stderr[-4000:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Result)


def in_turns(phases: tuple[str, ...], task: Task, rounds: int) -> dict[str, Any]:
    """Each phase as often as there are rounds, in turns; the medians, and the ratios' too."""
    results: dict[str, list[Result]] = {phase: [] for phase in phases}
    for number in range(rounds):
        for phase in phases:
            with console.status(f"{phase}, round {number + 1} of {rounds}"):
                turn = msgspec.structs.replace(task, group=f"bench-{number}")
                results[phase].append(measure(phase, turn))
    bare = results[phases[0]]
    return {phase: _summary(results[phase], bare) for phase in phases}


def _summary(results: list[Result], bare: list[Result]) -> dict[str, Any]:
    """Medians over the rounds; shares are of the bare phase of the same round."""
    pairs = list(zip(results, bare, strict=True))
    return {
        "events_per_second": statistics.median(r.events / r.seconds for r in results),
        "share_of_bare": statistics.median(b.seconds / r.seconds for r, b in pairs),
        "share_of_bare_by_cpu": statistics.median(b.cpu_seconds / r.cpu_seconds for r, b in pairs),
        "cpu_us_per_event": statistics.median(r.cpu_seconds / r.events * 1e6 for r in results),
        "peak_memory_bytes": max(r.peak_memory_bytes for r in results),
        "rounds": [msgspec.to_builtins(r) for r in results],
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


SIZES = (
    Load(400_000, symbols=16),
    Load(400_000, symbols=256),
    Load(1_000_000, symbols=2_000, accounts=10_000, events_per_symbol_second=20.0),
    Load(1_000_000, symbols=2_000, accounts=200_000, events_per_symbol_second=20.0),
    Load(
        5_000_000, symbols=2_000, accounts=200_000, events_per_symbol_second=5.0, account_skew=0.0
    ),
)
"""More symbols share the market's flow: with 2,000 each has a fifth of the default rate. The last
is for its memory: its accounts are spread evenly, so that every symbol remembers as many as it
may."""


def on_kafka(server: KafkaServer, load: Load, rounds: int, phases: tuple[str, ...]) -> Any:
    """Produce a load under a name of its own and measure phases on it."""
    run = f"bench-{load.symbols}-{load.accounts}-{load.records}-{load.events_per_symbol_second:.0f}"
    with console.status(f"producing {load.records:,} records, {load.symbols} symbols"):
        create_topics(variables(server.bootstrap_servers, run), PARTITIONS)
        produce(server.bootstrap_servers, run, addressed(generate(load)))
    task = Task(load.records, server.bootstrap_servers, run, warmup_bars=WARMUP_BARS)
    return task, in_turns(phases, task, rounds)


def main() -> None:
    """Measure everything, show it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the records, one round")
    parser.add_argument("--rounds", type=int, default=3, help="default 3; medians are reported")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    scale = 5 if arguments.quick else 1
    default = Load(1_500_000 // scale)
    found: dict[str, Any] = {"machine": machine(), "load": default._asdict(), "rounds": rounds}
    busy = default._replace(events_per_symbol_second=1_000.0)
    with KafkaServer(heap="1g") as server:
        task, found["service"] = on_kafka(server, default, rounds, ("drain", "decode", "service"))
        console.print(report.throughput("the service on Kafka", found["service"]))
        turn = msgspec.structs.replace(task, group="bench-stages")
        found["stages"] = measure("stages", turn).details
        console.print(report.stages(found["stages"], default.records))
        _, found["busy"] = on_kafka(server, busy, rounds, ("drain", "service"))
        console.print(report.throughput("ten times the events a second", found["busy"]))
        found["sizes"] = []
        for size in SIZES:
            load = size._replace(records=size.records // scale)
            _, measured = on_kafka(server, load, 1, ("drain", "service"))
            found["sizes"].append({**load._asdict(), **measured})
        console.print(report.sizes(found["sizes"]))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "load")
        with console.status("writing files"):
            write_files(directory, default)
        files = Task(default.records, directory=str(directory), warmup_bars=WARMUP_BARS)
        found["replay"] = in_turns(("read files", "decode files", "replay"), files, rounds)
        console.print(report.throughput("replay from files", found["replay"]))
    report.keep("bench", found)


if __name__ == "__main__":
    main()
