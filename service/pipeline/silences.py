"""Silent symbols of a partition: each for itself, or many that stopped at the same time.

Many symbols that stop at once have one cause: they have expired, or a part of the feed has failed.
They are one incident, of one of them, which counts the others.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from detectors.feed.checks import HALTED_NS
from detectors.feed.findings import Finding
from detectors.incidents.alerts import Alert
from detectors.incidents.market_wide import named
from detectors.symbol import SymbolMonitor
from service.pipeline.arrivals import active_since

TOGETHER_NS = 2_000_000_000
"""The largest time between the last bars of symbols that stopped at the same time."""

MANY = 5
"""The smallest number of symbols that are one incident."""

MISSED_EVENTS = 3.0
"""The number of expected but missing events from which a symbol counts as stopped."""


def check_silence(
    monitors: Mapping[str, SymbolMonitor],
    symbols: Iterable[str],
    at_ns: int,
    contain: Callable[..., None],
) -> list[tuple[SymbolMonitor, list[Alert]]]:
    """Find which of ``symbols`` are silent at ``at_ns`` while other symbols are active.

    ``contain(symbol, step, *arguments)`` calls a step with the monitor of a symbol; the symbol is
    set aside if the step raises an exception. Returns the monitors with a changed state, and the
    alerts of each.
    """
    found = _found(monitors, symbols, at_ns, contain)
    if not found:
        return []
    changed: dict[str, list[Alert]] = {}

    def report(monitor: SymbolMonitor, finding: Finding) -> None:
        changed[monitor.symbol] = monitor.feed.report_silence(at_ns, finding)

    last_bars = sorted((its.feed.state.last_bar_ns, symbol) for symbol, its in monitors.items())
    # Sorted, because the order of the monitors may change with a restart.
    for monitor, finding in sorted(found, key=lambda pair: pair[0].symbol):
        if not _reported_by_another(monitor, monitors):
            stopped_ns = monitor.feed.state.last_bar_ns
            near = _between(last_bars, stopped_ns - TOGETHER_NS, stopped_ns + TOGETHER_NS)
            together = [monitors[s] for s in near if s in monitors]
            for symbol in _join(monitor, together, monitors, at_ns):
                changed.setdefault(symbol, [])
        leader = monitor.feed.state.silent_with
        if leader in ("", monitor.symbol):
            told = _counted(monitor, finding, monitors) if leader else finding
            contain(monitor.symbol, report, told)
    return [(monitors[s], alerts) for s, alerts in changed.items() if s in monitors]


def _found(
    monitors: Mapping[str, SymbolMonitor],
    symbols: Iterable[str],
    at_ns: int,
    contain: Callable[..., None],
) -> list[tuple[SymbolMonitor, Finding]]:
    watched = (monitors[symbol] for symbol in symbols if symbol in monitors)
    due = [monitor for monitor in watched if monitor.feed.checks.due_ns <= at_ns]
    found: list[tuple[SymbolMonitor, Finding]] = []
    since_ns = active_since(monitors.values(), at_ns) if due else at_ns

    def look(monitor: SymbolMonitor) -> None:
        finding = _silence(monitor, at_ns, since_ns)
        if finding is not None:
            found.append((monitor, finding))

    for monitor in due:
        contain(monitor.symbol, look)
    return found


def _silence(monitor: SymbolMonitor, at_ns: int, others_since_ns: int) -> Finding | None:
    """Return a finding if a symbol that trades continuously is silent."""
    last_ns = monitor.feed.state.last_bar_ns
    if at_ns - last_ns <= HALTED_NS:
        open_since_ns = monitor.trading.open_since(max(last_ns, others_since_ns), at_ns)
        if open_since_ns is None:
            return None
        others_since_ns = max(others_since_ns, open_since_ns)
    return monitor.feed.silence(at_ns, others_since_ns)


def _leads(symbol: str, monitors: Mapping[str, SymbolMonitor]) -> bool:
    """Whether a symbol is silent and its incident counts other symbols."""
    return symbol in monitors and monitors[symbol].feed.state.silent_with == symbol


def _reported_by_another(monitor: SymbolMonitor, monitors: Mapping[str, SymbolMonitor]) -> bool:
    return _leads(monitor.feed.state.silent_with, monitors)


def _between(last_bars: Sequence[tuple[int, str]], first_ns: int, last_ns: int) -> list[str]:
    """Return the symbols whose last bar ended in [``first_ns``, ``last_ns``]."""
    start = bisect_left(last_bars, first_ns, key=itemgetter(0))
    stop = bisect_right(last_bars, last_ns, key=itemgetter(0))
    return [symbol for _, symbol in last_bars[start:stop]]


def _join(
    monitor: SymbolMonitor,
    near: Sequence[SymbolMonitor],
    monitors: Mapping[str, SymbolMonitor],
    at_ns: int,
) -> list[str]:
    """Find the symbols that stopped together with a silent symbol, and note whose incident it is.

    ``near`` holds the symbols whose last bar is near that of the silent symbol. Returns the symbols
    whose note changed.
    """
    together = [
        its
        for its in near
        if (its is monitor or its.feed.checks.expected(at_ns) >= MISSED_EVENTS)
        and its.trading.phase(at_ns) == "open"
    ]
    if len(together) < MANY:
        return []
    led = sorted(s for its in together if _leads(s := its.feed.state.silent_with, monitors))
    told = sorted(its.symbol for its in together if its.feed.findings.open is not None)
    leader = [*led, *told, min(its.symbol for its in together)][0]
    joining = [its for its in together if not _reported_by_another(its, monitors)]
    for its in joining:
        its.feed.state.silent_with = leader
    return sorted(its.symbol for its in joining)


def _counted(
    leader: SymbolMonitor, finding: Finding, monitors: Mapping[str, SymbolMonitor]
) -> Finding:
    """Return a finding about all symbols that stopped together with the leader."""
    symbols = sorted(
        s for s, its in monitors.items() if its.feed.state.silent_with == leader.symbol
    )
    text = f"{finding.description}; {len(symbols)} symbols stopped at once: {named(symbols)}"
    return finding._replace(description=text)
