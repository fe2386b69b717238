"""The text and the tables of a report."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec
from msgspec import Struct

from detectors.incidents.kind import kind
from service import __version__
from service.describe import moment, shown
from service.presentation.incidents import IncidentRow, incident_rows
from service.presentation.phrases import duration
from service.report.collect import SERIES, Collected, SymbolSummary
from service.report.envelope import BUCKETS
from service.report.summary import Summary
from service.report.text import facts, html, table
from service.settings.types import Settings, settings_hash

LISTED = 1_000
"""Highest number of rows in a table, to limit the size of the page."""

REPORTED_SECTIONS = ("time", "detection", "limits", "wire", "overrides", "maintenance")
"""The sections of the settings that affect the result. Connection settings may hold secrets."""


class About(Struct, frozen=True):
    """Origin of a report: the summary of the replay, its settings, its files with their sizes."""

    directory: str
    summary: Summary
    settings: Settings
    files: Mapping[str, int]


def _rows(collected: Collected) -> list[IncidentRow]:
    rows = incident_rows(collected.incidents.values())
    return sorted(rows, key=lambda incident: (incident.starts_ms, incident.symbol))


def verdict(collected: Collected, about: About) -> str:
    """Return the result in the first lines of the page."""
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
        sentences = (
            f"{_count(len(alarms), 'incident')} in {_count(len(symbols), 'symbol')}, "
            f"{len(critical)} critical. First{' critical' if critical else ''} incident: "
            f"<strong>{html(worst.symbol)}</strong> at {moment(worst.starts_ms * 1_000_000)}, "
            f"{html(worst.summary)}."
        )
    else:
        sentences = "No incident."
    feeds = {row.symbol for row in rows if row.kind == "feed"}
    if feeds:
        sentences += (
            f" The feed of {_count(len(feeds), 'symbol')} was unreliable for some time; "
            "see the feed_integrity incidents."
        )
    state = "critical" if critical else "warning" if alarms else "calm"
    return (
        f'<p class="muted">{span}</p><p class="verdict {state}">{sentences}</p>'
        f'<p class="muted">{_rate(about.summary)}</p>'
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rate(summary: Summary) -> str:
    budget = f"the false-alarm budget is {summary.false_alarms_per_day:g} per symbol-day"
    if summary.incidents_per_symbol_day is None:
        sparse = len(summary.sparse_symbols)
        few = f" ({sparse:,} have too few events)" if sparse else ""
        return f"No detection: all symbols were still warming up{few}; {budget}."
    return (
        f"{summary.incidents_per_symbol_day:.2f} incidents per symbol-day over "
        f"{summary.symbol_days:.2g} symbol-days of detection; {budget}."
    )


def incidents_table(collected: Collected, numbers: Mapping[str, int]) -> str:
    """Return the table of incidents with their evidence and links to the plots."""
    rows = _rows(collected)
    if not rows:
        return "<p>None.</p>"
    heads = ("", "symbol", "severity", "opened", "critical", "ended", "summary", "evidence")
    listed = table(heads, [_incident(row, numbers) for row in rows[:LISTED]])
    return listed + _not_listed(len(rows), "incidents")


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
    told = [(its.at_ms, its.text) for its in reversed(row.before)] + [(row.told_ms, row.summary)]
    if row.ends_ms is not None and row.ended is not None:
        told.append((row.ends_ms, row.ended))
    said = "<br>".join(f"{moment(at_ms * 1_000_000)} {html(text)}" for at_ms, text in told)
    label = {
        "alarm": row.severity,
        "change": "lasting change",
        "feed": f"feed, {row.severity}",
        "risk": f"positions, {row.severity}",
    }
    causes = "".join(f"<li>{cause.share:.0%} {html(cause.text)}</li>" for cause in row.causes)
    return (
        link,
        html(row.symbol),
        f'<strong class="{row.severity}">{label[row.kind]}</strong>',
        moment(row.starts_ms * 1_000_000, day=True),
        critical,
        ended,
        f"{said}<br><small>{origin}</small>",
        f"<ul>{causes}</ul>",
    )


def symbols_table(
    collected: Collected, ranked: Sequence[SymbolSummary], numbers: Mapping[str, int]
) -> str:
    """Return the table of symbols in the order of ``ranked``."""
    counts: dict[str, int] = {}
    for incident in collected.incidents.values():
        if kind(incident.fired.detector, incident.fired.severity) == "alarm":
            counts[incident.fired.symbol] = counts.get(incident.fired.symbol, 0) + 1
    heads = ("symbol", "incidents", "peak stress", "at", "price", "change", "events", "bars")
    rows = [_symbol(s, counts.get(s.symbol, 0), numbers.get(s.symbol)) for s in ranked[:LISTED]]
    return table(heads, rows, numbers=" xx xxxx") + _not_listed(len(ranked), "symbols")


def _symbol(summary: SymbolSummary, incidents: int, number: int | None) -> Sequence[str]:
    name = html(summary.symbol)
    judged = summary.peak_stress_ratio >= 0.0
    first = summary.first_mid
    change = summary.last_mid / first - 1.0 if first > 0.0 else math.nan
    return (
        f'<a href="#symbol-{number}">{name}</a>' if number is not None else name,
        f"{incidents:,}",
        f"{summary.peak_stress_ratio:.2f}" if judged else "no score",
        moment(summary.peak_ns, day=True) if judged else "",
        "" if math.isnan(summary.last_mid) else f"{summary.last_mid:.7g}",
        "" if math.isnan(change) else f"{change:+.2%}",
        f"{summary.events:,.0f}",
        f"{summary.bars:,}",
    )


def _not_listed(count: int, noun: str) -> str:
    if count <= LISTED:
        return ""
    return f'<p class="muted">{count - LISTED:,} more {noun} are not listed</p>'


def input_facts(about: About) -> str:
    """Return the events read, by outcome, and the settings."""
    summary, settings = about.summary, about.settings
    rejected = "; ".join(
        f"{html(reason)}: {n:,}" for reason, n in sorted(summary.rejections.items())
    )
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
        ("late", f"{summary.late:,} (applied to the book, not to a bar)"),
        ("rejected", f"{summary.rejected:,}{f' ({rejected})' if rejected else ''}"),
        ("for unknown orders", f"{summary.unknown_orders:,}"),
        ("bars", f"{summary.bars:,}"),
        ("suppressed alarms", suppressed or "none"),
        ("incidents of positions", f"{sum(summary.position_incidents.values()):,}"),
        ("lasting changes", f"{summary.drifts:,}"),
        ("version", escape(__version__)),
        ("settings", f"fingerprint {settings_hash(settings)}; {_settings(settings)}"),
    ]
    return facts(pairs)


def _settings(settings: Settings) -> str:
    """Return the non-default settings of the sections that affect the result."""
    current, default = (
        {section: msgspec.to_builtins(getattr(source, section)) for section in REPORTED_SECTIONS}
        for source in (settings, Settings())
    )
    differing = [
        f"{name} = {shown(value)}"
        for section in REPORTED_SECTIONS
        for name, value in _changed(section, current[section], default[section])
    ]
    return html(", ".join(differing)) if differing else "all relevant settings have their defaults"


def _changed(name: str, current: Any, default: Any) -> list[tuple[str, Any]]:
    if current == default:
        return []
    if isinstance(current, dict):
        return [
            pair
            for key, value in current.items()
            for pair in _changed(f"{name}.{key}", value, default.get(key))
        ]
    return [(name, current)]


def method(collected: Collected, about: About, plotted: int) -> str:
    """Return how the plots were made, and which data the page leaves out."""
    series = [collected.series[s] for s in collected.series]
    merged = max((envelope.bars_per_bucket for envelope in series), default=1)
    seconds = about.settings.time.bar_seconds
    drawn = (
        f"A bar is {seconds:g} s. A plot shows every bar of a symbol, up to {BUCKETS:,} bars. For "
        "longer times, neighbouring bars are merged into buckets, and the plot shows the lowest "
        "and the highest value of each bucket. No extreme is lost. The largest bucket on this page "
        f"is {_count(merged, 'bar')}."
    )
    left = len(collected.symbols) - plotted
    others = (
        f" The page has plots of the {plotted} symbols with the gravest incidents and the highest "
        f"stress; the other {left:,} are in the table only."
        if left > 0
        else ""
    )
    limited = (
        f" The replay had more than {SERIES} symbols: the plots of a symbol that came under stress "
        "late may start late."
        if len(collected.symbols) > SERIES
        else ""
    )
    return (
        f"<p>{drawn}{others}{limited} All times are event times, UTC. Created on "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by <code>foreshock replay --report</code>, "
        f"version {escape(__version__)}. The page is self-contained, and its policy allows no "
        "requests.</p>"
    )
