"""What only shows across symbols: incidents that open together more often than chance has it.

Incidents of single symbols open now and then, also on calm days: as often as the budget of false
alarms has it, or as the last day has shown. If they know nothing of each other, a window of a
minute that holds several is rare, and how rare follows from that rate (a scan statistic). What
chance would bring about less than once a month is one incident of the whole market.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct

from detectors.incidents.alerts import Alert, Evidence, distrusted, firing, resolved
from detectors.incidents.kind import DRIFT, FEED_INTEGRITY
from detectors.incidents.scan_statistic import DAY_NS, at_least, clusters_per_day, deviation

NAME = "market_wide"
VERSION = 1

MARKET = "*"
"""Stands for the whole market where an alert names its symbol; no symbol may have this name."""

LEAST_PER_DAY = 1.0
"""The openings a day that are expected where nothing at all is known."""

CHANCE_DAYS = 30.0
"""Chance alone opens an incident of the market less than once in so many days."""

MAX_NAMED = 2
"""The symbols that an alert names; of the others it gives the number."""

MAX_INPUTS = 3
"""The doubts about members' inputs that an alert repeats."""


class Opening(NamedTuple):
    """An incident of one symbol: when it opened (nanoseconds of event time), and which it is."""

    at_ns: int
    symbol: str
    alert_id: str
    inputs: tuple[str, ...] = ()


_at = attrgetter("at_ns")


class MarketIncident(Struct):
    """An open incident of the market, and the alert that told of it.

    ``members`` are the incidents of symbols that are part of it and still open, by alert id;
    ``symbols`` are all that it has had.
    """

    alert: Alert
    members: dict[str, Opening]
    symbols: dict[str, None]


def named(symbols: Sequence[str]) -> str:
    """Symbols, at least one, for a sentence: the first few, and how many more.

    >>> named(["BTC-PERP", "ETH-PERP", "SOL-PERP"])
    'BTC-PERP, ETH-PERP and SOL-PERP'
    >>> named(["BTC-PERP", "ETH-PERP", "SOL-PERP", "XRP-PERP"])
    'BTC-PERP, ETH-PERP and 2 more'
    """
    more = len(symbols) - MAX_NAMED
    rest = symbols[MAX_NAMED:] if more == 1 else [f"{more} more"] if more > 1 else []
    *first, last = *symbols[:MAX_NAMED], *rest
    return f"{', '.join(first)} and {last}" if first else last


class MarketMonitor:
    """Finds market-wide incidents among the alerts of all symbols.

    Alerts may come in any order within a window; a repeat changes nothing.

    Parameters
    ----------
    min_symbols
        Fewer symbols at once are never the market, however rare.
    window_ns
        How close together in event time their incidents must open.

    Attributes
    ----------
    open
        The incident that is open.
    """

    def __init__(self, min_symbols: int, window_ns: int) -> None:
        self._min_symbols = min_symbols
        self._window_ns = window_ns
        self._newest_ns = 0
        # When every incident began that was heard of in the last day, by id, as they were heard of.
        self._known: dict[str, int] = {}
        self._over: set[str] = set()
        # Those among them that opened in no incident of the market, in order of time.
        self._apart: list[Opening] = []
        # From when to when the incident of the market lasted that was the last to end.
        self._last_ns = (0, -1)
        self.open: MarketIncident | None = None

    def step(self, alert: Alert, budget_per_day: float) -> list[Alert]:
        """Take in an alert; the market's alerts that it gives rise to.

        Alerts of the market itself are taken for what they say; drifts and feeds are passed over.

        Parameters
        ----------
        alert
            The next one, of any symbol.
        budget_per_day
            The incidents a day that may open by chance in all symbols together: what is expected
            while the last day has not shown more.
        """
        if alert.detector in (FEED_INTEGRITY, DRIFT):
            return []
        self._newest_ns = max(self._newest_ns, alert.ts_event)
        if alert.symbol == MARKET:
            self._adopt(alert)
            return []
        new = alert.alert_id not in self._known
        if new:
            self._known[alert.alert_id] = alert.starts_at
            self._forget()
        if alert.status == "resolved":
            self._over.add(alert.alert_id)
            if self.open is not None:
                self.open.members.pop(alert.alert_id, None)
        ended = self._end(alert.ts_event)
        if alert.status == "resolved" or not new:
            return ended
        opening = Opening(alert.starts_at, alert.symbol, alert.alert_id, tuple(alert.inputs))
        first_ns, last_ns = self._last_ns
        if self.open is not None and opening.at_ns >= self.open.alert.starts_at:
            self._join(self.open, opening)
        elif not first_ns <= opening.at_ns <= last_ns:  # else it was part of that
            insort(self._apart, opening)
            if self.open is None:
                return [*ended, *self._look(opening, budget_per_day)]
        return ended

    def expected(self, at_ns: int, budget_per_day: float) -> float:
        """The openings a day that chance brings, seen from a window that ends at ``at_ns``.

        What is in the window itself says nothing about that.
        """
        until = at_ns - self._window_ns
        return max(LEAST_PER_DAY, budget_per_day, len(self._between(until - DAY_NS, until)))

    def _look(self, opening: Opening, budget_per_day: float) -> list[Alert]:
        """Open an incident if this opening completes a window that chance does not explain."""
        for last in self._between(opening.at_ns, opening.at_ns + self._window_ns + 1):
            cluster = self._between(last.at_ns - self._window_ns, last.at_ns + 1)
            symbols = dict.fromkeys(its.symbol for its in cluster)
            if len(symbols) < self._min_symbols:
                continue
            usual = self.expected(last.at_ns, budget_per_day)
            by_chance = clusters_per_day(len(symbols), usual, self._window_ns)
            if by_chance * CHANCE_DAYS < 1.0:
                # It may be found late, when its members are over.
                return [self._open(cluster, usual), *self._end(self._newest_ns)]
        return []

    def _open(self, cluster: Sequence[Opening], openings_per_day: float) -> Alert:
        starts_at, ts_event = cluster[0].at_ns, cluster[-1].at_ns
        symbols = dict.fromkeys(its.symbol for its in cluster)
        mean = openings_per_day * self._window_ns / DAY_NS
        inputs = list(dict.fromkeys(words for its in cluster for words in its.inputs))[:MAX_INPUTS]
        alert = firing(
            MARKET,
            NAME,
            VERSION,
            "critical",
            starts_at,
            ts_event,
            score=deviation(len(symbols), mean),
            p_value=at_least(len(symbols), mean),
            evidence=[Evidence(NAME, "symbols_in_window", len(symbols), mean, 1.0)],
            summary=distrusted(
                f"{named(list(symbols))} are under stress at once: {len(symbols)} symbols within"
                f" {(ts_event - starts_at) / 1e9:g} s, usually {mean:.2g} in"
                f" {self._window_ns / 1e9:g} s",
                inputs,
            ),
            inputs=inputs,
        )
        self._begin(alert, cluster)
        return alert

    def _begin(self, alert: Alert, members: Sequence[Opening]) -> None:
        self.open = MarketIncident(alert, {}, {})
        self._known[alert.alert_id] = alert.starts_at
        for opening in members:
            self._join(self.open, opening)
        taken = set(members)
        self._apart = [its for its in self._apart if its not in taken]

    def _join(self, incident: MarketIncident, opening: Opening) -> None:
        if opening.alert_id not in self._over:
            incident.members[opening.alert_id] = opening
        incident.symbols[opening.symbol] = None

    def _end(self, ts_event: int) -> list[Alert]:
        """Resolve the market's incident where fewer than two of its members are still open.

        Each ended after a quiet time of its own; there is no other to wait for.
        """
        incident = self.open
        if incident is None or len(incident.members) > 1:
            return []
        ends_at = max(ts_event, incident.alert.ts_event)
        self._close(incident.alert.starts_at, ends_at)
        left = "".join(f"; {its.symbol} still is" for its in incident.members.values())
        # What was told before a restart may be of symbols that the log tells nothing of any more.
        symbols = named(list(incident.symbols) or ["the symbols"])
        summary = f"{symbols} are no longer under stress at once{left}"
        return [resolved(incident.alert, ends_at, summary)]

    def _close(self, starts_at: int, ends_at: int) -> None:
        self.open = None
        self._last_ns = (starts_at, ends_at)

    def _adopt(self, alert: Alert) -> None:
        """Go on from what was told before: by this monitor, or by the one before a restart."""
        is_open = self.open is not None and self.open.alert.alert_id == alert.alert_id
        if alert.status == "resolved":
            self._known[alert.alert_id] = alert.starts_at
            if is_open:
                self._close(alert.starts_at, alert.ts_event)
        elif is_open and self.open is not None:
            self.open.alert = alert
        elif alert.alert_id not in self._known:
            before = list(self.open.members.values()) if self.open is not None else []
            since = self._between(alert.starts_at, alert.ts_event + 1)
            self._begin(alert, [*before, *since])

    def _forget(self) -> None:
        """Drop what lies more than a day back, and take what is open for so long for over."""
        oldest = self._newest_ns - DAY_NS - 2 * self._window_ns
        while self._known and self._known[its_id := next(iter(self._known))] < oldest:
            del self._known[its_id]
            self._over.discard(its_id)
        del self._apart[: bisect_left(self._apart, oldest, key=_at)]
        if self.open is not None:
            members = self.open.members
            for its_id in [i for i, its in members.items() if its.at_ns < oldest]:
                del members[its_id]

    def _between(self, first_ns: int, end_ns: int) -> list[Opening]:
        """The openings apart from the market's incidents from one time to before another."""
        start = bisect_left(self._apart, first_ns, key=_at)
        return self._apart[start : bisect_left(self._apart, end_ns, lo=start, key=_at)]
