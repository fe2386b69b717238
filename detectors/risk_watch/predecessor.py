"""What another monitor published before this one, which continues there."""

import math
from collections.abc import Iterable
from operator import attrgetter

from detectors.incidents.alerts import Alert
from detectors.incidents.kind import OF_POSITIONS
from detectors.incidents.market_wide import MARKET
from detectors.risk.log_normal import LogNormal
from detectors.risk_watch.memory import MEMORY_FORMAT, Memory
from detectors.risk_watch.records import RiskRecord

_ts_event = attrgetter("ts_event")


class Predecessor:
    """What was published before.

    Parameters
    ----------
    records, alerts, memories
        What was published last, in any order; other alerts than those about positions, and memories
        of another format, do not matter.

    Attributes
    ----------
    published_ns
        Up to where all was published; 0 if nothing was.
    alerts
        The last alert of each open incident, by its symbol.
    factors
        What was learned of forced flow, for symbols without a memory.
    memories
        The newest memory of each symbol.
    oldest_ns
        The time of the oldest of them; None without one.
    """

    def __init__(
        self,
        records: Iterable[RiskRecord] = (),
        alerts: Iterable[Alert] = (),
        memories: Iterable[Memory] = (),
    ) -> None:
        last = {
            its.symbol: its for its in sorted(alerts, key=_ts_event) if its.detector in OF_POSITIONS
        }
        newest = {its.symbol: its for its in sorted(records, key=_ts_event)}
        self.memories = {
            its.symbol: its
            for its in sorted(memories, key=_ts_event)
            if its.format == MEMORY_FORMAT
        }
        published = [its.ts_event for its in last.values()]
        published += [its.ts_event for its in newest.values()]
        published += [its.ts_event for its in self.memories.values()]
        self.published_ns = max(published, default=0)
        self.alerts = {symbol: its for symbol, its in last.items() if its.status == "firing"}
        self.factors = {
            symbol: LogNormal(
                math.log(its.impact.forced_factor),
                its.impact.forced_deviation,
                its.impact.forced_events,
            )
            for symbol, its in newest.items()
            if its.impact is not None and symbol not in self.memories
        }
        known = [its.ts_event for its in self.memories.values()]
        self.oldest_ns = min(known, default=None)
        self._venue_ns = self.until(MARKET) or min(known, default=0)

    def until(self, symbol: str) -> int:
        """Return up to when a memory holds all of a symbol; 0 without one."""
        memory = self.memories.get(symbol)
        return memory.ts_event if memory is not None else 0

    def spreads_again(self, ts_event: int) -> bool:
        """Whether how liquidations would spread has to be computed again at a time."""
        return ts_event > self._venue_ns
