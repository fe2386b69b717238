"""Panels of uniform style, one call each, built with Grafana's dashboard library."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as commons
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
Query = tuple[str, str]
"""An expression, and the legend of its series."""

AMBER = ((None, "green"), (0.7, "orange"), (1.0, "red"))
"""Stress: 1 is an alarm."""
ANY_WARNS = ((None, "green"), (1.0, "orange"))
ANY_ALARMS = ((None, "green"), (1.0, "red"))
NONE_ALARMS = ((None, "red"), (1.0, "green"))

Steps = Sequence[tuple[float | None, str]]


def new_dashboard(uid: str, title: str, description: str, runbook: str) -> dashboard.Dashboard:
    """An empty dashboard with links to the other dashboards and to the runbook."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["foreshock"])
        .timezone("utc")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh("5s")
        .time("now-30m", "now")
        .link(
            dashboard.DashboardLink("Foreshock")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["foreshock"])
            .keep_time(True)
        )
        .link(_link("Runbook", "$runbook"))
        .with_variable(dashboard.ConstantVariable("runbook").value(runbook))
    )


def symbol_variable() -> dashboard.QueryVariable:
    """A variable that selects one of the symbols with series."""
    return (
        dashboard.QueryVariable("symbol")
        .label("Symbol")
        .datasource(SOURCE)
        .query({"query": "label_values(foreshock_symbol_mid_price, symbol)", "refId": "symbols"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(False)
        .include_all(False)
    )


def row(title: str) -> dashboard.Row:
    """A heading."""
    return dashboard.Row(title)


def number(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "short",
    steps: Steps = ((None, "blue"),),
    runbook: str = "",
    width: int = 4,
    no_value: str = "none",
) -> stat.Panel:
    """One current value, on a background color that shows its severity."""
    panel = (
        stat.Panel()
        .color_mode(commons.BigValueColorMode.BACKGROUND)
        .graph_mode(commons.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .no_value(no_value)
        .span(width)
        .height(4)
    )
    return _configured(panel, title, description, [query], unit, steps, runbook, instant=True)


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    steps: Steps | None = None,
    runbook: str = "",
    width: int = 8,
    height: int = 8,
) -> timeseries.Panel:
    """Series over time; ``steps`` are drawn as lines."""
    panel = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(10 if len(queries) == 1 else 0)
        .show_points(commons.VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(commons.TooltipDisplayMode.MULTI))
        .span(width)
        .height(height)
    )
    if steps is not None:
        style = common.GraphThresholdsStyleConfig().mode(commons.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style)
    return _configured(panel, title, description, queries, unit, steps, runbook, instant=False)


def bars(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "short",
    steps: Steps,
    maximum: float = 1.0,
    runbook: str = "",
    width: int = 12,
    height: int = 9,
) -> bargauge.Panel:
    """One bar per series, current values."""
    panel = (
        bargauge.Panel()
        .orientation(commons.VizOrientation.HORIZONTAL)
        .display_mode(commons.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .min(0)
        .max(maximum)
        .span(width)
        .height(height)
    )
    return _configured(panel, title, description, [query], unit, steps, runbook, instant=True)


def rows(
    title: str,
    description: str,
    query: Query,
    *,
    value: str,
    unit: str,
    links: Sequence[tuple[str, str]],
    width: int = 24,
    height: int = 7,
) -> table.Panel:
    """A table of series: one column per label, and one, named ``value``, for the value."""
    renamed = models.DataTransformerConfig(
        id_val="organize",
        options={"excludeByName": {"Time": True}, "renameByName": {"Value": value}},
    )
    linked = [_link(name, url) for name, url in links]
    panel = (
        table.Panel()
        .with_transformation(renamed)
        .data_links(linked)
        .no_value("none")
        .span(width)
        .height(height)
    )
    dataquery = _query("A", query, instant=True).format(_TABLE)
    configured = panel.title(title).description(description).datasource(SOURCE).unit(unit)
    return configured.with_target(dataquery)


_TABLE = prometheus.prometheus.PromQueryFormat.TABLE


def _configured(
    panel: Any,
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    steps: Steps | None,
    runbook: str,
    *,
    instant: bool,
) -> Any:
    panel = panel.title(title).description(description).datasource(SOURCE).unit(unit)
    if steps is not None:
        values = [value for value, _ in steps]
        assert values[0] is None
        assert all(a < b for a, b in pairwise(values[1:]))
        thresholds = [models.Threshold(value=value, color=color) for value, color in steps]
        panel = panel.thresholds(dashboard.ThresholdsConfig().steps(thresholds))
        panel = panel.color_scheme(
            dashboard.FieldColor().mode(
                models.FieldColorModeId.THRESHOLDS
                if instant
                else models.FieldColorModeId.PALETTE_CLASSIC
            )
        )
    if runbook:
        panel = panel.links([_link("What to do", f"$runbook#{runbook}")])
    for position, query in enumerate(queries):
        panel = panel.with_target(_query(chr(ord("A") + position), query, instant=instant))
    return panel


def _query(name: str, query: Query, *, instant: bool) -> prometheus.Dataquery:
    expression, legend = query
    dataquery = prometheus.Dataquery().ref_id(name).expr(expression).legend_format(legend)
    dataquery = dataquery.datasource(SOURCE)
    return dataquery.instant() if instant else dataquery.range()


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(url)
        .target_blank(True)
    )
