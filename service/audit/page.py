"""The audit as one HTML file that loads nothing."""

from collections.abc import Sequence

from service.audit import windows
from service.audit.result import OUTCOMES, Audit, Row
from service.describe import moment
from service.presentation.assets import shared_text, static_text
from service.presentation.phrases import duration
from service.report.page import hashes, html_title
from service.report.text import facts, html, table

_STYLES = {
    "fail": "critical",
    "pass_weak": "info",
    "pass": "calm",
    "inferred": "info",
    "not_tested": "warning",
}


def page(audit: Audit) -> str:
    """Return the audit as HTML."""
    styles = shared_text("theme.css") + static_text("service.report", "report.css")
    policy = (
        f"default-src 'none'; style-src {hashes([styles])}; base-uri 'none'; form-action 'none'"
    )
    called = audit.venue or audit.directory
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Foreshock: audit of {html_title(called)}</title>
<style>{styles}</style>
</head>
<body>
<h1>Audit <small>{html(called)}</small></h1>
{_verdict(audit)}
{_about(audit)}
<h2>Checks</h2>
{_overview(audit.rows)}
{_details(audit.rows)}
{windows.section(audit.mark_windows) if audit.mark_windows is not None else ""}
<h2 id="plan">Test plan</h2>
<p>What was not tested, the streams that each check needs, and the small experiment that shows
it.</p>
{_plans(audit.rows)}
<h2>Input</h2>
{_files(audit)}
<p class="muted">A rule that depends on a price counts as broken only if it is broken at every mark
price that may have held between two references. A hard rule fails with its first breach; a check
passes if its rate of breaches is below 0.5 % with 97.5 % confidence, and otherwise it is a weak
pass. There is no overall score.</p>
</body>
</html>
"""


def _verdict(audit: Audit) -> str:
    counts = audit.counts()
    style = "critical" if counts["fail"] else "calm"
    parts = ", ".join(f"{counts[name]} {called}" for name, called in OUTCOMES.items())
    return f'<p class="verdict {style}">{parts}</p>'


def _about(audit: Audit) -> str:
    seconds = (audit.last_ns - audit.first_ns) / 1e9
    return facts([
        ("from", html(f"{moment(audit.first_ns, day=True)} UTC, for {duration(seconds)}")),
        ("liquidations", f"{audit.liquidations:,}; {audit.liquidated_notional:,.0f} closed"),
        ("of known health", f"{audit.verified_ratio:.1%} of what was closed"),
    ])  # fmt: skip


def _overview(rows: Sequence[Row]) -> str:
    cells = [
        [
            f'<a href="#{_anchor(row)}">{html(row.number)}</a>',
            html(row.name.replace("_", " ")),
            _outcome(row),
            html(row.sentence),
        ]
        for row in rows
    ]
    return table(("check", "name", "outcome", "finding"), cells)


def _anchor(row: Row) -> str:
    return "plan" if row.outcome == "not_tested" else f"check-{html_title(row.number)}"


def _outcome(row: Row) -> str:
    called = OUTCOMES[row.outcome].replace(" ", "&nbsp;")
    return f'<strong class="{_STYLES[row.outcome]}">{called}</strong>'


def _details(rows: Sequence[Row]) -> str:
    return "\n".join(_detail(row) for row in rows if row.outcome != "not_tested")


def _detail(row: Row) -> str:
    low, high = row.breach_ratio.low, row.breach_ratio.high
    pairs = [("rule", html(row.rule))]
    if row.claim:
        pairs.append(("claim", html(row.claim)))
    if row.population and row.outcome != "inferred":
        pairs.append(
            ("breaches", (f"{row.breaches:,} of {row.population:,} ({low:.2%} to {high:.2%}); "
             f"{row.borderline:,} borderline"))
        )  # fmt: skip
    if row.money:
        pairs.append(("at stake", f"{row.money:,.2f}"))
    if row.tolerance:
        pairs.append(("tolerance", html(row.tolerance)))
    pairs += [(name, html(_value(value))) for name, value in row.facts.items()]
    pairs.append(("source", html(row.source)))
    return (
        f'<section><h2 id="check-{html_title(row.number)}">{html(row.number)}. '
        f"{html(row.name.replace('_', ' '))} <small>{_outcome(row)}</small></h2>\n"
        f"<p>{html(row.sentence)}.</p>\n{facts(pairs)}\n{_cases(row)}</section>"
    )


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.6g}"


def _cases(row: Row) -> str:
    if not row.cases:
        return ""
    cells = [
        [
            html(f"{moment(case.ts_event, day=True)}.{case.ts_event % 1_000_000_000:09d}"),
            html(case.symbol),
            html(case.account),
            html(case.story),
            html(f"{case.money:,.2f}"),
        ]
        for case in row.cases
    ]
    return table(("time", "symbol", "account", "case", "money"), cells, numbers="....x")


def _plans(rows: Sequence[Row]) -> str:
    cells = [
        [
            html(row.number),
            html(row.name.replace("_", " ")),
            html(", ".join(row.inputs)),
            html(row.missing),
            html(row.plan),
        ]
        for row in rows
        if row.outcome == "not_tested"
    ]
    if not cells:
        return '<p class="muted">Every check ran.</p>'
    return table(("check", "name", "streams", "missing", "experiment"), cells)


def _files(audit: Audit) -> str:
    cells = [
        [html(file.name), html(f"{file.size:,}"), html(f"{file.refused:,}"), html(file.sha256)]
        for file in audit.files
    ]
    return table(("file", "bytes", "records left out", "SHA-256"), cells, numbers=".xx.")
