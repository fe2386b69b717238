"""Market-wide incidents: incidents of several symbols that open together by more than chance.

Incidents of single symbols open also on calm days. Their rate is the false-alarm budget, or the
rate of the last day if that is higher. If these incidents are independent, several of them rarely
open within one window of a minute. The rate gives the probability of such a window (a scan
statistic). A window that chance produces less than once a month is one incident of the whole
market.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct

from detectors.incidents.alerts import Alert, Evidence, distrusted, firing, resolved
from detectors.incidents.kind import DRIFT, FEED_INTEGRITY, OF_VENUE
from detectors.incidents.scan_statistic import DAY_NS, at_least, clusters_per_day, deviation

NAME = "market_wide"
VERSION = 1

MARKET = "*"
"""The symbol in alerts about the whole market; no real symbol may have this name."""

MIN_PER_DAY = 1.0
"""The smallest expected number of openings a day."""

CHANCE_DAYS = 30.0
"""Chance alone opens a market-wide incident less than once in this number of days."""

MAX_NAMED = 2
"""The number of symbols that an alert names; it gives the number of further symbols."""

MAX_INPUTS = 3
"""The largest number of faults of the members' inputs that an alert repeats."""


class Opening(NamedTuple):
    """The opening of an incident of one symbol; ``at_ns`` is in nanoseconds of event time."""

    at_ns: int
    symbol: str
    alert_id: str
    inputs: tuple[str, ...] = ()


_at = attrgetter("at_ns")


class MarketIncident(Struct):
    """An open market-wide incident, and its last alert.

    ``members`` holds the open incidents of symbols that belong to it, by alert id. ``symbols``
    holds every symbol that has belonged to it.
    """

    alert: Alert
    members: dict[str, Opening]
    symbols: dict[str, None]


def named(symbols: Sequence[str]) -> str:
    """Return symbols (at least one) as a phrase: the first few, and the number of further ones.

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
    """Detects market-wide incidents in the alerts of all symbols.

    Alerts may arrive in any order within a window. A repeated alert has no effect.

    Parameters
    ----------
    min_symbols
        The smallest number of symbols in a market-wide incident.
    window_ns
        The event time within which the incidents of the symbols must open, in nanoseconds.

    Attributes
    ----------
    open
        The open market-wide incident; None without one.
    """

    def __init__(self, min_symbols: int, window_ns: int) -> None:
        self._min_symbols = min_symbols
        self._window_ns = window_ns
        self._newest_ns = 0
        # The start of every incident of the last day by alert id, in order of arrival.
        self._known: dict[str, int] = {}
        self._resolved: set[str] = set()
        # The openings that belong to no market-wide incident, in order of time.
        self._openings: list[Opening] = []
        # The start and end of the last resolved market-wide incident.
        self._last_ns = (0, -1)
        self.open: MarketIncident | None = None

    def step(self, alert: Alert, budget_per_day: float) -> list[Alert]:
        """Process an alert and return the market-wide alerts that it causes.

        A market-wide alert sets the state of the monitor. Alerts of drifts, feeds and positions are
        ignored.

        Parameters
        ----------
        alert
            The next alert, of any symbol.
        budget_per_day
            The number of incidents a day that may open by chance in all symbols together. This is
            the expected rate unless the last day had more.
        """
        if alert.detector in (FEED_INTEGRITY, DRIFT, *OF_VENUE):
            return []
        self._newest_ns = max(self._newest_ns, alert.ts_event)
        if alert.symbol == MARKET:
            self._adopt(alert)
            return []
        new = alert.alert_id not in self._known
        if new:
            self._known[alert.alert_id] = alert.starts_at
            self._expire()
        if alert.status == "resolved":
            self._resolved.add(alert.alert_id)
            if self.open is not None:
                self.open.members.pop(alert.alert_id, None)
        ended = self._end(alert.ts_event)
        if alert.status == "resolved" or not new:
            return ended
        opening = Opening(alert.starts_at, alert.symbol, alert.alert_id, tuple(alert.inputs))
        first_ns, last_ns = self._last_ns
        if self.open is not None and opening.at_ns >= self.open.alert.starts_at:
            self._join(self.open, opening)
        elif not first_ns <= opening.at_ns <= last_ns:  # else the last incident includes it
            insort(self._openings, opening)
            if self.open is None:
                return [*ended, *self._detect(opening, budget_per_day)]
        return ended

    def expected(self, at_ns: int, budget_per_day: float) -> float:
        """Return the expected number of chance openings a day, for a window that ends at ``at_ns``.

        Openings in the window itself do not count.
        """
        until = at_ns - self._window_ns
        return max(MIN_PER_DAY, budget_per_day, len(self._between(until - DAY_NS, until)))

    def _detect(self, opening: Opening, budget_per_day: float) -> list[Alert]:
        """Open an incident if this opening completes a window that chance does not explain."""
        for last in self._between(opening.at_ns, opening.at_ns + self._window_ns + 1):
            cluster = self._between(last.at_ns - self._window_ns, last.at_ns + 1)
            symbols = dict.fromkeys(member.symbol for member in cluster)
            if len(symbols) < self._min_symbols:
                continue
            usual = self.expected(last.at_ns, budget_per_day)
            chance_per_day = clusters_per_day(len(symbols), usual, self._window_ns)
            if chance_per_day * CHANCE_DAYS < 1.0:
                # The detection may be late: the members may already be resolved.
                return [self._open(cluster, usual), *self._end(self._newest_ns)]
        return []

    def _open(self, cluster: Sequence[Opening], openings_per_day: float) -> Alert:
        starts_at, ts_event = cluster[0].at_ns, cluster[-1].at_ns
        symbols = dict.fromkeys(member.symbol for member in cluster)
        mean = openings_per_day * self._window_ns / DAY_NS
        inputs = list(dict.fromkeys(text for member in cluster for text in member.inputs))[
            :MAX_INPUTS
        ]
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
        joined = set(members)
        self._openings = [opening for opening in self._openings if opening not in joined]

    def _join(self, incident: MarketIncident, opening: Opening) -> None:
        if opening.alert_id not in self._resolved:
            incident.members[opening.alert_id] = opening
        incident.symbols[opening.symbol] = None

    def _end(self, ts_event: int) -> list[Alert]:
        """Resolve the market-wide incident if fewer than two of its members are still open.

        Each member ends after its own quiet time, so no further quiet time is needed.
        """
        incident = self.open
        if incident is None or len(incident.members) > 1:
            return []
        ends_at = max(ts_event, incident.alert.ts_event)
        self._close(incident.alert.starts_at, ends_at)
        remaining = "".join(f"; {member.symbol} still is" for member in incident.members.values())
        # After a restart, the log may have no records of the symbols of an earlier alert.
        symbols = named(list(incident.symbols) or ["the symbols"])
        summary = f"{symbols} are no longer under stress at once{remaining}"
        return [resolved(incident.alert, ends_at, summary)]

    def _close(self, starts_at: int, ends_at: int) -> None:
        self.open = None
        self._last_ns = (starts_at, ends_at)

    def _adopt(self, alert: Alert) -> None:
        """Continue from a published market-wide alert, of this monitor or before a restart."""
        is_open = self.open is not None and self.open.alert.alert_id == alert.alert_id
        if alert.status == "resolved":
            self._known[alert.alert_id] = alert.starts_at
            if is_open:
                self._close(alert.starts_at, alert.ts_event)
        elif is_open and self.open is not None:
            self.open.alert = alert
        elif alert.alert_id not in self._known:
            members = list(self.open.members.values()) if self.open is not None else []
            openings = self._between(alert.starts_at, alert.ts_event + 1)
            self._begin(alert, [*members, *openings])

    def _expire(self) -> None:
        """Drop incidents and openings of more than a day ago; such members count as resolved."""
        oldest = self._newest_ns - DAY_NS - 2 * self._window_ns
        while self._known and self._known[known_id := next(iter(self._known))] < oldest:
            del self._known[known_id]
            self._resolved.discard(known_id)
        del self._openings[: bisect_left(self._openings, oldest, key=_at)]
        if self.open is not None:
            members = self.open.members
            for member_id in [i for i, member in members.items() if member.at_ns < oldest]:
                del members[member_id]

    def _between(self, first_ns: int, end_ns: int) -> list[Opening]:
        """Return the openings outside market-wide incidents in [``first_ns``, ``end_ns``)."""
        start = bisect_left(self._openings, first_ns, key=_at)
        return self._openings[start : bisect_left(self._openings, end_ns, lo=start, key=_at)]
