"""The cells of the scorecard's tables, and a table as Markdown."""

from collections.abc import Iterable, Sequence

from service.scorecard.statistics import Interval

UNDEFINED = "undefined"


def percent(share: Interval | None) -> str:
    """A share with its interval."""
    if share is None:
        return UNDEFINED
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def rate(per_day: Interval | None) -> str:
    """A rate with its interval."""
    if per_day is None:
        return UNDEFINED
    return f"{per_day.value:.2f} ({per_day.low:.2f} to {per_day.high:.2f})"


def seconds(value: float | None) -> str:
    """A time in seconds."""
    return UNDEFINED if value is None else f"{value:.0f} s"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
