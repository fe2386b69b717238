"""The page of the report: one HTML file that contains everything and loads nothing."""

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.incidents.kind import kind
from service.describe import moment
from service.presentation.assets import inlined, plotly_js, shared_text, static_text
from service.presentation.incidents import GRAVITY
from service.presentation.series import COLUMNS
from service.report.collect import Collected, SymbolSummary
from service.report.envelope import Envelope
from service.report.sections import (
    About,
    incidents_table,
    input_facts,
    method,
    symbols_table,
    verdict,
)
from service.report.text import html

PLOTTED = 12
"""Plotted symbols: those with the gravest incidents, then the most stressed ones."""

STRIPES = 40
"""Symbols in the overview of stress."""

STRIPE_BINS = 400
"""Time bins in the overview of stress."""

_STRESS = COLUMNS.index("stress_ratio")
_DIGITS = {"mid": 7}


def page(collected: Collected, about: About) -> str:
    """Return the report as HTML."""
    ranked = rank(collected)
    plotted = [summary for summary in ranked if summary.symbol in collected.series][:PLOTTED]
    numbers = {summary.symbol: number for number, summary in enumerate(plotted)}
    data = {
        "symbols": [_plot(collected, summary) for summary in plotted],
        "stripes": _stripes(collected, ranked),
        "risk": collected.risk.plots(),
    }
    # A "<" in the data could end the script element around it.
    encoded = msgspec.json.encode(data).replace(b"<", b"\\u003c").decode()
    styles = [shared_text("theme.css"), static_text("service.report", "report.css")]
    modules = [shared_text("format.js"), shared_text("plots.js")]
    script = inlined([*modules, static_text("service.report", "report.js")])
    plotly = plotly_js().decode()
    policy = (
        f"default-src 'none'; script-src {hashes([plotly, script])}; style-src {hashes(styles)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    sections = "\n".join(_section(collected, summary, numbers) for summary in plotted)
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Foreshock: {html_title(about.directory)}</title>
<style id="plotly.js-style-global" class="no-inline-styles">{styles[0]}</style>
<style>{styles[1]}</style>
</head>
<body>
<h1>Foreshock report <small>{html(about.directory)}</small></h1>
{verdict(collected, about)}
<h2>Incidents</h2>
{incidents_table(collected, numbers)}
{collected.risk.section()}
<h2 id="overview">Stress of the symbols over time</h2>
<p class="muted">Pale is ordinary, yellow is close to an alarm, red is an alarm. Drag over a plot
to zoom all plots to that time. Double-click to reset.</p>
<div id="stripes" role="img" aria-label="stress of the symbols over time; the tables have the data">
</div>
{sections}
<h2>Symbols</h2>
{symbols_table(collected, ranked, numbers)}
<h2>Input and settings</h2>
{input_facts(about)}
<h2>About this page</h2>
{method(collected, about, len(plotted))}
<script type="application/json" id="data">{encoded}</script>
<script>{plotly}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def html_title(text: str) -> str:
    """Return text for a title, which cannot contain elements."""
    return html(text).removeprefix("<bdi>").removesuffix("</bdi>")


def rank(collected: Collected) -> list[SymbolSummary]:
    """Return the symbols, ordered by the gravest incident, number of incidents and peak stress."""
    worst: dict[str, tuple[int, int]] = {}
    for incident in collected.incidents.values():
        fired = incident.fired
        if kind(fired.detector, fired.severity) == "alarm":
            gravity, count = worst.get(fired.symbol, (0, 0))
            worst[fired.symbol] = (max(gravity, GRAVITY[fired.severity]), count + 1)
    return sorted(
        collected.symbols.values(),
        key=lambda s: (worst.get(s.symbol, (-1, 0)), s.peak_stress_ratio, s.events),
        reverse=True,
    )


def hashes(texts: Sequence[str]) -> str:
    """Return the hashes with which the policy allows exactly these inline texts."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _section(collected: Collected, summary: SymbolSummary, numbers: dict[str, int]) -> str:
    number = numbers[summary.symbol]
    series = collected.series[summary.symbol]
    merged = series.bars_per_bucket
    seconds = merged * collected.bar_ns / 1e9
    drawn = (
        "the plot shows every bar"
        if merged == 1
        else f"the plot shows the lowest and highest value of every {merged} bars ({seconds:g} s)"
    )
    return f"""<section class="symbol" id="symbol-{number}">
<h2>{html(summary.symbol)}</h2>
<p class="muted">{summary.bars:,} bars, {summary.events:,.0f} orders, cancels and trades, from
{moment(summary.first_ns)} to {moment(summary.last_ns)}; {drawn}</p>
<div class="plot" role="img" aria-label="price, depth, activity, leverage, stress and scores"></div>
</section>"""


def _plot(collected: Collected, summary: SymbolSummary) -> dict[str, Any]:
    """Return the data for the plots of a symbol."""
    series = collected.series[summary.symbol]
    bars, values = series.points()
    incidents = [
        {
            "kind": kind(incident.fired.detector, incident.fired.severity),
            "severity": incident.fired.severity,
            "starts_ms": incident.fired.starts_at // 1_000_000,
            "ends_ms": None if incident.ended is None else incident.ended.ts_event // 1_000_000,
        }
        for incident in collected.incidents.values()
        if incident.fired.symbol == summary.symbol
    ]
    return {
        "symbol": summary.symbol,
        "incidents": incidents,
        "bars": {
            "ts_ms": (bars * collected.bar_ns // 1_000_000).tolist(),
            "step_ms": series.bars_per_bucket * collected.bar_ns / 1e6,
            "columns": {
                name: _rounded(values[:, place], _DIGITS.get(name, 4))
                for place, name in enumerate(COLUMNS)
            },
        },
    }


def _rounded(values: NDArray[Any], digits: int) -> list[float | int | None]:
    """Round values to the digits that a plot can show; whole numbers become integers."""
    rounded = (float(f"{value:.{digits}g}") for value in values.tolist())
    return [
        None if not math.isfinite(value) else int(value) if value.is_integer() else value
        for value in rounded
    ]


def _stripes(collected: Collected, ranked: Sequence[SymbolSummary]) -> dict[str, Any]:
    """Return the highest stress of each symbol in equal bins of the whole time."""
    rows = [summary for summary in ranked if summary.symbol in collected.series][:STRIPES]
    if not rows:
        return {"symbols": [], "ts_ms": [], "stress": []}
    first = min(summary.first_ns for summary in rows) // collected.bar_ns
    last = max(summary.last_ns for summary in rows) // collected.bar_ns + 1
    bins = min(STRIPE_BINS, last - first)
    edges = np.linspace(first, last, bins + 1)
    return {
        "symbols": [summary.symbol for summary in rows],
        "ts_ms": (edges[:-1] * (collected.bar_ns / 1e6)).round().tolist(),
        "stress": [_stripe(collected.series[summary.symbol], edges) for summary in rows],
    }


def _stripe(series: Envelope, edges: NDArray[Any]) -> list[float | int | None]:
    bars, values = series.points()
    stress = values[:, _STRESS]
    bins = np.clip(np.searchsorted(edges, bars, side="right") - 1, 0, len(edges) - 2)
    highest = np.full(len(edges) - 1, -1.0)
    known = np.isfinite(stress)
    np.maximum.at(highest, bins[known], stress[known])
    highest[highest < 0.0] = np.nan
    return _rounded(highest, 2)
