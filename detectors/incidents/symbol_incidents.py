"""Incidents of one symbol: alarms become a few alerts that open, escalate and resolve.

A symbol has at most one incident at a time. It opens on the first alarm and resolves after a quiet
time. It becomes critical by its effect on the market: at once if the effect is severe, and if it is
noticeable, when the alarm persists or a second detector joins. In between it is told again when it
changes materially, see `detectors.incidents.updates`.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from detectors.detector import Detector, sentence
from detectors.incidents.alerts import (
    MAX_EVIDENCE,
    Alert,
    Evidence,
    Reason,
    distrusted,
    ended,
    firing,
    history,
    resolved,
)
from detectors.incidents.market_effect import (
    NOTICEABLE,
    SEVERE,
    Effect,
    MarketNow,
    Part,
    Reference,
    consequence,
    depths,
    described,
    effect_of,
    grades,
    measured,
    reference,
    worst,
)
from detectors.incidents.updates import Told, needs_update
from detectors.market_data.bar import NEAR_BAND
from detectors.market_data.events import LATEST_NS
from detectors.scorer import Reading

PERSISTENT_BARS = 10
"""The number of alarmed bars that makes an incident with a noticeable effect critical."""

SEVERE_BARS = 3
"""The number of bars in a row with a severe effect that makes an incident critical: a gap that
makers fill within seconds is no reason to hold trading."""


PLUG_IN_RUNBOOK = "docs/runbook.md#a-detector-of-your-own"
"""The section for all detectors that are not built in."""


class Alarm(Struct, frozen=True):
    """The alarm of one detector in one bar."""

    score: float
    p_value: float
    sentence: str
    evidence: list[Evidence]


class Incident(Struct):
    """An open incident. ``alert`` is its last alert, and ``told`` what that says.

    ``opening`` is the sentence of its first alarm. ``alarming`` names the detectors that alarm in
    the last bar, the rarest alarm first. ``alarm`` is the rarest one of the last bar with an alarm,
    and ``untold`` the rarest one since the last record, None without one. ``reference`` is the
    market when the incident began and ``effect`` the change since then. ``near`` is the depth of
    each side at the end of the last bar. ``bars`` is the number of bars with events since it began,
    and ``severe_bars`` of the last ones in a row with a severe effect. ``peak`` is the gravest
    noticeable effect so far.
    """

    alert: Alert
    detectors: list[str]
    alarmed_bars: int
    last_alarm_ns: int
    opening: str = ""
    alarm: Alarm | None = None
    untold: Alarm | None = None
    alarming: list[str] = []
    least_p_value: float = 1.0
    reference: Reference | None = None
    effect: Effect | None = None
    near: tuple[float, float] = (0.0, 0.0)
    bars: int = 0
    severe_bars: int = 0
    peak: Effect | None = None
    told: Told | None = None


def confirmation(incident: Incident) -> str | None:
    """Return what makes an incident with a noticeable effect critical; None if nothing does."""
    if len(incident.detectors) > 1:
        return f"{' and '.join(incident.detectors)} confirm it"
    if incident.alarmed_bars >= PERSISTENT_BARS:
        return f"it has lasted for {incident.alarmed_bars} bars"
    return None


def is_critical(incident: Incident) -> bool:
    """Return whether the state of an incident is critical now.

    Where the effect on the market cannot be measured, what confirms the incident decides.
    """
    if incident.severe_bars >= SEVERE_BARS:
        return True
    noticed = incident.effect is None or worst(grades(incident.effect))[1] >= NOTICEABLE
    return noticed and confirmation(incident) is not None


def effects(incident: Incident) -> list[str]:
    """Say the effects on the market that are noticeable now, the worst first."""
    effect, origin = incident.effect, incident.reference
    if effect is None or origin is None:
        return []
    return [described(part, effect, origin) for part in _noticeable(effect)]


def _noticeable(effect: Effect) -> list[Part]:
    graded = grades(effect)
    parts = [part for part, grade in graded.items() if grade >= NOTICEABLE]
    return sorted(parts, key=lambda part: -graded[part])


def headline(incident: Incident) -> str:
    """Say the worst that is true of an incident now, and its consequence."""
    effect, origin = incident.effect, incident.reference
    said = effects(incident)
    text = " and ".join(said[:2]) + "".join(f"; {more}" for more in said[2:])
    if effect is not None and origin is not None and said:
        if grades(effect)["depth"] >= NOTICEABLE:
            follows = consequence(effect, origin)
            text += f"; {follows}" if follows else ""
    else:
        text = "no detector alarms now"
        if incident.alarming and incident.alarm is not None:
            text = incident.alarm.sentence
        now = measured(effect) if effect is not None else ""
        text += f"; now {now}" if now else ""
    confirmed = confirmation(incident)
    if incident.alert.severity == "critical" and confirmed:
        text += f"; {confirmed}"
    return text


class Incidents:
    """The incidents of one symbol.

    Parameters
    ----------
    symbol
        The symbol of the incidents.
    quiet_ns
        The event time without an alarm after which an incident resolves, in nanoseconds.
    """

    __slots__ = ("open", "quiet_ns", "symbol")

    def __init__(self, symbol: str, quiet_ns: int) -> None:
        self.symbol = symbol
        self.quiet_ns = quiet_ns
        self.open: Incident | None = None

    def step(
        self,
        ts_event: int,
        detectors: Sequence[Detector],
        readings: Mapping[str, Reading],
        inputs: Sequence[str] = (),
        market: MarketNow | None = None,
    ) -> list[Alert]:
        """Process a bar that closed at ``ts_event`` and return its alerts.

        ``inputs`` holds the current findings about the symbol's feed. ``market`` is the market at
        the close; None while it does not trade continuously, and until it has settled after that:
        a book that fills again is thin.
        """
        alerts = self.resolve(ts_event)
        incident = self.open
        alarmed = [d for d in detectors if readings[d.name].effective]
        # The least likely reading first: it names an incident that opens.
        alarmed.sort(key=lambda d: _p_value(readings[d.name]))
        if incident is None:
            if not alarmed:
                return alerts
            incident = self._begin(ts_event, alarmed[0], readings[alarmed[0].name], market)
        _take(incident, ts_event, alarmed, readings, market)
        if self.open is None:
            self.open = incident
            alerts.append(_tell(incident, _current(incident, ts_event), "opened", inputs))
        # If all alarms are suppressed, the effect has the same cause as they have.
        if alarmed or not any(reading.alarm for reading in readings.values()):
            alerts += _update(incident, ts_event, inputs)
        return alerts

    @property
    def resolves_ns(self) -> int:
        """When the open incident resolves without a further alarm; `LATEST_NS` without one."""
        return LATEST_NS if self.open is None else self.open.last_alarm_ns + self.quiet_ns

    def resolve(self, ts_event: int) -> list[Alert]:
        """Resolve the incident if its quiet time is over at ``ts_event``."""
        incident = self.open
        if incident is None or ts_event < incident.last_alarm_ns + self.quiet_ns:
            return []
        self.open = None
        # The end depends on the last alarm, not on the time of this call.
        ends_at = incident.last_alarm_ns + self.quiet_ns
        bars = f"{incident.alarmed_bars} bar{'s' if incident.alarmed_bars > 1 else ''}"
        text = (
            f"{self.symbol}: the stress is over: no alarm for {self.quiet_ns // 10**9} s after"
            f" {bars} with an alarm ({', '.join(incident.detectors)})"
        )
        if incident.peak is not None and incident.reference is not None:
            part, _ = worst(grades(incident.peak))
            text += f"; at worst {described(part, incident.peak, incident.reference, past=True)}"
        return [replace(resolved(incident.alert, ends_at, text), market=incident.effect)]

    def end(self, ts_event: int, why: str) -> list[Alert]:
        """Resolve the incident at ``ts_event``, or at its last alert if that is later."""
        incident = self.open
        if incident is None:
            return []
        self.open = None
        return [ended(incident.alert, ts_event, why)]

    def _begin(
        self, ts_event: int, detector: Detector, reading: Reading, market: MarketNow | None
    ) -> Incident:
        alert = firing(
            self.symbol,
            detector.name,
            detector.version,
            "warning",
            ts_event,
            ts_event,
            score=0.0,
            p_value=None,
            evidence=[],
            summary="",
            inputs=[],
        )
        if detector.estimator is not None:
            alert = replace(alert, runbook=PLUG_IN_RUNBOOK)
        incident = Incident(alert, [], 0, ts_event, opening=_sentence(detector, reading))
        if market is not None:
            incident.reference = reference(market)
            opened = market.bar.opened
            if opened is not None:
                incident.near = opened.bid_depth[NEAR_BAND], opened.ask_depth[NEAR_BAND]
        return incident


def _take(
    incident: Incident,
    ts_event: int,
    alarmed: Sequence[Detector],
    readings: Mapping[str, Reading],
    market: MarketNow | None,
) -> None:
    """Add the alarms of a bar to an incident, and its effect on the market."""
    incident.bars += 1
    incident.alarming = [d.name for d in alarmed]
    if alarmed:
        reading = readings[alarmed[0].name]
        incident.detectors += [d.name for d in alarmed if d.name not in incident.detectors]
        incident.alarmed_bars += 1
        incident.last_alarm_ns = ts_event
        incident.alarm = _alarm(alarmed[0], reading)
        incident.least_p_value = min(incident.least_p_value, incident.alarm.p_value)
        if incident.untold is None or incident.alarm.p_value < incident.untold.p_value:
            incident.untold = incident.alarm
    if market is None or incident.reference is None:
        return
    bids, asks = depths(incident.reference, market)
    # A quote that moves leaves a gap: the depth of a bar is the larger one of its two ends.
    near = max(bids, incident.near[0]), max(asks, incident.near[1])
    incident.near = bids, asks
    incident.effect = effect_of(incident.reference, market, near, incident.bars)
    grade = worst(grades(incident.effect))[1]
    incident.severe_bars = incident.severe_bars + 1 if grade >= SEVERE else 0
    if grade >= NOTICEABLE and grade > worst(grades(incident.peak))[1]:
        incident.peak = incident.effect


def _update(incident: Incident, ts_event: int, inputs: Sequence[str]) -> list[Alert]:
    """Tell an incident again if it has changed materially."""
    now = _current(incident, ts_event)
    if now.severity == "warning" and is_critical(incident):
        now = replace(now, severity="critical")
    reason = None if incident.told is None else needs_update(incident.told, now)
    return [] if reason is None else [_tell(incident, now, reason, inputs)]


def _current(incident: Incident, ts_event: int) -> Told:
    return Told(
        ts_event,
        incident.alert.severity,
        incident.detectors[:],
        incident.least_p_value,
        grades(incident.effect),
    )


def _tell(incident: Incident, now: Told, reason: Reason, inputs: Sequence[str]) -> Alert:
    before, rarest = incident.told, incident.untold
    incident.told, incident.untold = now, None
    alert = incident.alert
    if rarest is not None:
        alert = replace(alert, score=rarest.score, p_value=rarest.p_value, evidence=rarest.evidence)
    alert = replace(
        alert,
        severity=now.severity,
        ts_event=now.ts_event,
        inputs=list(inputs),
        update=0 if reason in ("opened", "severity") else incident.alert.update + 1,
        reason=reason,
        alarming=incident.alarming,
        opening=incident.opening,
        market=incident.effect,
    )
    incident.alert = alert  # the headline needs its severity
    text = headline(incident)
    if reason == "detector" and before is not None:
        text += f"; {' and '.join(d for d in now.detectors if d not in before.detectors)} joined"
    if reason == "rarity" and rarest is not None and rarest.sentence not in text:
        text += f"; its rarest alarm so far: {rarest.sentence}"
    told = distrusted(f"{alert.symbol}: {text}", inputs)
    if not text.startswith(incident.opening):
        told += history(alert)
    incident.alert = replace(alert, summary=told)
    return incident.alert


def _alarm(detector: Detector, reading: Reading) -> Alarm:
    assert reading.score is not None
    return Alarm(
        reading.score,
        _p_value(reading),
        _sentence(detector, reading),
        [
            Evidence(detector.name, c.feature, c.value, c.expected, c.share)
            for c in reading.contributions[:MAX_EVIDENCE]
        ],
    )


def _sentence(detector: Detector, reading: Reading) -> str:
    top = reading.contributions[0]
    return sentence(detector, top.feature, top.value, top.expected)


def _p_value(reading: Reading) -> float:
    return 1.0 if reading.p_value is None else reading.p_value
