"""Which symbols are watched, and how much of their books is kept, where there is not room for all.

Who makes up symbols must not push out real ones. A symbol is on probation until its warm-up is
over; beyond the bound newcomers compete with each other for what room there is, and those that
have been watched for longer stay (a segmented LRU, which a scan does not empty: Karedla, Love and
Wherry, 1994). Only one that has been quiet for a day makes room for a newcomer.
"""

from collections.abc import Callable, Mapping, Sequence

from detectors.symbol import SymbolMonitor

IDLE_NS = 86_400_000_000_000
"""A symbol without an event for so long is as good as delisted."""


class _Unwatched:
    """Takes the events of symbols that there is no room for."""

    def __init__(self) -> None:
        self.events = 0

    def apply(self, _event: object) -> None:
        self.events += 1


class Admitted(dict[str, SymbolMonitor]):
    """The monitors of the symbols that a run of events is about, each asked for at its first.

    What ``admit`` gives no monitor for is counted in ``refused``, and takes no memory.
    """

    def __init__(self, admit: Callable[[str], SymbolMonitor | None]) -> None:
        super().__init__()
        self._admit = admit
        self._unwatched = _Unwatched()

    def __missing__(self, symbol: str) -> SymbolMonitor | _Unwatched:
        monitor = self._admit(symbol)
        if monitor is None:
            return self._unwatched
        self[symbol] = monitor
        return monitor

    @property
    def refused(self) -> int:
        """The events of symbols that were not admitted."""
        return self._unwatched.events


def newcomers(max_symbols: int) -> int:
    """How many symbols may be admitted beyond the bound until the next bar begins."""
    return max(1, max_symbols // 10)


def expendable(
    monitors: Mapping[str, SymbolMonitor], max_symbols: int, idle_since: int
) -> list[str]:
    """The symbols to forget, so that no more than ``max_symbols`` stay.

    Parameters
    ----------
    monitors
        The watched symbols, the one quiet for longest first.
    max_symbols
        The bound. Symbols that are neither idle nor on probation stay, and so does an incident.
    idle_since
        The index of a bar; who had none after it is as good as delisted.
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
    on_probation.sort(key=lambda symbol: _seniority(monitors[symbol]))
    return [*idle, *on_probation][:excess]


def _seniority(monitor: SymbolMonitor) -> tuple[int, int]:
    """Who was active longer ago goes first; of those alike, who has been there for less long."""
    return monitor.progress.bar_index, monitor.progress.settled_bars


class BookRoom:
    """Holds all books of a partition together to a bound.

    Looked after now and then: no event adds more than one order, so that the bound is exceeded by a
    sixteenth at most.

    Parameters
    ----------
    max_orders
        How many orders may rest in all of them.
    """

    def __init__(self, max_orders: int) -> None:
        self.max_orders = max_orders
        self._events = 0

    def trim(self, monitors: Mapping[str, SymbolMonitor], events: int) -> list[str]:
        """After so many ``events``: what has rested longest in the largest books goes.

        Returns whose books were trimmed.
        """
        self._events += events
        if self._events < self.max_orders // 16:
            return []
        self._events = 0
        share = fair_share([len(m.book.orders) for m in monitors.values()], self.max_orders)
        largest = [s for s, monitor in monitors.items() if len(monitor.book.orders) > share]
        for symbol in largest:
            book = monitors[symbol].book
            book.evict(len(book.orders) - share)
        return largest


def fair_share(sizes: Sequence[int], room: int) -> int:
    """The most that each may keep so that all together fit.

    What is small is left alone: only the largest give (max-min fairness).

    >>> fair_share([5, 100, 200], 150), fair_share([5, 100], 150)
    (72, 100)
    """
    left = room
    ordered = sorted(sizes)
    for i, size in enumerate(ordered):
        share = left // (len(ordered) - i)
        if size > share:
            return share
        left -= size
    return max(sizes, default=0)
