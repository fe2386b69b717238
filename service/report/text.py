"""Formats values as HTML: markup and invisible characters in a value become visible text."""

from collections.abc import Iterable, Sequence
from html import escape

from service.describe import printable


def html(text: object) -> str:
    """Return text as HTML, isolated from the direction of the surrounding text.

    >>> html("<b>")
    '<bdi>&lt;b&gt;</bdi>'
    """
    return f"<bdi>{escape(printable(str(text)))}</bdi>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: str = "") -> str:
    """Format a table; heads and cells are HTML. ``numbers`` has an x for each column of numbers."""
    kinds = [' class="number"' if flag == "x" else "" for flag in numbers.ljust(len(heads))]
    head = "".join(
        f'<th scope="col"{kind}>{text}</th>' for text, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{k}>{c}</td>' for c, k in zip(row, kinds, strict=True))}</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Format a list of names and values; the values are HTML."""
    return f"<dl>{''.join(f'<dt>{escape(n)}</dt><dd>{v}</dd>' for n, v in pairs)}</dl>"
