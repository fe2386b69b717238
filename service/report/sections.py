"""The parts of a report that are text and tables: they say the same as the plots, and more."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec
from msgspec import Struct

from detectors.incidents.kind import kind
from service import __version__
from service.describe import shown
from service.presentation.incidents import IncidentRow, incident_rows
from service.presentation.phrases import duration
from service.report.collect import SERIES, Collected, SymbolSummary
from service.report.envelope import BUCKETS
from service.report.summary import Summary
from service.report.text import facts, html, moment, table
from service.settings.types import Settings, settings_hash

LISTED = 1_000
"""Rows of a table, so that a page stays a page."""

TOLD = ("time", "detection", "limits", "wire", "overrides", "maintenance")
"""The settings that say what a result means. Those of the connection may hold secrets."""


class About(Struct, frozen=True):
    """Where a report comes from: the replay's summary, its settings, its files with their sizes."""

    directory: str
    summary: Summary
    settings: Settings
    files: Mapping[str, int]


def _rows(collected: Collected) -> list[IncidentRow]:
    rows = incident_rows(collected.incidents.values())
    return sorted(rows, key=lambda incident: (incident.starts_ms, incident.symbol))


def verdict(collected: Collected, about: About) -> str:
    """What it came to, in the first lines."""
    rows = _rows(collected)
    alarms = [row for row in rows if row.kind == "alarm"]
    critical = [row for row in alarms if row.severity == "critical"]
    symbols = {row.symbol for row in alarms}
    first = min((s.first_ns for s in collected.symbols.values()), default=0)
    last = max((s.last_ns for s in collected.symbols.values()), default=0)
    span = (
        f"{moment(first, day=True)} to {moment(last, day=True)} UTC "
        f"({duration((last - first) / 1e9)}), {_count(len(collected.symbols), 'symbol')}"
        if collected.symbols
        else "no events"
    )
    if alarms:
        worst = (critical or alarms)[0]
        said = (
            f"{_count(len(alarms), 'incident')} in {_count(len(symbols), 'symbol')}, "
            f"{len(critical)} critical. The first{' critical' if critical else ''} one: "
            f"<strong>{html(worst.symbol)}</strong> at {moment(worst.starts_ms * 1_000_000)}, "
            f"{html(worst.summary)}."
        )
    else:
        said = "No incident."
    feeds = {row.symbol for row in rows if row.kind == "feed"}
    if feeds:
        said += (
            f" What came in for {_count(len(feeds), 'symbol')} was not to be trusted for a while; "
            "see the incidents of feed_integrity."
        )
    state = "critical" if critical else "warning" if alarms else "calm"
    return (
        f'<p class="muted">{span}</p><p class="verdict {state}">{said}</p>'
        f'<p class="muted">{_rate(about.summary)}</p>'
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rate(summary: Summary) -> str:
    budget = f"the budget of false alarms is {summary.false_alarms_per_day:g}"
    if summary.incidents_per_symbol_day is None:
        return f"Nothing was judged: every symbol was still warming up; {budget} a symbol-day."
    return (
        f"{summary.incidents_per_symbol_day:.2f} incidents a symbol-day over "
        f"{summary.symbol_days:.2g} symbol-days that were judged; {budget}."
    )


def incidents_table(collected: Collected, numbers: Mapping[str, int]) -> str:
    """Every incident with its evidence; each leads to its place in the plots."""
    rows = _rows(collected)
    if not rows:
        return "<p>None.</p>"
    heads = ("", "symbol", "severity", "opened", "critical", "ended", "what", "evidence")
    listed = table(heads, [_incident(row, numbers) for row in rows[:LISTED]])
    return listed + _beyond(len(rows), "incidents")


def _incident(row: IncidentRow, numbers: Mapping[str, int]) -> Sequence[str]:
    number = numbers.get(row.symbol)
    ends_ms = "null" if row.ends_ms is None else str(row.ends_ms)
    link = (
        f'<a href="#symbol-{number}" data-from="{row.starts_ms}" data-to="{ends_ms}">show</a>'
        if number is not None
        else ""
    )
    ended = "open at the end"
    if row.ends_ms is not None:
        lasted = duration((row.ends_ms - row.starts_ms) / 1e3)
        ended = f"{moment(row.ends_ms * 1_000_000)}<br><small>{lasted}</small>"
    critical = "" if row.critical_ms is None else moment(row.critical_ms * 1_000_000)
    origin = f"{escape(row.detector)}, score {row.score:.1f}, {html(row.runbook)}"
    word = {"alarm": row.severity, "change": "lasting change", "feed": f"feed, {row.severity}"}
    causes = "".join(f"<li>{cause.share:.0%} {html(cause.words)}</li>" for cause in row.causes)
    return (
        link,
        html(row.symbol),
        f'<strong class="{row.severity}">{word[row.kind]}</strong>',
        moment(row.starts_ms * 1_000_000, day=True),
        critical,
        ended,
        f"{html(row.summary)}<br><small>{origin}</small>",
        f"<ul>{causes}</ul>",
    )


def symbols_table(
    collected: Collected, ranked: Sequence[SymbolSummary], numbers: Mapping[str, int]
) -> str:
    """Every symbol, the most troubled first."""
    told: dict[str, int] = {}
    for incident in collected.incidents.values():
        if kind(incident.fired.detector, incident.fired.severity) == "alarm":
            told[incident.fired.symbol] = told.get(incident.fired.symbol, 0) + 1
    heads = ("symbol", "incidents", "peak stress", "at", "price", "change", "events", "bars")
    rows = [_symbol(s, told.get(s.symbol, 0), numbers.get(s.symbol)) for s in ranked[:LISTED]]
    return table(heads, rows, numbers=" xx xxxx") + _beyond(len(ranked), "symbols")


def _symbol(summary: SymbolSummary, incidents: int, number: int | None) -> Sequence[str]:
    name = html(summary.symbol)
    judged = summary.peak_stress_ratio >= 0.0
    change = summary.last_mid / summary.first_mid - 1.0 if summary.first_mid else 0.0
    return (
        f'<a href="#symbol-{number}">{name}</a>' if number is not None else name,
        f"{incidents:,}",
        f"{summary.peak_stress_ratio:.2f}" if judged else "not judged",
        moment(summary.peak_ns, day=True) if judged else "",
        "" if math.isnan(summary.last_mid) else f"{summary.last_mid:.7g}",
        "" if math.isnan(change) else f"{change:+.2%}",
        f"{summary.events:,.0f}",
        f"{summary.bars:,}",
    )


def _beyond(count: int, noun: str) -> str:
    if count <= LISTED:
        return ""
    return f'<p class="muted">and {count - LISTED:,} {noun} more, which are not listed</p>'


def read(about: About) -> str:
    """What was read and what became of it, and the settings that were in force."""
    summary, settings = about.summary, about.settings
    rejected = "; ".join(f"{html(why)}: {n:,}" for why, n in sorted(summary.rejections.items()))
    suppressed = "; ".join(
        f"{html(alarms['detector'])}, {html(alarms['reason_kind'])}: {int(alarms['count']):,}"
        for alarms in summary.suppressed_alarms
    )
    files = ", ".join(f"{html(name)} ({size:,} bytes)" for name, size in about.files.items())
    pairs = [
        ("directory", html(about.directory)),
        ("files", files),
        ("events read", f"{summary.read:,}"),
        ("scored", f"{summary.scored:,}"),
        ("late", f"{summary.late:,} (in the book, in no bar)"),
        ("rejected", f"{summary.rejected:,}{f' ({rejected})' if rejected else ''}"),
        ("about unknown orders", f"{summary.unknown_orders:,}"),
        ("bars", f"{summary.bars:,}"),
        ("suppressed alarms", suppressed or "none"),
        ("lasting changes", f"{summary.drifts:,}"),
        ("version", escape(__version__)),
        ("settings", f"fingerprint {settings_hash(settings)}; {_settings(settings)}"),
    ]
    return facts(pairs)


def _settings(settings: Settings) -> str:
    """The settings that differ from the defaults, of those that say what a result means."""
    here, default = (
        {section: msgspec.to_builtins(getattr(its, section)) for section in TOLD}
        for its in (settings, Settings())
    )
    differing = [
        f"{name} = {shown(value)}"
        for section in TOLD
        for name, value in _changed(section, here[section], default[section])
    ]
    return html(", ".join(differing)) if differing else "all that matters here is at its default"


def _changed(name: str, here: Any, default: Any) -> list[tuple[str, Any]]:
    if here == default:
        return []
    if isinstance(here, dict):
        return [
            pair
            for key, value in here.items()
            for pair in _changed(f"{name}.{key}", value, default.get(key))
        ]
    return [(name, here)]


def method(collected: Collected, about: About, plotted: int) -> str:
    """How the plots came to be, and what is not on the page."""
    series = [collected.series[s] for s in collected.series]
    merged = max((its.bars_per_bucket for its in series), default=1)
    seconds = about.settings.time.bar_seconds
    drawn = (
        f"A bar is {seconds:g} s. A symbol's bars are drawn as they are, up to {BUCKETS:,} of "
        "them; beyond that, neighbouring bars are merged, and of each such bucket the lowest and "
        "the highest value are drawn, so that no extreme is lost. The largest bucket here is "
        f"{_count(merged, 'bar')}."
    )
    left = len(collected.symbols) - plotted
    others = (
        f" Plotted are the {plotted} symbols with the gravest incidents and the most stress; the "
        f"other {left:,} are in the table only."
        if left > 0
        else ""
    )
    kept = (
        f" More than {SERIES} symbols were seen: the series of a symbol that became stressed late "
        "may begin late."
        if len(collected.symbols) > SERIES
        else ""
    )
    return (
        f"<p>{drawn}{others}{kept} All times are those of the events, UTC. Made on "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by <code>foreshock replay --report</code>, "
        f"version {escape(__version__)}. The page needs nothing but itself, and its "
        "policy lets it fetch nothing.</p>"
    )
