"""The figures as tables for a person, and kept as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from process import ROOT
from rich.table import Table


def keep(name: str, found: Mapping[str, Any]) -> None:
    """Write what was found to build/NAME.json, and say so."""
    out = ROOT / "build" / f"{name}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {out.relative_to(ROOT)}")


def throughput(title: str, phases: dict[str, Any]) -> Table:
    """Phases in turns: their speed, and their share of the bare one."""
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
    """Where the service's own time goes, the drain apart."""
    total = sum(seconds.values())
    table = Table(title="where the time goes (the drain apart)", title_justify="left")
    table.add_column("stage")
    table.add_column("CPU us/event", justify="right")
    table.add_column("share", justify="right")
    for name, its in sorted(seconds.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{its / events * 1e6:.2f}", f"{its / total:.0%}")
    table.add_row("all", f"{total / events * 1e6:.2f}", "100%")
    return table


def sizes(rows: list[dict[str, Any]]) -> Table:
    """How symbols and accounts change the figures."""
    table = Table(title="symbols and accounts", title_justify="left")
    for column in (
        "records", "symbols", "accounts", "events/s a symbol", "bars",
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
