"""The pages of the review: one HTML file that loads nothing, and a table for the terminal."""

from collections.abc import Iterable, Sequence

from service.describe import moment
from service.presentation.assets import shared_text, static_text
from service.report.page import hashes
from service.report.text import facts, html, table
from service.review.build import ALL, Review, Row
from service.scorecard.statistics import Interval

_MOST_JUDGEMENTS = 5_000


def page(review: Review) -> str:
    """Return the review as HTML."""
    period = f"{moment(review.since, day=True)} to {moment(review.until, day=True)} UTC"
    styles = shared_text("theme.css") + static_text("service.report", "report.css")
    policy = (
        f"default-src 'none'; style-src {hashes([styles])}; base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Foreshock: review of the surveillance</title>
<style>{styles}</style>
</head>
<body>
<h1>Review of the surveillance <small>{period}</small></h1>
<p>For the yearly review of the surveillance system that Article 13(6) of Commission Delegated
Regulation (EU) 2017/589 (RTS 6) requires. An alarm is an incident, counted in the month in which
it opened, in event time. An alarm that nobody judged counts against the false-alarm budget.</p>
{_summary(review)}
<h2>Alarms and judgements by detector</h2>
{_rows(review.rows, by_month=False)}
<h2>By month</h2>
{_rows(review.months, by_month=True)}
<h2>Budgets in force, and changes of the configuration</h2>
{_settings(review)}
<h2>Downtime</h2>
{_gaps(review)}
<h2>Dead letters</h2>
{_dead_letters(review)}
<h2>Judgements</h2>
{_judgements(review)}
<h2>What this review cannot tell</h2>
{_list(review.unknown)}
<h2>Material</h2>
{_sources(review)}
</body>
</html>
"""


def summary(review: Review) -> str:
    """Return the rows by detector as text for a terminal, and what is not known."""
    heads = ("detector", "opened", "critical", "true", "false", "unjudged", "precision")
    rows = [heads, *(_cells(row) for row in review.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([*lines, *(f"note: {sentence}" for sentence in review.unknown)])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.detector,
        str(row.opened),
        str(row.critical),
        str(row.judged_true),
        str(row.judged_false),
        str(row.unjudged),
        _precision(row.precision),
    )


def _precision(precision: Interval | None) -> str:
    if precision is None:
        return "not judged"
    return f"{precision.value:.0%} ({precision.low:.0%} to {precision.high:.0%})"


def _summary(review: Review) -> str:
    total = next((row for row in review.rows if row.detector == ALL), None)
    down = "not known"
    if review.down_seconds is not None and review.observed_seconds is not None:
        down = (
            f"{review.down_seconds / 3_600:,.1f} h of {review.observed_seconds / 3_600:,.1f} h "
            f"({review.down_seconds / review.observed_seconds:.2%})"
        )
    refused = "not known"
    if review.dead_letters is not None:
        counts = (
            count
            for topics in review.dead_letters.values()
            for reasons in topics.values()
            for count in reasons.values()
        )
        refused = f"{sum(counts):,}"
    pairs = [
        ("alarms", f"{total.opened:,}; symbols with one: {review.symbols:,}" if total else "none"),
        ("critical", f"{total.critical:,}" if total else "none"),
        ("judged", f"{total.judged_true + total.judged_false:,}" if total else "none"),
        ("precision, 95 % interval", _precision(total.precision if total else None)),
        ("changes of the configuration", str(sum(bool(its.changes) for its in review.settings))),
        ("downtime", down),
        ("dead letters", refused),
    ]
    return facts(pairs)


def _rows(rows: Sequence[Row], *, by_month: bool) -> str:
    if not rows:
        return '<p class="muted">There was no alarm in the period.</p>'
    heads = ["detector", "kind", "opened", "critical", "true", "false", "unjudged", "precision"]
    cells = []
    for row in rows:
        name, *numbers = map(html, _cells(row))
        cells.append([*([html(row.month)] if by_month else []), name, html(row.kind), *numbers])
    if by_month:
        heads.insert(0, "month")
    return table(heads, cells, numbers=("...xxxxxx" if by_month else "..xxxxxx"))


def _settings(review: Review) -> str:
    rows = [
        [
            html(moment(its.at, day=True)),
            html(f"{its.occasion}, version {its.version}"),
            html("" if its.false_alarms_per_day is None else f"{its.false_alarms_per_day:g}"),
            "<br>".join(html(f"{name}: {budget:g}") for name, budget in its.overrides.items()),
            "<br>".join(map(html, its.changes)),
        ]
        for its in review.settings
    ]
    if not rows:
        return '<p class="muted">Not known: see below.</p>'
    heads = ("from", "by", "budget a symbol and day", "of some symbols", "changes")
    return table(heads, rows, numbers="..x..")


def _gaps(review: Review) -> str:
    if review.gaps is None:
        return '<p class="muted">Not known: see below.</p>'
    if not review.gaps:
        return "<p>At least one instance ran at any time of which the journal tells.</p>"
    rows = [
        [
            html(moment(gap.begins_at, day=True)),
            html(moment(gap.ends_at, day=True)),
            html(f"{(gap.ends_at - gap.begins_at) / 6e10:,.1f}"),
        ]
        for gap in review.gaps
    ]
    return table(("no instance ran from", "to", "minutes"), rows, numbers="..x")


def _dead_letters(review: Review) -> str:
    if review.dead_letters is None:
        return '<p class="muted">Not known: see below.</p>'
    rows = [
        [html(when), html(topic), html(reason), html(f"{count:,}")]
        for when, topics in review.dead_letters.items()
        for topic, reasons in topics.items()
        for reason, count in reasons.items()
    ]
    if not rows:
        return "<p>None was found.</p>"
    return table(("month", "topic", "reason", "records"), rows, numbers="...x")


def _judgements(review: Review) -> str:
    judged = review.judgements[-_MOST_JUDGEMENTS:]
    rows = [
        [
            html(moment(its.starts_at, day=True)),
            html(its.symbol),
            html(its.detector),
            html(its.severity),
            html(its.verdict),
            html(moment(its.judged_at, day=True)),
            html(its.judged_by),
            html(its.note),
            f"<code>{html(its.alert_id)}</code>",
        ]
        for its in judged
    ]
    if not rows:
        return '<p class="muted">No alarm of the period was judged.</p>'
    left_out = len(review.judgements) - len(judged)
    note = f"<p>{left_out:,} earlier ones are only in the JSON file.</p>" if left_out else ""
    heads = ("opened", "symbol", "detector", "severity", "verdict", "judged", "by", "note", "id")
    return note + table(heads, rows)


def _sources(review: Review) -> str:
    rows = [
        [
            html(source.name),
            html(source.place),
            html(f"{source.records:,}"),
            html("" if source.oldest is None else moment(source.oldest, day=True)),
        ]
        for source in review.sources
    ]
    return table(("what", "from", "records", "oldest"), rows, numbers="..x.")


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html(sentence)}</li>' for sentence in sentences)}</ul>"
