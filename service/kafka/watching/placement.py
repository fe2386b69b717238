"""Finds symbols whose events are not in one partition number, while the service runs.

There are two signs. A symbol is active in several partition numbers that this process owns. Or a
partition receives cancels and trades of a symbol, but no orders. The book of such a symbol is
wrong.
"""

from collections.abc import Iterable

import structlog

from detectors.feed.silence import WATCHED
from detectors.market_data.events import Kind
from detectors.symbol import SymbolMonitor
from service.kafka.partition import Partition

LOOK_SECONDS = 10.0
"""The interval of the check, in seconds."""

MIN_BARS = 60
"""The number of bars of a symbol in a partition after which missing orders are evidence."""

MAX_NAMED = 20
"""The largest number of symbols that are named in the log."""

log = structlog.get_logger("foreshock.placement")


class PlacementWatch:
    """Finds misplaced symbols; the log names each of them once.

    Attributes
    ----------
    misplaced
        The partition numbers of each misplaced symbol at the last check.
    """

    def __init__(self) -> None:
        self.misplaced: dict[str, list[int]] = {}
        self._named: set[str] = set()
        self._next_look = 0.0

    def note(self, partitions: Iterable[Partition], now: float) -> None:
        """Check the owned partitions at ``now`` (monotonic seconds), if a check is due."""
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        numbers: dict[str, list[int]] = {}
        apart = set()
        for partition in partitions:
            for symbol, monitor in partition.task.monitors.items():
                numbers.setdefault(symbol, []).append(partition.number)
                if _has_no_orders(monitor):
                    apart.add(symbol)
        self.misplaced = {
            symbol: sorted(where)
            for symbol, where in numbers.items()
            if len(where) > 1 or symbol in apart
        }
        for symbol in sorted(self.misplaced.keys() - self._named)[: MAX_NAMED - len(self._named)]:
            self._named.add(symbol)
            log.error(
                "a symbol's events are not in one partition number: its book is wrong",
                symbol=symbol,
                partitions=self.misplaced[symbol],
                orders="elsewhere" if symbol in apart else "here",
                remedy="key the records by symbol, with the same partitioner in every producer",
            )


def _has_no_orders(monitor: SymbolMonitor) -> bool:
    """Return whether a symbol has had cancels or trades for a while, but no order."""
    state = monitor.feed.state
    if state.bars < MIN_BARS or monitor.book.orders:
        return False
    events = {
        kind: any(rate.own) for kind, rate in zip(WATCHED, monitor.feed.checks.rates(), strict=True)
    }
    return not events[Kind.ORDER] and (events[Kind.CANCEL] or events[Kind.TRADE])
