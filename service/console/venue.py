"""The venue as a whole: how liquidations would spread, how it treats positions, kill switches."""

from collections.abc import Iterable
from heapq import nlargest

from msgspec import Struct

from detectors.conduct.crowding import NAME as CROWDING
from detectors.conduct.monitor import ConductMonitor
from detectors.incidents.alerts import Severity
from detectors.kill_switch.machine import Memory
from detectors.kill_switch.table import LEVELS, State
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.records import Interval, finite, interval
from detectors.risk_watch.spread import SIDES, Spread
from service.console.risk import unwatched
from service.web.view import View

NODES = 12
"""How many sides of symbols the graph shows beside those on the way, those with most money."""

EDGES = 30
"""How many edges the graph shows, the largest."""

LEAST_GAIN = 0.05
"""Smaller edges are not shown."""

SWITCHES = 50
"""How many kill switches are listed, the strictest first."""

CONDUCT_INCIDENTS = 3
"""How many open incidents of a detector of the venue's conduct are told, the worst first."""

AT_RISK_BPS = 100.0

NOTHING_SPREADS = "Liquidations would force nothing further, as far as is known."


class NodeView(Struct, frozen=True):
    """A side of a symbol.

    ``notional`` is what a move of 1 % would liquidate by the last published record, 0 without one.
    ``step`` is its place on the way of the spread: 0 for the seed; None if it is not on it.
    """

    symbol: str
    side: str
    notional: float
    step: int | None


class EdgeView(Struct, frozen=True):
    """What a unit that is liquidated in a node newly forces in another; indices of ``nodes``.

    ``on_path``: the way of the spread takes this edge, ``seconds`` after its beginning.
    """

    source: int
    target: int
    gain: float
    channel: str
    on_path: bool
    seconds: float | None


class ContagionView(Struct, frozen=True):
    """How liquidations would spread; ``note`` says why nothing else is stated.

    ``radius`` is what a unit forces in the long run. The others are those of `Spread`.
    """

    note: str = ""
    incident: str = ""
    radius: Interval | None = None
    probability: float | None = None
    elsewhere_ratio: float | None = None
    doubling_seconds: float | None = None
    reach_ratio: float | None = None
    nodes: list[NodeView] = []
    edges: list[EdgeView] = []


class SwitchView(Struct, frozen=True):
    """The state of a kill switch: why, since when, until when without a renewal, and by whom."""

    symbol: str
    state: State
    reason: str
    since_ms: int | None
    until_ms: int | None
    by: str


class ConductView(Struct, frozen=True):
    """What a detector of the venue's conduct finds.

    ``missing`` names the streams that it needs and that no topic has. ``incidents`` has the
    sentences of its open incidents, the worst first, and ``severity`` the worst of them; None
    without one. Of `crowding`, which has none, they name the symbols that are not ordinary.
    """

    detector: str
    missing: list[str]
    severity: Severity | None
    incidents: list[str]


class VenueView(Struct, frozen=True):
    """The venue as a whole.

    ``conduct`` has the detectors of how it treats positions; ``conduct_note`` says why there are
    none. ``switches`` has the kill switches that are not armed; ``armed`` counts the others.
    """

    contagion: ContagionView
    switches: list[SwitchView]
    armed: int
    conduct: list[ConductView]
    conduct_note: str = ""


def venue(view: View) -> VenueView:
    """Return the state of the venue; nothing is computed anew."""
    memories = view.switch_memories
    moved = [pair for pair in memories.items() if pair[1].state != "armed"]
    listed = nlargest(SWITCHES, moved, key=lambda pair: (LEVELS[pair[1].state], pair[1].since_ns))
    return VenueView(
        _contagion(view),
        [switch_view(symbol, memory) for symbol, memory in listed],
        len(memories) - len(moved),
        _conduct(view),
        unwatched(view)[1] if view.conduct is None else "",
    )


def _conduct(view: View) -> list[ConductView]:
    monitor = view.conduct
    if monitor is None:
        return []
    found = []
    for detector in monitor.detectors:
        alerts = [its for its in monitor.open_alerts if its.detector == detector.name]
        alerts.sort(key=lambda its: (its.severity != "critical", its.starts_at))
        found.append(
            ConductView(
                detector.name,
                [*view.conduct_missing.get(detector.name, ())],
                alerts[0].severity if alerts else None,
                [its.summary for its in alerts[:CONDUCT_INCIDENTS]]
                or _context(monitor, detector.name),
            )
        )
    return found


def _context(monitor: ConductMonitor, detector: str) -> list[str]:
    """Return what a detector shows without an incident: the symbols that are not ordinary."""
    if detector != CROWDING:
        return []
    shown = [pair for pair in monitor.crowding.items() if pair[1].state != "ordinary"]
    worst = nlargest(CONDUCT_INCIDENTS, shown, key=lambda pair: pair[1].score)
    return [f"{symbol} is {its.state} (context, no alarm)" for symbol, its in worst]


def switch_view(symbol: str, memory: Memory) -> SwitchView:
    """Return the state of a kill switch from its memory."""
    return SwitchView(
        symbol=symbol,
        state=memory.state,
        reason=memory.reason,
        since_ms=_ms(memory.since_ns),
        until_ms=_ms(memory.until_ns),
        by=memory.by,
    )


def _ms(ns: int) -> int | None:
    return ns // 1_000_000 if ns else None


def _contagion(view: View) -> ContagionView:
    monitor = view.risk
    if monitor is None:
        return ContagionView(unwatched(view)[1])
    spread = monitor.contagion.spread
    if spread is None:
        return ContagionView(NOTHING_SPREADS)
    steps = {spread.seed: 0} | {step.target: 1 + i for i, step in enumerate(spread.path)}
    nodes = _nodes(monitor, spread, steps)
    alert = monitor.contagion.alert
    return ContagionView(
        incident=alert.summary if alert is not None else "",
        radius=interval(spread.radius),
        probability=spread.probability,
        elsewhere_ratio=spread.elsewhere_ratio,
        doubling_seconds=finite(spread.doubling_seconds),
        reach_ratio=spread.reach,
        nodes=[
            NodeView(
                spread.symbols[node // 2],
                SIDES[node % 2],
                _notional(monitor, spread, node),
                steps.get(node),
            )
            for node in nodes
        ],
        edges=_edges(spread, nodes),
    )


def _nodes(monitor: RiskMonitor, spread: Spread, on_path: Iterable[int]) -> list[int]:
    """Return the nodes on the way, in its order, and then those with the most money at risk."""
    chosen = list(on_path)
    others = (node for node in range(2 * len(spread.symbols)) if node not in chosen)
    with_money = {node: its for node in others if (its := _notional(monitor, spread, node)) > 0.0}
    return chosen + nlargest(NODES, with_money, key=lambda node: with_money[node])


def _notional(monitor: RiskMonitor, spread: Spread, node: int) -> float:
    record = monitor.records.get(spread.symbols[node // 2], {}).get(SIDES[node % 2])
    rungs = record.rungs if record is not None else []
    return next((rung.notional for rung in rungs if rung.move_bps == AT_RISK_BPS), 0.0)


def _edges(spread: Spread, nodes: list[int]) -> list[EdgeView]:
    ways = {(step.source, step.target): step.seconds for step in spread.path}
    gains = {
        (source, target): float(spread.matrix[source, target])
        for source in nodes
        for target in nodes
        if spread.matrix[source, target] >= LEAST_GAIN or (source, target) in ways
    }
    largest = nlargest(EDGES, gains, key=lambda edge: (edge in ways, gains[edge]))
    place = {node: index for index, node in enumerate(nodes)}
    return [
        EdgeView(
            source=place[source],
            target=place[target],
            gain=gains[source, target],
            channel=spread.channel(source, target),
            on_path=(source, target) in ways,
            seconds=ways.get((source, target)),
        )
        for source, target in sorted(largest, key=lambda edge: -gains[edge])
    ]
