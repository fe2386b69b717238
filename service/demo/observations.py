"""The demo's view of the topics: what a subscriber receives, prepared for display."""

from collections import deque

from msgspec import Struct, field

from detectors.closing import Signal
from detectors.incidents.alerts import Alert
from detectors.incidents.kind import kind
from detectors.market_data.events import Trade
from detectors.risk_watch.records import RiskRecord, cascade_of
from service.demo.producer import Progress
from service.exchange.measures import Truth

MINUTE_NS = 60_000_000_000
CHANGE_NS = 5 * MINUTE_NS
"""Price changes are relative to the price of five minutes before."""

HELD_NS = 30_000_000_000
"""The page shows the highest readings of the last half minute; many bars pass per second."""


class SymbolView(Struct):
    """One symbol's recent trades and signals.

    ``prices`` holds one (time, price) per second, ``liquidations`` holds (time, notional),
    ``readings`` holds the signals of the last half minute. All are short.
    """

    symbol: str
    price: float | None = None
    bars: int = 0
    prices: deque[tuple[int, float]] = field(default_factory=deque)
    liquidations: deque[tuple[int, float]] = field(default_factory=deque)
    readings: deque[Signal] = field(default_factory=deque)

    @property
    def change_ratio(self) -> float | None:
        """The price relative to that of five minutes before, minus one."""
        if self.price is None or not self.prices:
            return None
        return self.price / self.prices[0][1] - 1

    @property
    def stress_ratio(self) -> float | None:
        """The highest value of the last half minute; None while warming up."""
        return max(
            (s.stress_ratio for s in self.readings if s.stress_ratio is not None), default=None
        )

    def score(self, detector: str) -> float | None:
        """A detector's highest score of the last half minute; None if there is none."""
        readings = [s.detectors[detector].score for s in self.readings if detector in s.detectors]
        return max((score for score in readings if score is not None), default=None)

    def alarmed(self, detector: str) -> bool:
        """Whether a detector had an alarm in the last half minute."""
        return any(s.detectors[detector].alarm for s in self.readings if detector in s.detectors)


class IncidentView(Struct):
    """An incident: the alerts that opened, escalated and resolved it, and those in between."""

    opened: Alert
    escalated: Alert | None = None
    resolved: Alert | None = None
    updates: list[Alert] = []

    @property
    def severity(self) -> str:
        """The highest severity so far."""
        return self.latest.severity

    @property
    def latest(self) -> Alert:
        """The latest firing alert."""
        newest = self.escalated or self.opened
        return max([newest, *self.updates[-1:]], key=lambda alert: alert.ts_event)


class Observations:
    """Everything observed so far.

    Attributes
    ----------
    symbols
        Views by symbol.
    drifts
        Alerts of lasting changes, by alert id.
    feeds
        Alerts of unreliable feeds, by alert id.
    incidents, positions
        Incidents of the market, and those of positions, by alert id, in the order of opening.
    market_ns, produced
        The exchange's progress: market time and number of records.
    cascades
        Ground truth: the cascades that have begun.
    risks
        The records of risk of each symbol, in the order of arrival; a few hundred.
    """

    def __init__(self, symbols: list[str], start_ns: int) -> None:
        self.symbols = {symbol: SymbolView(symbol) for symbol in symbols}
        self.incidents: dict[str, IncidentView] = {}
        self.positions: dict[str, IncidentView] = {}
        self.drifts: dict[str, Alert] = {}
        self.feeds: dict[str, Alert] = {}
        self.market_ns = start_ns
        self.produced = 0
        self.cascades: list[Truth] = []
        self.risks: dict[str, list[RiskRecord]] = {symbol: [] for symbol in symbols}

    def progress(self, progress: Progress) -> None:
        """Record a progress report of the exchange."""
        self.market_ns = progress.market_ns
        self.produced = progress.produced
        self.cascades += progress.cascades

    def trade(self, trade: Trade) -> None:
        """Record a trade."""
        view = self.symbols[trade.symbol]
        now = trade.ts_event
        view.price = trade.price
        if not view.prices or now >= view.prices[-1][0] + MINUTE_NS // 60:
            view.prices.append((now, trade.price))
        while view.prices[0][0] < now - CHANGE_NS:
            view.prices.popleft()
        if trade.liquidation:
            view.liquidations.append((now, trade.price * trade.quantity))

    def liquidated(self, symbol: str) -> float:
        """Notional liquidated in a symbol over the last minute of market time."""
        liquidations = self.symbols[symbol].liquidations
        while liquidations and liquidations[0][0] < self.market_ns - MINUTE_NS:
            liquidations.popleft()
        return sum(notional for _, notional in liquidations)

    def signal(self, signal: Signal) -> None:
        """Record a signal."""
        view = self.symbols[signal.symbol]
        view.bars += 1
        view.readings.append(signal)
        while view.readings[0].ts_event < signal.ts_event - HELD_NS:
            view.readings.popleft()

    def alert(self, alert: Alert) -> None:
        """Record an alert. Alerts of drifts, of feeds and of positions are no market incidents."""
        alert_kind = kind(alert.detector, alert.severity)
        if alert_kind in ("feed", "change"):
            others = self.feeds if alert_kind == "feed" else self.drifts
            others[alert.alert_id] = alert
            return
        incidents = self.positions if alert_kind == "risk" else self.incidents
        view = incidents.get(alert.alert_id)
        if view is None:
            incidents[alert.alert_id] = IncidentView(alert)
        elif alert.status == "resolved":
            view.resolved = alert
        elif alert.update:
            view.updates.append(alert)
        elif alert.severity == "critical":
            view.escalated = alert

    def risk(self, record: RiskRecord) -> None:
        """Record how far a side of a symbol is from a cascade."""
        self.risks[record.symbol].append(record)

    def nearest(self, symbol: str, until_ns: int | None = None) -> RiskRecord | None:
        """The last record of the side that is nearer to a cascade, as of a time or of now.

        None without one, or if no move sets a cascade off.
        """
        last: dict[str, RiskRecord] = {}
        for record in self.risks[symbol]:
            if until_ns is None or record.ts_event <= until_ns:
                last[record.side] = record
        known = [its for its in last.values() if distance_bps(its) is not None]
        return min(known, key=lambda its: distance_bps(its) or 0.0, default=None)

    def open_incident(self, symbol: str) -> IncidentView | None:
        """The open incident of a symbol, or None."""
        for view in reversed(self.incidents.values()):
            if view.opened.symbol == symbol and view.resolved is None:
                return view
        return None


def distance_bps(record: RiskRecord) -> float | None:
    """The median distance of a cascade; None if it is unknown or no move sets one off."""
    run = cascade_of(record)
    return run.distance_bps.p50 if run is not None else None
