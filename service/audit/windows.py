"""The table of mark windows: as text, and as HTML with a plot."""

import math
from collections.abc import Sequence
from html import escape

from detectors.audit.windows import Frontier, Sums, WindowRow
from detectors.fairness.mark_windows import OWN
from service.report.text import facts, html, table

CAVEAT = (
    "The path of prices is held fixed. In a cascade other prices would have followed, so trust the "
    "first liquidations of each wave most."
)
NAMES = {
    OWN: "the venue's own (control)",
    "mid": "mid price",
    "last": "last trade",
    "ema_10s": "10 s premium",
    "ema_30s": "30 s premium",
    "ema_60s": "60 s premium",
    "ema_150s": "150 s premium",
    "sma_60s": "60 s mean price",
}
"""How each window is called."""

HEADS = (
    "mark price", "live 60 s", "live 300 s", "earlier", "regret avoided", "others gain",
    "others lose", "bankrupt", "shortfall",
)  # fmt: skip
_WIDTH, _HEIGHT, _EDGE = 640, 360, 70


def lines(its: Frontier) -> list[str]:
    """Return the table as lines for a terminal."""
    found = ["mark windows: what other mark prices would have made of the liquidations"]
    found += [f"{'':4}{text}" for text in _facts(its)]
    if its.withheld:
        return [*found, f"{'':4}no table: {its.withheld}"]
    cells = [HEADS, *(_cells(row.window, row.every) for row in its.rows)]
    found += _aligned(cells)
    found += [f"{'':4}{CAVEAT}", f"{'':4}the first {its.rows[0].first.liquidations:,}:"]
    found += _aligned([HEADS, *(_cells(row.window, row.first) for row in its.rows)])
    return found


def section(its: Frontier) -> str:
    """Return the table and the plot as HTML."""
    begin = f"<h2>Mark windows</h2>\n<p>{' '.join(map(html, _facts(its)))}</p>"
    if its.withheld:
        return f'{begin}<p class="critical">No table: {html(its.withheld)}.</p>'
    flags = "." + "x" * (len(HEADS) - 1)
    every = [list(map(html, _cells(row.window, row.every))) for row in its.rows]
    first = [list(map(html, _cells(row.window, row.first))) for row in its.rows]
    sizes = [
        [html(NAMES[row.window])]
        + [f"{quarter.survivors_300s:,} of {quarter.liquidations:,}" for quarter in row.quarters]
        for row in its.rows
    ]
    quarters = ("mark price", "smallest quarter", "second", "third", "largest")
    return f"""{begin}
{table(HEADS, every, numbers=flags)}
{_plot(its.rows)}
{facts([(name, html(text)) for name, text in _LEGEND.items()])}
<p>{html(CAVEAT)} These are the first {its.rows[0].first.liquidations:,}, within ten seconds of the
first of their wave:</p>
{table(HEADS, first, numbers=flags)}
<p>Who would have lived for 300 s, by size of the position:</p>
{table(quarters, sizes, numbers=".xxxx")}"""


_LEGEND = {
    "live": "liquidations that this mark price would not have caused within so long",
    "earlier": "due more than a second earlier than under the venue's own rule",
    "regret avoided": "what those that live would have more after 300 s, at the mid price",
    "others gain, lose": "mid price when this mark price reaches the liquidation price, against "
    "the same of the venue's own rule",
    "bankrupt, shortfall": "positions below zero then, and what others pay for them, more than "
    "under the venue's own rule",
}


def _facts(its: Frontier) -> list[str]:
    judged = its.rows[0].every.liquidations
    seconds = (30, 60, 300)
    back = [f"{count:,} within {s} s" for count, s in zip(its.rebounds, seconds, strict=True)]
    known = (
        f"{judged:,} liquidations; of {its.unknown:,} more the margin, or the prices from a minute "
        "before to five minutes after, are not known."
    )
    return [
        known,
        f"Regret of all: {its.regret:,.0f}. The index was back after {', '.join(back)}.",
    ]  # fmt: skip


def _cells(window: str, its: Sums) -> tuple[str, ...]:
    return (
        NAMES[window], f"{its.survivors_60s:,}", f"{its.survivors_300s:,}", f"{its.earlier:,}",
        f"{its.avoided:,.0f}", f"{its.gained:,.0f}", f"{its.lost:,.0f}", f"{its.bankruptcies:+,}",
        f"{its.shortfall:+,.0f}",
    )  # fmt: skip


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "    "
        + row[0].ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def _plot(rows: Sequence[WindowRow]) -> str:
    """Return regret avoided against shortfall as SVG without script or style."""
    points = [(row.window, row.every.avoided, row.every.shortfall) for row in rows]
    across = _Scale([x for _, x, _ in points], _EDGE, _WIDTH - 170)
    upward = _Scale([y for _, _, y in points], _HEIGHT - _EDGE, 40)
    marks = [
        _line(_EDGE, upward.at(0.0), _WIDTH - 20, upward.at(0.0)),
        _line(across.at(0.0), 40, across.at(0.0), _HEIGHT - _EDGE),
        _text(_WIDTH / 2, _HEIGHT - 16, "regret avoided", "middle", 14),
        _text(_EDGE, 24, "shortfall added", "middle", 14),
    ]
    marks += [
        _text(at, _HEIGHT - _EDGE + 20, f"{value:,.0f}", "middle", 12)
        for value, at in across.ticks()
    ]
    marks += [_text(_EDGE - 6, at + 4, f"{value:,.0f}", "end", 12) for value, at in upward.ticks()]
    placed: list[float] = []
    for window, avoided, short in sorted(points, key=lambda point: -point[2]):
        x, y = across.at(avoided), upward.at(short)
        label = max([y - 7, *(other + 15.0 for other in placed[-1:])])
        placed.append(label)  # points may coincide, their names must not
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="currentColor"/>')
        marks.append(_line(x, y, x + 9, label))
        marks.append(_text(x + 11, label + 4, NAMES[window], "start", 13))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        'aria-label="Regret avoided against shortfall added, a point for each mark price; the '
        f'table above has the numbers">{"".join(marks)}</svg>'
    )


class _Scale:
    """Puts values, and 0, between two places."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self._least, self._most = min(0.0, *values), max(0.0, *values)
        span = self._most - self._least
        self._factor = (end - begin) / span if span else 0.0
        self._begin = begin

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return self._begin + self._factor * (value - self._least)

    def ticks(self) -> list[tuple[float, float]]:
        """Return round values with their places, at most ten."""
        span = self._most - self._least
        if not span:
            return [(0.0, self._begin)]
        step = 10.0 ** math.floor(math.log10(span))
        step *= next((part for part in (0.2, 0.5) if span / (step * part) <= 5.0), 1.0)
        first, last = math.ceil(self._least / step), math.floor(self._most / step)
        return [(number * step, self.at(number * step)) for number in range(first, last + 1)]


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        'stroke-opacity="0.4"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, size: int) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="currentColor">{escape(text)}</text>'
    )
