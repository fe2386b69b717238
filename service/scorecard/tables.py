"""A table with its title, for Markdown and HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from msgspec import Struct

from service.scorecard import cells


class Table(Struct, frozen=True):
    """A table with its title and what its columns mean."""

    title: str
    note: str
    head: list[str]
    rows: list[list[str]]


def to_markdown(tables: Iterable[Table]) -> str:
    """The tables as Markdown."""
    return "\n".join(_markdown(table) for table in tables)


def to_html(tables: Iterable[Table]) -> str:
    """The tables as HTML."""
    return "\n".join(_html(table) for table in tables)


def _markdown(table: Table) -> str:
    return f"## {table.title}\n\n{table.note}\n\n{cells.markdown_table(table.head, table.rows)}"


def _html(table: Table) -> str:
    return (
        f"<h2>{escape(table.title)}</h2>\n<p>{escape(table.note)}</p>\n<table>\n<thead>"
        f"{_cells('th', table.head)}</thead>\n<tbody>\n"
        + "\n".join(_cells("td", row) for row in table.rows)
        + "\n</tbody></table>"
    )


def _cells(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
