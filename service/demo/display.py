"""The demo's display: a page on a terminal, plain lines otherwise."""

import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from service.demo.captions import Totals, summary
from service.demo.lines import Lines
from service.demo.observations import Observations
from service.demo.plan import Plan
from service.demo.screen import incidents, page, rule
from service.demo.status import Status
from service.demo.timeline import timeline

_MOST_INCIDENTS = 12
_HEADING_CELLS = 11


def _to_page(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def display(plan: Plan, observations: Observations) -> Iterator[Callable[[Status], None]]:
    """Show a demo. Yields a function to call with each new status."""
    console = Console(highlight=False)
    if not _to_page(console):
        lines = Lines(plan, observations, _write)
        yield lambda status: lines.update(status, time.monotonic())
        return
    with Live(
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        yield lambda status: live.update(
            page(plan, observations, status, width=console.width, rows=console.height), refresh=True
        )


def conclude(plan: Plan, observations: Observations, totals: Totals, log: str) -> None:
    """Print the summary. On a terminal, also the timeline, because the page has been cleared."""
    console = Console(highlight=False)
    # Without a terminal, do not wrap lines.
    width = sys.maxsize
    if _to_page(console):
        width = max(40, console.width) - _HEADING_CELLS
        timeline_page = Group(
            rule("injected scenario (ground truth)"),
            *timeline(plan, observations, console.width),
            Text(),
            rule("incidents"),
            *incidents(plan, observations, _MOST_INCIDENTS),
            Text(),
            rule("summary"),
        )
        console.print(timeline_page)
    for heading, text in [*summary(plan, observations, totals), ("log", log)]:
        first, *others = textwrap.wrap(text, width)
        _write(f"{heading:<{_HEADING_CELLS}}{first}")
        for line in others:
            _write(" " * _HEADING_CELLS + line)


def _write(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's output
