"""The timeline of market time: injected episodes, alerts and cascades."""

from rich.text import Text

from service.demo.captions import injection, label
from service.demo.observations import Observations
from service.demo.plan import Plan
from service.exchange.controls import Episode

LABEL_CELLS = 18
_FIVE_MINUTES = 300.0


def timeline(plan: Plan, observations: Observations, width: int) -> list[Text]:
    """One line per episode that has begun, one per symbol with incidents, then the axis."""
    cells = max(20, width - LABEL_CELLS - 1)
    lines = [
        *_episodes(plan, observations, cells),
        *_cascades(plan, observations, cells),
        *_alerts(plan, observations, cells),
    ]
    return [*(lines or [Text("nothing yet", style="dim")]), _minutes(plan, cells)]


def _column(plan: Plan, at_ns: int, cells: int) -> int:
    share = (at_ns - plan.start_ns) / (plan.end_ns - plan.start_ns)
    return min(max(int(share * cells), 0), cells - 1)


def _line(name: str, style: str = "dim") -> Text:
    return Text(f"{name[: LABEL_CELLS - 1]:<{LABEL_CELLS}}", style=style, no_wrap=True)


def _span(
    plan: Plan,
    observations: Observations,
    cells: int,
    name: str,
    caption: str,
    span: tuple[int, int],
) -> Text:
    """A bar from the start to the end or to now, with a caption if it fits."""
    first = _column(plan, span[0], cells)
    last = _column(plan, min(span[1], observations.market_ns), cells)
    bar = ("━" * (last - first + 1), "red" if name == "cascade" else "magenta")
    line = _line(name)
    if len(caption) < first:
        return line.append(f"{caption:>{first - 1}} ", style="dim").append(*bar)
    line.append(" " * first).append(*bar)
    return line.append(f" {caption}", style="dim") if len(caption) < cells - last - 1 else line


def _episodes(plan: Plan, observations: Observations, cells: int) -> list[Text]:
    lines = []
    for episode in plan.scenario.episodes:
        start = plan.start_ns + int(episode.start_seconds * 1e9)
        end = plan.start_ns + int(episode.end_seconds * 1e9)
        if start <= observations.market_ns:
            caption = f"{_where(plan, episode)}{injection(episode.kind)}"
            lines.append(
                _span(plan, observations, cells, label(episode.kind), caption, (start, end))
            )
    return lines


def _where(plan: Plan, episode: Episode) -> str:
    if episode.symbols is None:
        return ""
    return f"{', '.join(plan.symbols[position] for position in episode.symbols)}: "


def _cascades(plan: Plan, observations: Observations, cells: int) -> list[Text]:
    return [
        _span(
            plan,
            observations,
            cells,
            "cascade",
            f"{cascade.symbol}: {injection('cascade')}",
            (cascade.starts_at, cascade.ends_at),
        )
        for cascade in observations.cascades
    ]


def _alerts(plan: Plan, observations: Observations, cells: int) -> list[Text]:
    lines = []
    for symbol in plan.symbols:
        views = [v for v in observations.incidents.values() if v.opened.symbol == symbol]
        if not views:
            continue
        marks: dict[int, tuple[str, str]] = {}
        for view in views:
            until = view.resolved.ts_event if view.resolved is not None else observations.market_ns
            last = _column(plan, until, cells)
            for alert, style in ((view.opened, "yellow"), (view.escalated, "red")):
                if alert is not None:
                    first = _column(plan, alert.ts_event, cells)
                    marks.update(dict.fromkeys(range(first, last + 1), ("─", style)))
        # Markers overwrite lines, and critical markers overwrite warning markers.
        for view in views:
            marks[_column(plan, view.opened.ts_event, cells)] = ("▲", "yellow")
        for view in views:
            if view.escalated is not None:
                marks[_column(plan, view.escalated.ts_event, cells)] = ("▲", "bold red")
        line = _line(f"alerts {symbol}", "")
        for column in range(cells):
            line.append(*marks.get(column, (" ", "")))
        lines.append(line)
    return lines


def _minutes(plan: Plan, cells: int) -> Text:
    """The axis: a number every five minutes of market time."""
    axis = [" "] * (cells + 4)
    at = 0.0
    step = max(_FIVE_MINUTES, plan.market_seconds / 12 // 60 * 60)
    while at <= plan.market_seconds:
        column = _column(plan, plan.start_ns + int(at * 1e9), cells)
        text = f"{at / 60:.0f}"
        column = min(column, cells - len(text))
        axis[column : column + len(text)] = text
        at += step
    return _line("minutes").append("".join(axis[:cells]), style="dim")
