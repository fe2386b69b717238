"""Throughput, memory, and CPU time by stage.

``make bench`` runs this file: it starts a real Kafka, fills it with order flow, and measures in
turns the bare drain of the records, the drain with decoding, and the whole service; see
docs/performance.md. Every measurement is a process of its own. The results are printed as tables
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
from options import Broker, add_broker, add_output, broker
from phases import Result, Task
from process import create_topics, variables
from rich.console import Console

WARMUP_BARS = 30
"""Small, so that most bars of a run are scored and judged. Warm-up bars cost less."""

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
    """Run the phases in turns, ``rounds`` times each; return medians, also of the ratios."""
    results: dict[str, list[Result]] = {phase: [] for phase in phases}
    for number in range(rounds):
        for phase in phases:
            with console.status(f"{phase}, round {number + 1} of {rounds}"):
                turn = msgspec.structs.replace(task, group=f"{task.run}-{number}")
                results[phase].append(measure(phase, turn))
    bare = results[phases[0]]
    return {phase: _summary(results[phase], bare) for phase in phases}


def _summary(results: list[Result], bare: list[Result]) -> dict[str, Any]:
    """Medians over the rounds. Shares are relative to the bare phase of the same round."""
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
    """The machine and software of the measurement."""
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
"""More symbols share the same market flow: with 2,000 symbols, each has a fifth of the default
rate. The last load is for memory: its accounts are spread evenly, so every symbol remembers as many
accounts as it may."""


BAR_LOADS = (
    Load(320_000, symbols=64, events_per_symbol_second=5.0),
    Load(800_000, symbols=64),
    Load(1_500_000, symbols=2_000, events_per_symbol_second=5.0),
)
"""Loads of one partition in memory, for the cost of a bar."""


def bars_of(load: Load) -> dict[str, float]:
    """The cost of a bar under a load, without Kafka."""
    with console.status(f"bars of {load.symbols} symbols"):
        task = Task(
            load.records,
            warmup_bars=WARMUP_BARS,
            symbols=load.symbols,
            events_per_symbol_second=load.events_per_symbol_second,
        )
        return measure("bars", task).details


POSITIONS = Task(20_000, symbols=64, accounts=10_000)
"""The positions on which the risk of liquidations is measured, without Kafka. For a venue of 500
symbols and a million positions run benchmarks/risk.py and benchmarks/contagion.py themselves."""


def on_kafka(on: Broker, load: Load, rounds: int, phases: tuple[str, ...]) -> Any:
    """Produce a load to topics of its own and measure phases on it."""
    kind = f"{load.symbols}-{load.accounts}-{load.records}-{load.events_per_symbol_second:.0f}"
    run = f"{on.prefix}bench-{kind}"
    with console.status(f"producing {load.records:,} records, {load.symbols} symbols"):
        create_topics(variables(on.servers, run), PARTITIONS)
        produce(on.servers, run, addressed(generate(load)))
    task = Task(load.records, on.servers, run, warmup_bars=WARMUP_BARS)
    return task, in_turns(phases, task, rounds)


def main() -> None:
    """Measure everything; print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the records, one round")
    parser.add_argument("--rounds", type=int, default=3, help="default 3; medians are reported")
    add_output(parser)
    add_broker(parser)
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick or arguments.tiny else arguments.rounds
    scale = 5 if arguments.quick else 1
    default, sizes = Load(1_500_000 // scale), SIZES
    if arguments.tiny:
        default, sizes = Load(10_000, symbols=8), (Load(10_000, symbols=4),)
    results: dict[str, Any] = {"machine": machine(), "load": default._asdict(), "rounds": rounds}
    bar_loads = (Load(10_000, symbols=8),) if arguments.tiny else BAR_LOADS
    results["bars"] = [bars_of(its._replace(records=its.records // scale)) for its in bar_loads]
    console.print(report.bars(results["bars"]))
    held = Task(500, symbols=4, accounts=100) if arguments.tiny else POSITIONS
    for phase in ("risk", "contagion"):
        with console.status(f"{phase}, {held.symbols} symbols, {held.accounts:,} accounts"):
            results[phase] = measure(phase, held).details
        console.print(report.figures(phase, results[phase]))
    busy = default._replace(events_per_symbol_second=1_000.0)
    with broker(arguments.kafka, heap="1g") as on:
        task, results["service"] = on_kafka(on, default, rounds, ("drain", "decode", "service"))
        console.print(report.throughput("the service on Kafka", results["service"]))
        stages_task = msgspec.structs.replace(task, group=f"{task.run}-stages")
        results["stages"] = measure("stages", stages_task).details
        console.print(report.stages(results["stages"], default.records))
        _, results["busy"] = on_kafka(on, busy, rounds, ("drain", "service"))
        console.print(report.throughput("ten times the events a second", results["busy"]))
        results["sizes"] = []
        for size in sizes:
            load = size._replace(records=size.records // scale)
            _, phases = on_kafka(on, load, 1, ("drain", "service"))
            results["sizes"].append({**load._asdict(), **phases})
        console.print(report.sizes(results["sizes"]))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "load")
        with console.status("writing files"):
            write_files(directory, default)
        files = Task(default.records, directory=str(directory), warmup_bars=WARMUP_BARS)
        results["replay"] = in_turns(("read files", "decode files", "replay"), files, rounds)
        console.print(report.throughput("replay from files", results["replay"]))
    report.keep(arguments.out, "bench", results)


if __name__ == "__main__":
    main()
