"""The result of a scenario as one HTML file that loads nothing."""

from detectors.risk_watch.what_if import WhatIfAnswer
from service.presentation.assets import shared_text, static_text
from service.report.page import hashes
from service.report.text import html, table
from service.what_if.words import columns, described, notes, rows


def page(answer: WhatIfAnswer, source: str) -> str:
    """Return the result as HTML.

    Parameters
    ----------
    answer
        The result.
    source
        Where the positions come from.
    """
    styles = shared_text("theme.css") + static_text("service.report", "report.css")
    policy = (
        f"default-src 'none'; style-src {hashes([styles])}; base-uri 'none'; form-action 'none'"
    )
    told = "".join(f"<li>{html(note)}</li>\n" for note in notes(answer))
    cells = [[html(cell) for cell in row] for row in rows(answer)]
    heads, numbers = columns(answer)
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Foreshock: what if</title>
<style>{styles}</style>
</head>
<body>
<h1>What if <small>{html(source)}</small></h1>
<p class="verdict">{html(described(answer))}</p>
<p>Notional closed and losses beyond collateral are in the quote currency: the median, with the
10 to 90 % interval of the impact. “Before” is the same shock under the venue's present rules.</p>
{table(heads, cells, numbers=numbers)}
<h2>Notes</h2>
<ul>
{told}</ul>
</body>
</html>
"""
