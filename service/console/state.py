"""The overview of the service and the market for the console, created on request."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.incidents.symbol_incidents import Incident, effects
from detectors.kill_switch.table import State as SwitchState
from detectors.market_data.bar import NEAR_BAND
from detectors.symbol import SETTLING_BARS, SymbolMonitor
from service import __version__
from service.console.health import Check, Level, checks, worst
from service.console.history import History, Ring
from service.console.risk import nearest_cascade_bps
from service.console.venue import VenueView, venue
from service.pipeline.feedback import Verdict
from service.presentation.incidents import IncidentRow, incident_rows
from service.presentation.phrases import describe_feature
from service.presentation.series import STRESSED
from service.settings.types import Settings
from service.web.server import Health
from service.web.view import View

ROWS = 100
"""Symbols in the table: the most stressed ones."""

SHOWN_INCIDENTS = 40
"""Incidents in the list, open ones first."""

HELD_NS = 30_000_000_000
"""The displayed stress is the highest of the last 30 s, so that people can read it."""

CHANGE_NS = 300_000_000_000
"""The price change is relative to the price five minutes before."""

QUIET_NS = 60_000_000_000
"""A symbol without an event for this time is quiet."""

SPARK_BINS = 40
SPARK_NS = 15_000_000_000
"""The small plot of stress: ten minutes, the highest value of every 15 s."""

PACE_SECONDS = 5.0
"""Period over which the rate of events is measured."""

State = Literal["critical", "warning", "elevated", "warming_up", "too_sparse", "calm", "quiet"]
_ORDER = {
    "critical": 5,
    "warning": 4,
    "elevated": 3,
    "calm": 2,
    "warming_up": 1,
    "too_sparse": 0,
    "quiet": 0,
}


class OpenIncident(Struct, frozen=True):
    """The current state of an open incident.

    ``alert_id`` identifies the incident. ``effects`` has a sentence for each noticeable effect on
    the market, the worst first. ``now`` has a pair of detector and sentence for each current alarm,
    the gravest first; it is empty if the last bar had no alarm. ``quiet_seconds`` is
    the time since the last alarm. The incident ends after ``resolves_seconds`` without an alarm.
    """

    alert_id: str
    effects: list[str]
    now: list[tuple[str, str]]
    quiet_seconds: float
    resolves_seconds: float


class SymbolRow(Struct, frozen=True):
    """A symbol in the table.

    ``stress_ratio`` is the highest stress of the last 30 s; ``spark`` has the highest of every 15 s
    (None: no bar). ``depth_ratio`` is the depth near the mid price relative to its baseline.
    ``learned_ratio`` is the completed share of the warm-up. ``mistrusted`` lists the current
    findings against its feed. ``killswitch`` is the state of its kill switch. ``cascade_bps`` is
    the median distance of a cascade on the nearer side; None if unknown or no move sets one off.
    """

    symbol: str
    state: State
    stress_ratio: float | None
    learned_ratio: float
    price: float | None
    change_ratio: float | None
    depth_ratio: float | None
    since_ms: int | None
    incident: OpenIncident | None
    spark: Sequence[float | None]
    mistrusted: list[str]
    killswitch: SwitchState
    cascade_bps: float | None


class Market(Struct, frozen=True):
    """The verdict: the gravest state, and one sentence."""

    state: State | Literal["unknown"]
    sentence: str
    symbol: str | None
    since_ms: int | None


class Overview(Struct, frozen=True):
    """The overview: everything except the detail of one symbol.

    ``market_ms`` is the newest event time. ``judging`` is whether incidents can be judged here;
    ``verdicts`` holds the verdicts on the incidents, by alert id. ``risk_watched`` is whether this
    instance watches the risk of liquidations. ``venue`` is what concerns the venue as a whole.
    """

    version: str
    market_ms: int
    market: Market
    service: Check
    checks: list[Check]
    levels: Mapping[str, Level]
    symbols: list[SymbolRow]
    watched: int
    incidents: list[IncidentRow]
    judging: bool
    verdicts: dict[str, Verdict]
    risk_watched: bool
    venue: VenueView
    read: int
    events_per_second: float
    partitions: int


class Pace:
    """The recent growth rate of a count."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def rate(self, count: int, now: float) -> float:
        """Add the count at ``now`` (monotonic seconds); return its recent growth per second."""
        self._samples.append((now, count))
        while len(self._samples) > 2 and self._samples[1][0] <= now - PACE_SECONDS:
            self._samples.popleft()
        began, before = self._samples[0]
        return (count - before) / (now - began) if now > began else 0.0


def overview(
    view: View,
    health: Health,
    history: History,
    settings: Settings,
    *,
    pace: Pace,
    judging: bool = False,
    clock: Callable[[], float] = time.time,
) -> Overview:
    """Return the current state of the service and the market; ``clock`` in seconds since 1970."""
    found = checks(view, health, history, settings, clock())
    monitors = view.monitors
    now_ns = view.newest_ns
    warmup_bars = SETTLING_BARS + settings.detection.warmup_bars
    listed = nlargest(ROWS, monitors, key=_rank)
    switches = view.switches
    risk = view.risk
    rows = [
        _row(
            m,
            history.rings.get(m.symbol),
            now_ns,
            warmup_bars,
            switches.get(m.symbol, "armed"),
            nearest_cascade_bps(risk, m.symbol) if risk is not None else None,
        )
        for m in listed
    ]
    rows.sort(key=lambda r: (-_ORDER[r.state], r.since_ms or 0, -_steps(r.stress_ratio), r.symbol))
    levels: dict[str, Level] = {check.name: check.level for check in found}
    incidents = incident_rows(history.known_incidents(view.open_alerts), SHOWN_INCIDENTS)
    return Overview(
        version=__version__,
        market_ms=now_ns // 1_000_000,
        market=_market(monitors, rows, levels, worst(found)),
        service=worst(found),
        checks=found,
        levels=levels,
        symbols=rows,
        watched=len(monitors),
        incidents=incidents,
        judging=judging,
        verdicts={
            row.alert_id: judged.verdict
            for row in incidents
            if (judged := view.judgements.of(row.alert_id)) is not None
        },
        risk_watched=view.risk is not None,
        venue=venue(view),
        read=view.counters.records.total(),
        events_per_second=pace.rate(view.counters.records.total(), time.monotonic()),
        partitions=len(view.partitions),
    )


def _rank(monitor: SymbolMonitor) -> tuple[int, float]:
    """Return the key that selects symbols for the table: incidents first, then stress."""
    incident = monitor.incidents.open
    gravity = 0 if incident is None else 1 + (incident.alert.severity == "critical")
    signal = monitor.signal
    stress = signal.stress_ratio if signal is not None else None
    return gravity, -1.0 if stress is None else stress


def _steps(stress_ratio: float | None) -> int:
    """Return stress in coarse steps, so that rows do not swap places constantly."""
    return round((stress_ratio or 0.0) * 10)


def _row(
    monitor: SymbolMonitor,
    ring: Ring | None,
    now_ns: int,
    warmup_bars: int,
    killswitch: SwitchState,
    cascade_bps: float | None,
) -> SymbolRow:
    incident = monitor.incidents.open
    bar, signal = monitor.bar, monitor.signal
    stress = signal.stress_ratio if signal is not None else None
    change = None
    spark: Sequence[float | None] = []
    if ring is not None:
        rows = ring.rows()
        ts, stresses = rows["ts_event"], rows["stress_ratio"]
        recent = stresses[np.searchsorted(ts, now_ns - HELD_NS) :]
        if np.isfinite(recent).any():
            stress = float(np.nanmax(recent))
        spark = _spark(ts, stresses, now_ns)
        change = _change(rows["mid"][np.searchsorted(ts, now_ns - CHANGE_NS) :])
    closed = bar.closed if bar is not None else None
    last_ns = bar.ends_at if bar is not None else 0
    depth = None
    if bar is not None and closed is not None and bar.usual_depth > 0.0:
        depth = closed.depth[NEAR_BAND] / bar.usual_depth
    state: State
    if incident is not None:
        state = "critical" if incident.alert.severity == "critical" else "warning"
    elif monitor.too_sparse:
        state = "too_sparse"
    elif last_ns < now_ns - QUIET_NS:
        state = "quiet"
    elif monitor.warming_up:
        state = "warming_up"
    else:
        state = "elevated" if stress is not None and stress >= STRESSED else "calm"
    return SymbolRow(
        symbol=monitor.symbol,
        state=state,
        stress_ratio=stress,
        learned_ratio=_learned(monitor, warmup_bars),
        price=closed.mid if closed is not None else None,
        change_ratio=change,
        depth_ratio=depth,
        since_ms=incident.alert.starts_at // 1_000_000 if incident is not None else None,
        incident=_open_incident(monitor, incident, now_ns) if incident is not None else None,
        spark=spark,
        mistrusted=monitor.feed.inputs(now_ns),
        killswitch=killswitch,
        cascade_bps=cascade_bps,
    )


def _open_incident(monitor: SymbolMonitor, incident: Incident, now_ns: int) -> OpenIncident:
    readings = monitor.signal.detectors if monitor.signal is not None else {}
    alarmed = [(name, r) for name, r in readings.items() if r.effective and r.contributions]
    alarmed.sort(key=lambda pair: pair[1].p_value or 0.0)
    tops = [(name, reading.contributions[0]) for name, reading in alarmed]
    return OpenIncident(
        alert_id=incident.alert.alert_id,
        effects=effects(incident),
        now=[(name, describe_feature(name, t.feature, t.value, t.expected)) for name, t in tops],
        quiet_seconds=max(0.0, (now_ns - incident.last_alarm_ns) / 1e9),
        resolves_seconds=monitor.incidents.quiet_ns / 1e9,
    )


def _spark(ts: NDArray[Any], stresses: NDArray[Any], now_ns: int) -> list[float | None]:
    """Return the highest stress of each bin, the oldest first."""
    last = now_ns // SPARK_NS
    bins = ts // SPARK_NS - (last - SPARK_BINS + 1)
    known = (bins >= 0) & (bins < SPARK_BINS) & np.isfinite(stresses)
    highest = np.full(SPARK_BINS, -1.0)
    np.maximum.at(highest, bins[known], stresses[known])
    return [None if value < 0.0 else round(value, 3) for value in highest.tolist()]


def _change(mids: NDArray[Any]) -> float | None:
    """Return the relative change from the first price, if that is positive, to the last."""
    known = mids[np.isfinite(mids)]
    return float(known[-1] / known[0] - 1.0) if len(known) and known[0] > 0.0 else None


def _learned(monitor: SymbolMonitor, warmup_bars: int) -> float:
    """Return the completed share of the warm-up."""
    if not monitor.warming_up:
        return 1.0
    learned = max(scorer.bars for scorer in monitor.scorers)
    settled = min(monitor.progress.settled_bars, SETTLING_BARS)
    return min(1.0, (settled + learned) / warmup_bars)


def _market(
    monitors: Sequence[SymbolMonitor],
    rows: Sequence[SymbolRow],
    levels: Mapping[str, Level],
    service: Check,
) -> Market:
    incidents = [m.incidents.open for m in monitors if m.incidents.open is not None]
    if incidents:
        critical = [i for i in incidents if i.alert.severity == "critical"]
        first = min(critical or incidents, key=lambda i: i.alert.starts_at)
        alert = first.alert
        return Market(
            "critical" if critical else "warning",
            alert.summary,
            alert.symbol,
            alert.starts_at // 1_000_000,
        )
    if service.level == "problem":
        return Market("unknown", service.text, None, None)
    elevated = [row for row in rows if row.state == "elevated"]
    if elevated:
        names = ", ".join(row.symbol for row in elevated[:3])
        others = f" and {len(elevated) - 3} others" if len(elevated) > 3 else ""
        sentence = f"{names}{others}: more stress than usual, but no alarm"
        return Market("elevated", sentence, elevated[0].symbol, None)
    if levels.get("warm-up", "ok") != "ok":
        return Market("calm", "no incident is open; some symbols are still warming up", None, None)
    return Market("calm", "no incident is open and no symbol is under stress", None, None)
