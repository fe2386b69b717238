"""Results as tables for people, and as JSON files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from process import ROOT
from rich.table import Table


def keep(folder: Path, name: str, results: Mapping[str, Any]) -> None:
    """Write the results to NAME.json in the folder and print the path."""
    out = folder / f"{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {out.relative_to(ROOT) if out.is_relative_to(ROOT) else out}")


def throughput(title: str, phases: dict[str, Any]) -> Table:
    """Phases measured in turns: their speed, and their share of the bare phase."""
    table = Table(title=title, title_justify="left")
    table.add_column("phase")
    for column in ("events/s", "share of bare", "by CPU", "CPU us/event", "peak memory MB"):
        table.add_column(column, justify="right")
    for name, result in phases.items():
        table.add_row(
            name,
            f"{result['events_per_second']:,.0f}",
            f"{result['share_of_bare']:.1%}",
            f"{result['share_of_bare_by_cpu']:.1%}",
            f"{result['cpu_us_per_event']:.2f}",
            f"{result['peak_memory_bytes'] / 1e6:,.0f}",
        )
    return table


def stages(seconds: dict[str, float], events: int) -> Table:
    """CPU time of the service's stages, without the drain."""
    total = sum(seconds.values())
    table = Table(title="CPU time by stage (without the drain)", title_justify="left")
    table.add_column("stage")
    table.add_column("CPU us/event", justify="right")
    table.add_column("share", justify="right")
    for name, cpu_seconds in sorted(seconds.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{cpu_seconds / events * 1e6:.2f}", f"{cpu_seconds / total:.0%}")
    table.add_row("all", f"{total / events * 1e6:.2f}", "100%")
    return table


def sizes(rows: list[dict[str, Any]]) -> Table:
    """Throughput and memory by number of symbols and accounts."""
    table = Table(title="symbols and accounts", title_justify="left")
    for column in (
        "records", "symbols", "accounts", "events/s per symbol", "bars",
        "events/s", "share of bare", "peak memory MB",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['records']:,}",
            f"{row['symbols']:,}",
            f"{row['accounts']:,}",
            f"{row['events_per_symbol_second']:,.0f}",
            f"{row['service']['rounds'][0]['details']['bars']:,.0f}",
            f"{row['service']['events_per_second']:,.0f}",
            f"{row['service']['share_of_bare']:.1%}",
            f"{row['service']['peak_memory_bytes'] / 1e6:,.0f}",
        )
    return table


def figures(title: str, values: Mapping[str, float]) -> Table:
    """Named figures, one in a row."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in values.items():
        table.add_row(name.replace("_", " "), f"{value:,.4g}" if value < 1e3 else f"{value:,.0f}")
    return table


def bars(rows: list[dict[str, float]]) -> Table:
    """The cost of a bar, by number of symbols."""
    table = Table(title="the cost of a bar (one partition in memory)", title_justify="left")
    for column in (
        "symbols", "events/s per symbol", "symbol-bars", "us per symbol-bar",
        "us per event", "us per signal encoded", "events/s",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['symbols']:,.0f}",
            f"{row['events_per_symbol_second']:,.0f}",
            f"{row['bars']:,.0f}",
            f"{row['us_per_symbol_bar']:.1f}",
            f"{row['us_per_event']:.2f}",
            f"{row['us_per_signal_encoded']:.1f}",
            f"{row['events_per_second']:,.0f}",
        )
    return table
