"""The demo on a terminal: one page, redrawn several times per second."""

import math

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from detectors.catalogue import ALARMING
from detectors.risk_watch.cascade import ENTER
from detectors.risk_watch.records import RiskRecord
from service.demo.captions import evidence, label, money
from service.demo.observations import IncidentView, Observations, SymbolView, distance_bps
from service.demo.plan import Plan
from service.demo.status import Status
from service.demo.timeline import timeline

BAR_CELLS = 10
_WIDE = 124
_TALL = 30
SEVERITY_STYLES = {"warning": "yellow", "critical": "bold red"}


def page(plan: Plan, observations: Observations, status: Status, *, width: int, rows: int) -> Group:
    """The current page, for a terminal of ``width`` columns and ``rows`` lines."""
    gap = [Text()] if rows >= _TALL else []
    header = _header(plan, observations, status, width)
    truth = timeline(plan, observations, width)
    # The table's heading takes one or two lines, the headings of the two parts below one each.
    used = len(header) + len(truth) + len(plan.symbols) + 4 + 3 * len(gap)
    return Group(
        *header,
        *gap,
        _symbols(plan, observations, width),
        *gap,
        rule("injected scenario: ground truth, not visible to the detectors"),
        *truth,
        *gap,
        rule("incidents, from the topic foreshock.alerts"),
        *incidents(plan, observations, max(1, (rows - used) // 2)),
    )


def rule(title: str) -> Rule:
    """A line with a title."""
    return Rule(Text(title, style="dim"), align="left", style="bright_black")


def _header(
    plan: Plan, observations: Observations, status: Status, width: int
) -> list[RenderableType]:
    clock = f"{plan.clock(observations.market_ns)} / {plan.clock(plan.end_ns)}"
    market = f"{plan.scenario.name}, seed {plan.seed}   " if width >= _WIDE else ""
    first = Table.grid(expand=True)
    first.add_column(no_wrap=True)
    first.add_column(no_wrap=True, justify="right")
    first.add_row(
        Text.assemble(("Foreshock", "bold cyan"), "  ", (status.phase, "bold")),
        Text.assemble(
            (f"{market}market time ", "dim"), (clock, "bold"), (f"  {plan.speed:.3g}x", "dim")
        ),
    )
    share = (observations.market_ns - plan.start_ns) / (plan.end_ns - plan.start_ns)
    done = round(min(max(share, 0.0), 1.0) * width)
    servers = status.bootstrap_servers
    return [
        first,
        Text.assemble(("━" * done, "cyan"), ("━" * (width - done), "bright_black")),
        _fields(
            ("read", f"{status.read:,} events"),
            ("rate", f"{status.rate:,.0f}/s"),
            ("lag", f"{status.lag:,}"),
            ("late", f"{status.late:,}"),
        ),
        _fields(("Kafka", servers), ("log", status.log)),
        _fields(("console", status.console_url)),
        _fields(("alerts", f"kcat -b {servers} -C -u -t foreshock.alerts")),
    ]


def _fields(*fields: tuple[str, str]) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for name, value in fields:
        text.append(f"{name} ", style="dim").append(f"{value}   ")
    return text


def _symbols(plan: Plan, observations: Observations, width: int) -> Table:
    """One row per symbol. A narrow terminal shows fewer columns."""
    wide = width >= _WIDE
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("symbol", width=9)
    table.add_column("price", justify="right", width=8)
    table.add_column("stress", width=BAR_CELLS + 5)
    if wide:
        table.add_column("5 min", justify="right", width=7)
        for name in ALARMING:
            table.add_column(label(name), justify="right", width=8)
    table.add_column("cascade", justify="right", width=8 if wide else 7)
    table.add_column("liquidated per min", justify="right", width=10)
    table.add_column("incident", no_wrap=True)
    for view in observations.symbols.values():
        details = [_change(view), *(_score(view, name) for name in ALARMING)]
        table.add_row(
            Text(view.symbol, style="bold"),
            _price(view),
            stress_bar(view.stress_ratio),
            *(details if wide else []),
            _distance(observations.nearest(view.symbol)),
            _liquidated(observations.liquidated(view.symbol)),
            _incident(plan, observations.open_incident(view.symbol)),
        )
    return table


def _price(view: SymbolView) -> str:
    """The price with five significant figures and a fixed number of decimals."""
    if view.price is None:
        return ""
    decimals = max(0, 4 - math.floor(math.log10(view.price)))
    return f"{view.price:,.{decimals}f}"


def _change(view: SymbolView) -> Text:
    change = view.change_ratio
    if change is None:
        return Text()
    return Text(f"{change:+.2%}", style="red" if change < -0.01 else "")


def stress_bar(stress_ratio: float | None) -> Text:
    """Stress as a bar and a number, from 0 (ordinary) to 1 (alarm)."""
    if stress_ratio is None:
        return Text("warming up", style="dim")
    style = "green" if stress_ratio < 0.5 else "yellow" if stress_ratio < 1.0 else "bold red"
    full = round(min(stress_ratio, 1.0) * BAR_CELLS)
    return Text.assemble(
        ("█" * full, style),
        ("░" * (BAR_CELLS - full), "bright_black"),
        (f" {min(stress_ratio, 9.99):4.2f}", style),
    )


def _score(view: SymbolView, detector: str) -> Text:
    score = view.score(detector)
    if score is not None:
        return Text(f"{score:.1f}", style="bold red" if view.alarmed(detector) else "")
    no_input = view.readings and view.readings[-1].detectors[detector].status == "no_input"
    return Text("no input" if no_input else "·", style="dim")


def _distance(record: RiskRecord | None) -> Text:
    """How far a cascade is; red while a move of 0.85 % sets it off in most draws."""
    bps = distance_bps(record) if record is not None else None
    if record is None or bps is None:
        return Text("·", style="dim")
    likely = (record.cascade_probability or 0.0) >= ENTER
    return Text(f"{bps:,.0f} bps", style="bold red" if likely else "")


def _liquidated(notional: float) -> Text:
    return Text(money(notional), style="red") if notional else Text("·", style="dim")


def _incident(plan: Plan, view: IncidentView | None) -> Text:
    if view is None:
        return Text("·", style="dim")
    since = plan.clock(view.opened.ts_event)
    return Text(f"{view.severity} since {since}", style=SEVERITY_STYLES[view.severity])


def incidents(plan: Plan, observations: Observations, most: int) -> list[RenderableType]:
    """The latest incidents, newest first, two lines each."""
    views = list(observations.incidents.values())
    if not views:
        return [Text("none so far", style="dim")]
    shown = [line for view in reversed(views[-most:]) for line in _incident_lines(plan, view)]
    if len(views) > most:
        shown[-1].append(f"   and {len(views) - most} earlier", style="dim")
    return [*shown]


def _incident_lines(plan: Plan, view: IncidentView) -> list[Text]:
    alert = view.latest
    style = SEVERITY_STYLES[view.severity] if view.resolved is None else "green"
    times = plan.clock(view.opened.ts_event)
    if view.resolved is not None:
        times += f" to {plan.clock(view.resolved.ts_event)}"
    state = view.severity if view.resolved is None else f"{view.severity}, resolved"
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{times}  ", style="dim").append(state, style=style)
    head.append(f"  {alert.detector}  ", style="dim").append(alert.summary)
    detail = Text(f"       {evidence(alert)}", style="dim", no_wrap=True, overflow="ellipsis")
    return [head, detail]
