"""The scorecard as one self-contained HTML page with plots."""

from collections.abc import Mapping
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from service.scorecard import tables
from service.scorecard.report import Scorecard, documented, watchers
from service.scorecard.score import INCIDENTS, Found
from service.scorecard.statistics import Interval

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 14px; }
th, td { border-bottom: 1px solid #ccc; padding: 2px 8px; text-align: left; vertical-align: top; }
"""


def to_html(card: Scorecard) -> str:
    """The page: recall and precision next to baselines, delays, leads, false alarms.

    An undefined share is labelled, not drawn.
    """
    recall = {(_name(row), row.watcher): row.recall for row in card.found}
    precision = {(_name(row), row.watcher): row.precision for row in card.found}
    plots = []
    if card.found or card.false_alarms:
        plots = [
            _shares(card, "Recall: Foreshock and the baselines", recall),
            _shares(card, "Precision, where incidents were raised", precision),
            _delays(card),
            _leads(card),
            _false(card),
        ]
    plots_html = "\n".join(
        figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"plot-{number}")
        for number, figure in enumerate(plots)
    )
    details = (
        f"{escape(card.command)} · version {escape(card.version)} · {card.trials} markets · "
        f"{escape(card.purpose)} seeds · budget {card.false_alarms_per_day:g} per symbol and day"
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Foreshock scorecard</title>
<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head>
<body><h1>Foreshock scorecard</h1><p>{details}</p>
{tables.to_html(documented(card))}
{plots_html}
</body></html>
"""


def _name(row: Found) -> str:
    return f"{row.kind} x{row.strength:g}, {row.events_per_second:g}/s"


def _shares(card: Scorecard, title: str, by_form: Mapping[tuple[str, str], Interval | None]) -> Any:
    service_watchers, baselines = watchers(card)
    columns = [service_watchers[0], *baselines]
    names = list(dict.fromkeys(_name(row) for row in card.found))
    shares = [[by_form[name, column] for column in columns] for name in names]
    figure = go.Figure(
        layout={
            "title": title,
            "height": 200 + 28 * len(names),
            "yaxis": {"autorange": "reversed"},
        }
    )
    figure.add_heatmap(
        x=columns,
        y=names,
        z=[[None if share is None else share.value for share in row] for row in shares],
        text=[["undefined" if s is None else f"{s.value:.0%}" for s in row] for row in shares],
        texttemplate="%{text}",
        colorscale="Blues",
        zmin=0.0,
        zmax=1.0,
    )
    return figure


def _delays(card: Scorecard) -> Any:
    rows = [r for r in card.found if r.watcher == INCIDENTS and r.delay_median_seconds is not None]
    figure = go.Figure(layout={"title": "Delay in seconds: median and 90 %", "barmode": "group"})
    names = [_name(row) for row in rows]
    figure.add_bar(name="median", x=names, y=[r.delay_median_seconds for r in rows])
    figure.add_bar(name="90 %", x=names, y=[r.delay_p90_seconds for r in rows])
    return figure


def _leads(card: Scorecard) -> Any:
    title = "Median lead before a cascade's onset in seconds, where a warning was raised"
    figure = go.Figure(layout={"title": title, "barmode": "group"})
    service_watchers, baselines = watchers(card)
    for watcher in (service_watchers[0], *baselines):
        rows = [row for row in card.found if row.watcher == watcher and row.kind == "cascade"]
        figure.add_bar(
            name=watcher,
            x=[_name(row) for row in rows],
            y=[row.lead_median_seconds for row in rows],
        )
    return figure


def _false(card: Scorecard) -> Any:
    figure = go.Figure(
        layout={
            "title": "False alarms per symbol-day (zero is not drawn)",
            "barmode": "group",
            "yaxis": {"type": "log"},
        }
    )
    service_watchers, baselines = watchers(card)
    for watcher in (service_watchers[0], *baselines):
        rows = [r for r in card.false_alarms if r.watcher == watcher and r.per_symbol_day]
        figure.add_bar(
            name=watcher,
            x=[f"{row.scenario}, {row.events_per_second:g}/s" for row in rows],
            y=[row.per_symbol_day.value for row in rows if row.per_symbol_day is not None],
        )
    figure.add_hline(y=card.false_alarms_per_day, line_dash="dot", annotation_text="budget")
    return figure
