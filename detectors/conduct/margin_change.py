"""The detector ``margin_change``: a venue changes its margins, and positions depend on it.

A change alarms before it takes effect if it would liquidate much, or if nobody announced it.
Margins that go up and down in a day alarm as well: they force positions out when markets are
stressed (procyclicality; Murphy, Vasios and Vause, 2014).
"""

from collections import deque
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from detectors.conduct.detector import Scene
from detectors.conduct.incident import Verdict
from detectors.conduct.parameter_change import (
    ChangedValue,
    Effect,
    ParameterChange,
    effects,
)
from detectors.conduct.top_ups import TopUps, least_notice_seconds
from detectors.fairness.margin_drivers import Driver, Drivers, Past, drivers_of
from detectors.fairness.margin_history import DAY_NS, DEAD_BAND, Change, changes_of, oscillation
from detectors.incidents.alerts import Evidence, Severity
from detectors.incidents.kind import MARGIN_CHANGE as NAME
from detectors.market_data.book_summary import DEPTH_BPS, BookSummary
from detectors.market_data.events import Margin, Position, Reference
from detectors.risk_watch.cascade import money
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement
from detectors.risk_watch.records import CASCADE_RATIO
from detectors.risk_watch.what_if import Standing, standing

MATERIAL_RATIO = 0.01
"""A change alarms if it would liquidate so much of the open interest at once."""

MOST_TURNS = 3
MOST_CHURN = 5.0
"""A number that changes direction so often in a day, or moves so much further than it gets."""

AGAIN_NS = 10_000_000_000
AGAIN_SHARE = 0.1
"""A waiting change is computed again after a tenth of the time that is left, but at most once in
ten seconds: accounts add collateral, or take more risk."""

HOLD_NS = 60_000_000_000
"""A change is told for so long after it took effect."""

OSCILLATION_NS = 3_600_000_000_000
"""Margins that oscillate are told for so long after their last change."""

_DEPTH = DEPTH_BPS.index(50.0)
_MOST_CHANGES = 512
_MOST_WAITING = 16
_SECOND = 1_000_000_000


class _New(NamedTuple):
    """A margin record of this second, and what it changes."""

    margin: Margin
    steps: list[Change]


class _Told(Struct):
    """A change that alarms, or may alarm once the positions are others."""

    margin: Margin
    record: ParameterChange
    computed_ns: int

    def is_due(self, ts_event: int) -> bool:
        """Whether what it would liquidate must be computed again."""
        wait = max(AGAIN_NS, int(AGAIN_SHARE * (self.record.effective_at - self.computed_ns)))
        return ts_event - self.computed_ns >= wait


class _History(Struct):
    """What is known of the margins of one symbol."""

    values: dict[str, float] = {}
    changes: deque[Change] = deque()
    told: list[_Told] = []
    turns: int = 0
    churn: float = 0.0


class MarginChange:
    """Reconstructs the margin parameters of each symbol as steps, and says what a step would do.

    Parameters
    ----------
    notice_seconds
        The notice that the venue promises; a change with less is silent.
    trigger
        What the venue says that its changes follow; a change that does not alarms.
    """

    name = NAME
    version = 1
    quiet_ns = 600 * _SECOND
    over = "no change of margins is pending, and none was made for ten minutes"
    needs: tuple[str, ...] = ("margins", "positions")

    def __init__(self, notice_seconds: float = 0.0, trigger: Driver | None = None) -> None:
        self._notice_seconds = notice_seconds
        self._trigger = trigger
        self._pasts: dict[str, Past] = {}
        self._top_ups = TopUps()
        self.statements: list[Statement] = []
        self._histories: dict[str, _History] = {}
        self._new: list[_New] = []
        # The venue just before the first change of this second that holds at once.
        self._before: Standing | None = None

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Take a margin record; note the open interest of a reference, and who adds margin."""
        if isinstance(event, Position):
            self._top_ups.take(event, scene.holdings)
            return
        if isinstance(event, Reference) and event.open_interest is not None:
            self._past(event.symbol).open_interest = event.open_interest
        if not isinstance(event, Margin):
            return
        history = self._histories.get(event.symbol)
        if history is None:
            history = self._histories[event.symbol] = _History(changes=deque(maxlen=_MOST_CHANGES))
        known = bool(history.values)
        found = changes_of(event.symbol, history.values, event)
        steps = [its for its in found if its.before == its.before]  # a first value is no change
        if known and steps:
            history.changes.extend(steps)
            self._new.append(_New(event, steps))
            second_ends = event.ts_event // _SECOND * _SECOND + _SECOND
            at_once = steps[0].effective_ns <= second_ends and _moves(steps)
            if at_once and self._before is None:
                # At the end of the second the venue has begun to liquidate.
                self._before = standing(scene.holdings, scene.learned, event.ts_event)

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Remember what may be the trigger of a change."""
        self._past(symbol).add(
            ends_at,
            summary.mid,
            depth=summary.bid_depth[_DEPTH] + summary.ask_depth[_DEPTH],
            forced=summary.forced_bought + summary.forced_sold,
        )

    def judge(self, ts_event: int, scene: Scene) -> dict[str, Verdict]:
        """Return the symbols with a change that alarms at the end of a second."""
        self._top_ups.close(ts_event)
        new, self._new = self._new, []
        before, self._before = self._before, None
        by_effect: dict[int, list[_New]] = {}
        for its in new:
            by_effect.setdefault(its.steps[0].effective_ns, []).append(its)
        for effective_ns, group in by_effect.items():
            venue = before if effective_ns <= ts_event else None
            self._note(group, ts_event, venue, scene)
        for history in self._histories.values():
            history.told = [
                its for its in history.told if ts_event < its.record.effective_at + HOLD_NS
            ]
        self._compute_again(ts_event, scene)
        found = {}
        for symbol, history in self._histories.items():
            verdict = _verdict(history, ts_event)
            if verdict is not None:
                found[symbol] = verdict
        return found

    def _compute_again(self, ts_event: int, scene: Scene) -> None:
        """Compute waiting changes again; all of one moment together as soon as one is due."""
        waiting: dict[int, list[_Told]] = {}
        for history in self._histories.values():
            for its in history.told:
                if its.record.moves_liquidations and its.record.effective_at > ts_event:
                    waiting.setdefault(its.record.effective_at, []).append(its)
        for group in waiting.values():
            if not any(its.is_due(ts_event) for its in group):
                continue
            venue = standing(scene.holdings, scene.learned, ts_event)
            computed = effects([its.margin for its in group], venue)
            for its in group:
                its.computed_ns = ts_event
                its.record = _with(its.record, computed[its.record.symbol])

    def _note(self, group: list[_New], ts_event: int, venue: Standing | None, scene: Scene) -> None:
        """Publish changes that take effect together, and keep them until then."""
        moving = [its.margin for its in group if _moves(its.steps)]
        computed = {}
        if moving:
            venue = venue or standing(scene.holdings, scene.learned, ts_event)
            computed = effects(moving, venue)
        least = least_notice_seconds(self._top_ups.answers)
        for margin, steps in group:
            symbol = margin.symbol
            history = self._histories[symbol]
            history.turns, history.churn = _turns(history.changes, ts_event)
            drivers = self._drivers(symbol, ts_event, steps)
            record = _record(margin, steps, history, ts_event, self._notice_seconds, drivers)
            record = replace(record, least_notice_seconds=least)
            if _moves(steps):
                record = _with(record, computed[symbol])
                self._top_ups.watch(margin, scene.holdings)
            self.statements.append(
                Statement("parameter_changes", symbol, ts_event, record.change_id, record)
            )
            history.told = [*history.told, _Told(margin, record, ts_event)][-_MOST_WAITING:]

    def _past(self, symbol: str) -> Past:
        past = self._pasts.get(symbol)
        if past is None:
            past = self._pasts[symbol] = Past()
        return past

    def _drivers(self, symbol: str, ts_event: int, steps: list[Change]) -> Drivers | None:
        """Return what preceded a change; None if no margin rate changes."""
        past = self._past(symbol)
        its = past.observe(ts_event, steps)
        return None if its is None else drivers_of(its, past.observations, self._trigger)


def _moves(steps: list[Change]) -> bool:
    """Whether a change may liquidate: maintenance margins, or the bounds of their tiers."""
    return any("maintenance" in its.name or "up_to_notional" in its.name for its in steps)


def _turns(changes: deque[Change], ts_event: int) -> tuple[int, float]:
    """Return the most turns and the largest churn of a number within the last day."""
    by_name: dict[str, list[Change]] = {}
    for its in changes:
        if ts_event - its.effective_ns < DAY_NS:
            by_name.setdefault(its.name, []).append(its)
    measured = [
        oscillation(sorted(its, key=lambda change: change.effective_ns)) for its in by_name.values()
    ]
    return max((turns for turns, _ in measured), default=0), max(
        (churn for _, churn in measured), default=0.0
    )


def _record(
    margin: Margin,
    steps: list[Change],
    history: _History,
    ts_event: int,
    promised: float,
    drivers: Drivers | None,
) -> ParameterChange:
    effective = steps[0].effective_ns
    notice = max(effective - steps[0].announced_ns, 0) / _SECOND
    is_silent = notice <= 0.0 or notice < promised
    key = f"{margin.symbol}\0{margin.ts_event}\0{effective}\0" + "\0".join(
        f"{its.name}={its.after!r}" for its in steps
    )
    return ParameterChange(
        symbol=margin.symbol,
        ts_event=ts_event,
        change_id=blake2b(key.encode(), digest_size=16).hexdigest(),
        announced_at=margin.announced_at,
        effective_at=effective,
        notice_seconds=notice,
        is_silent=is_silent,
        values=[ChangedValue(its.name, its.before, its.after) for its in steps],
        moves_liquidations=_moves(steps),
        turns=history.turns,
        churn=history.churn,
        drivers=drivers,
        reason=margin.reason,
        rule_version=margin.rule_version,
    )


def _with(record: ParameterChange, effect: Effect) -> ParameterChange:
    return replace(record, **effect._asdict())


def _is_large(its: ParameterChange) -> bool:
    """Whether a change of maintenance or of the mark window is more than a rounding."""
    return any(
        abs(value.after / value.before - 1.0) >= DEAD_BAND
        for value in its.values
        if value.before > 0.0 and ("maintenance" in value.name or "window" in value.name)
    )


def _breaks_trigger(its: ParameterChange) -> bool:
    """Whether the venue declares what its changes follow, and this one does not."""
    drivers = its.drivers
    return (
        drivers is not None
        and drivers.declared_trigger is not None
        and drivers.follows_trigger is False
    )


def _verdict(history: _History, ts_event: int) -> Verdict | None:
    alarming = [
        its.record
        for its in history.told
        if its.record.at_once_ratio >= MATERIAL_RATIO
        or (its.record.is_silent and (its.record.at_once_accounts or _is_large(its.record)))
        or _breaks_trigger(its.record)
    ]
    if alarming:
        worst = max(alarming, key=lambda its: its.at_once_ratio)
        return _of_change(worst, ts_event)
    oscillates = history.turns >= MOST_TURNS or history.churn >= MOST_CHURN
    if not oscillates or ts_event - history.changes[-1].effective_ns >= OSCILLATION_NS:
        return None
    return Verdict(
        severity="warning",
        score=float(history.turns),
        p_value=None,
        evidence=[
            Evidence(NAME, "turns", float(history.turns), float(MOST_TURNS), 1.0),
            Evidence(NAME, "churn", history.churn, MOST_CHURN, 0.0),
        ],
        summary=f"margins changed direction {history.turns} times within a day; together their"
        f" changes are {history.churn:.0f} times what is left of them",
    )


def _of_change(its: ParameterChange, ts_event: int) -> Verdict:
    forced = its.run.p50 or 0.0
    interest = its.at_once_notional / its.at_once_ratio if its.at_once_ratio > 0.0 else 0.0
    is_run = interest > 0.0 and forced >= CASCADE_RATIO * interest
    lost = (its.loss.p50 or 0.0) > 0.0
    severity: Severity = "critical" if is_run or lost or (its.is_silent and forced) else "warning"
    value = max(its.values, key=lambda value: ("maintenance" in value.name, value.after))
    left = (its.effective_at - ts_event) / _SECOND
    when = f"takes effect in {left:.0f} s" if left > 0.0 else "has taken effect"
    noticed = ""
    if its.is_silent:
        known = f"with only {its.notice_seconds:.0f} s notice"
        noticed = f", {known if its.notice_seconds > 0.0 else 'announced by nobody'}"
    if _breaks_trigger(its) and its.drivers is not None:
        noticed += f", and does not follow the declared {its.drivers.declared_trigger}"
    parts = [f"{value.name} {value.before:g} to {value.after:g} {when}{noticed}"]
    if its.at_once_accounts:
        parts.append(
            f": {its.at_once_accounts} accounts are below maintenance by it,"
            f" {money(its.at_once_notional)} ({its.at_once_ratio:.1%} of open interest)"
        )
    elif its.moves_liquidations:
        parts.append(": it liquidates nobody as things stand")
    if forced > 1.05 * its.at_once_notional:
        parts.append(f"; their sales would force out {money(forced)} in all")
    elsewhere = sum(other.notional for other in its.elsewhere)
    if elsewhere > 0.0:
        parts.append(f", and {money(elsewhere)} in other symbols")
    if lost:
        parts.append(f"; {money(its.loss.p50 or 0.0)} would be lost beyond collateral")
    return Verdict(
        severity=severity,
        score=its.at_once_ratio,
        p_value=None,
        evidence=[
            Evidence(NAME, "at_once_ratio", its.at_once_ratio, MATERIAL_RATIO, 1.0),
            Evidence(NAME, "at_once_accounts", float(its.at_once_accounts), 0.0, 0.0),
            Evidence(NAME, "run_notional", forced, 0.0, 0.0),
            Evidence(NAME, "notice_seconds", its.notice_seconds, 0.0, 0.0),
        ],
        summary="".join(parts),
    )
