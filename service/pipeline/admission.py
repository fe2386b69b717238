"""Decides, within the limits, which symbols are watched and how much of their books is kept.

A producer that invents symbols must not push out real ones. A symbol is on probation until its
warm-up is over. Above the limit, new symbols compete only with each other for the free room;
symbols past their warm-up stay. This is a segmented LRU, which a scan does not empty (Karedla, Love
and Wherry, 1994). A symbol past its warm-up makes room for a new one only after a day without
events.
"""

from collections.abc import Callable, Container, Mapping, Sequence

from detectors.symbol import SymbolMonitor
from service.pipeline.set_aside import SetAside

IDLE_NS = 86_400_000_000_000
"""The time without an event after which a symbol counts as delisted."""


class _Unwatched:
    """Counts the events of symbols that are not admitted."""

    def __init__(self) -> None:
        self.events = 0

    def apply(self, _event: object) -> None:
        self.events += 1


class Admitted(dict[str, SymbolMonitor]):
    """The monitors of the symbols in a run of events, requested at each symbol's first event.

    Events of symbols for which ``admit`` returns None are counted in ``refused`` and take no
    memory. Events of symbols that are set aside go to ``aside``.
    """

    def __init__(self, admit: Callable[[str], SymbolMonitor | None], aside: SetAside) -> None:
        super().__init__()
        self._admit = admit
        self._aside = aside
        self._unwatched = _Unwatched()

    def __missing__(self, symbol: str) -> SymbolMonitor | _Unwatched | SetAside:
        if symbol in self._aside.reasons:
            return self._aside
        monitor = self._admit(symbol)
        if monitor is None:
            return self._unwatched
        self[symbol] = monitor
        return monitor

    @property
    def refused(self) -> int:
        """The number of events of symbols that were not admitted."""
        return self._unwatched.events


def newcomers(max_symbols: int) -> int:
    """Return how many symbols may be admitted above the limit until the next bar begins."""
    return max(1, max_symbols // 10)


def symbols_to_evict(
    monitors: Mapping[str, SymbolMonitor], max_symbols: int, idle_since: int
) -> list[str]:
    """Return the symbols to evict, so that no more than ``max_symbols`` stay.

    Parameters
    ----------
    monitors
        The watched symbols, the longest inactive first.
    max_symbols
        The limit. Symbols that are neither idle nor on probation stay, and so do symbols with an
        incident.
    idle_since
        The index of a bar; a symbol without a later bar counts as delisted.
    """
    excess = len(monitors) - max_symbols
    if excess <= 0:
        return []
    idle, on_probation = [], []
    for symbol, monitor in monitors.items():
        if monitor.with_incident:
            continue
        if monitor.progress.bar_index < idle_since:
            idle.append(symbol)
        elif monitor.warming_up:
            on_probation.append(symbol)
    on_probation.sort(key=lambda symbol: _eviction_order(monitors[symbol]))
    return [*idle, *on_probation][:excess]


def expired(
    monitors: Mapping[str, SymbolMonitor], before_ns: int, besides: Container[str]
) -> list[str]:
    """Return the symbols that expired by ``before_ns``, without those in ``besides``."""
    return [
        symbol
        for symbol, monitor in monitors.items()
        if monitor.trading.expired_ns(before_ns) is not None and symbol not in besides
    ]


def _eviction_order(monitor: SymbolMonitor) -> tuple[int, int]:
    """Return the sort key: the longest inactive first; then the one with the fewest bars."""
    return monitor.progress.bar_index, monitor.progress.settled_bars


class BookLimit:
    """Keeps all books of a partition together within a limit.

    The limit is checked at intervals. No event adds more than one order, so the books exceed the
    limit by a sixteenth at most.

    Parameters
    ----------
    max_orders
        The largest number of orders that may rest in all books together.
    """

    def __init__(self, max_orders: int) -> None:
        self.max_orders = max_orders
        self._events = 0

    def excess(self, monitors: Mapping[str, SymbolMonitor], events: int) -> dict[str, int]:
        """Count ``events`` and, at intervals, return how many orders the largest books must drop.

        The oldest resting orders are dropped.
        """
        self._events += events
        if self._events < self.max_orders // 16:
            return {}
        self._events = 0
        share = fair_share([len(m.book.orders) for m in monitors.values()], self.max_orders)
        return {
            symbol: excess
            for symbol, monitor in monitors.items()
            if (excess := len(monitor.book.orders) - share) > 0
        }


def fair_share(sizes: Sequence[int], capacity: int) -> int:
    """Return the largest size that each item may keep so that all fit together.

    Small items keep their size; only the largest shrink (max-min fairness).

    >>> fair_share([5, 100, 200], 150), fair_share([5, 100], 150)
    (72, 100)
    """
    free = capacity
    ordered = sorted(sizes)
    for i, size in enumerate(ordered):
        share = free // (len(ordered) - i)
        if size > share:
            return share
        free -= size
    return max(sizes, default=0)
