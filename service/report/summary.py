"""The result of a replay in figures."""

from msgspec import Struct
from rich.table import Table

from service.describe import named
from service.settings.types import QuantitySettings


class Summary(Struct):
    """The result of a replay. read = scored + late + rejected + unwatched + repeated.

    ``symbol_days`` is the market time in which an alarm was possible. ``incidents_per_symbol_day``
    is the realised rate, for comparison with the budget; None if ``symbol_days`` is 0. ``drifts``
    are the reported lasting changes. ``position_incidents`` report the state of the positions, by
    detector. Drifts, ``feed_incidents`` and ``position_incidents`` are not alarms.
    ``feed_findings`` are the bars in which a feed was unreliable, by check.
    ``market_wide_incidents`` concern several symbols at once and count for none of them.
    ``suppressed_alarms`` are alarms of a detector in a bar, by the kind of reason.
    """

    directory: str
    read: int = 0
    scored: int = 0
    late: int = 0
    rejected: int = 0
    unwatched: int = 0
    repeated: int = 0
    rejections: dict[str, int] = {}
    unknown_orders: int = 0
    early_ends: int = 0
    oversized_cancels: int = 0
    oversized_trades: int = 0
    oversized_fills: int = 0
    quantity_misfits: list[str] = []
    symbols: int = 0
    sparse_symbols: list[str] = []
    bars: int = 0
    incidents: list[dict[str, str | int]] = []
    market_wide_incidents: int = 0
    position_incidents: dict[str, int] = {}
    drifts: int = 0
    feed_incidents: int = 0
    feed_findings: dict[str, int] = {}
    suppressed_alarms: list[dict[str, str | int]] = []
    symbol_days: float = 0.0
    incidents_per_symbol_day: float | None = None
    false_alarms_per_day: float = 0.0
    elapsed_seconds: float = 0.0
    events_per_second: float = 0.0


LEAST_MISFITS = 10
LEAST_MISFIT_RATIO = 0.001
"""As many events, and as large a share of all scored, must not fit to be told of."""


def quantity_misfits(result: Summary, meaning: QuantitySettings) -> list[str]:
    """Return why the chosen meanings of quantities do not fit the data; empty if they may fit."""
    least = max(LEAST_MISFITS, LEAST_MISFIT_RATIO * result.scored)
    found = []
    if result.oversized_cancels >= least:
        other = "left" if meaning.cancels == "withdrawn" else "withdrawn"
        found.append(
            f"{result.oversized_cancels:,} cancels have more than what rests of their order: "
            f'quantities.cancels = "{meaning.cancels}" may not fit; try "{other}"'
        )
    if result.oversized_trades >= least:
        settings = (
            f'quantities.orders = "{meaning.orders}", quantities.cancels = "{meaning.cancels}" or '
            f'quantities.fills = "{meaning.fills}"'
        )
        found.append(
            f"{result.oversized_trades:,} trades have more than what rests of their order, which "
            f"would go below zero: {settings} may not fit"
        )
    if result.oversized_fills >= least:
        found.append(
            f"{result.oversized_fills:,} amended orders have a total below what was filled: "
            f'quantities.orders = "total" may not fit; try "remaining"'
        )
    return found


def misfit_lines(result: Summary) -> list[str]:
    """Return ``quantity_misfits`` as lines for a person."""
    return [
        f"quantities: {its} (docs/configuration.md#quantities)" for its in result.quantity_misfits
    ]


def table(result: Summary) -> Table:
    """Return the summary as a table for the terminal."""
    shown = Table(title=f"replay of {result.directory}", show_header=False, title_justify="left")
    shown.add_column(justify="left")
    shown.add_column(justify="right")
    shown.add_row("events read", f"{result.read:,}")
    shown.add_row("  scored", f"{result.scored:,}")
    shown.add_row("  late", f"{result.late:,}")
    shown.add_row("  repeated (same sequence)", f"{result.repeated:,}")
    shown.add_row("  unwatched (above limits.symbols)", f"{result.unwatched:,}")
    shown.add_row("  rejected", f"{result.rejected:,}")
    for reason, count in sorted(result.rejections.items()):
        shown.add_row(f"    {reason}", f"{count:,}")
    shown.add_row("events for unknown orders", f"{result.unknown_orders:,}")
    shown.add_row("orders after their trade or cancel", f"{result.early_ends:,}")
    for label, count in (
        ("cancels of more than what rests", result.oversized_cancels),
        ("trades of more than what rests", result.oversized_trades),
        ("amended totals below what was filled", result.oversized_fills),
    ):
        if count:
            shown.add_row(label, f"{count:,}")
    shown.add_row("symbols", f"{result.symbols:,}")
    if result.sparse_symbols:
        names = named(result.sparse_symbols)
        shown.add_row(f"  too few events: {names}", f"{len(result.sparse_symbols):,}")
    shown.add_row("bars", f"{result.bars:,}")
    shown.add_row("incidents", f"{sum(int(i['count']) for i in result.incidents):,}")
    for incident in result.incidents:
        shown.add_row(f"  {incident['detector']} {incident['severity']}", f"{incident['count']:,}")
    shown.add_row("market-wide incidents", f"{result.market_wide_incidents:,}")
    of_positions = result.position_incidents
    shown.add_row("incidents of positions", f"{sum(of_positions.values()):,}")
    for detector, count in of_positions.items():
        shown.add_row(f"  {detector}", f"{count:,}")
    shown.add_row("lasting changes (drift)", f"{result.drifts:,}")
    shown.add_row("feed incidents", f"{result.feed_incidents:,}")
    for check, bars in result.feed_findings.items():
        shown.add_row(f"  {check} (bars)", f"{bars:,}")
    suppressed = sum(int(alarms["count"]) for alarms in result.suppressed_alarms)
    shown.add_row("suppressed alarms", f"{suppressed:,}")
    for alarms in result.suppressed_alarms:
        shown.add_row(f"  {alarms['detector']} {alarms['reason_kind']}", f"{alarms['count']:,}")
    if result.incidents_per_symbol_day is not None:
        shown.add_row(
            f"incidents per symbol-day (budget {result.false_alarms_per_day:g})",
            f"{result.incidents_per_symbol_day:,.2f}",
        )
    shown.add_row("seconds", f"{result.elapsed_seconds:,.1f}")
    shown.add_row("events/s", f"{result.events_per_second:,.0f}")
    return shown
