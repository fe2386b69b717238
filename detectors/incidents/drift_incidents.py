"""Drift incidents: a lasting change of a symbol's market, with low severity.

Several detectors usually detect the same change within minutes. They join the open incident. The
incident ends after a time without a further drift. A detector that alarms so often that its tests
no longer fit is told once: again only after a day in which it did not.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from detectors.detector import Detector, phrase
from detectors.incidents.alerts import (
    MAX_EVIDENCE,
    Alert,
    Evidence,
    distrusted,
    ended,
    firing,
    resolved,
)
from detectors.incidents.kind import DRIFT
from detectors.market_data.events import LATEST_NS
from detectors.scorer import Reading

VERSION = 1
QUIET_NS = 1_800_000_000_000
"""The time without a further drift after which the incident ends."""


OFTEN_NS = 86_400_000_000_000
"""The time without another such finding after which a detector that alarms often is told again."""


class DriftIncident(Struct):
    """An open drift incident. ``last_ns`` is the time of the last drift, in event time."""

    alert: Alert
    last_ns: int


class DriftIncidents:
    """The drift incidents of one symbol, one at a time.

    ``often`` holds when each detector that alarms often was last found to do so.
    """

    __slots__ = ("often", "open", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.open: DriftIncident | None = None
        self.often: dict[str, int] = {}

    def step(
        self,
        ts_event: int,
        detectors: Sequence[Detector],
        readings: Mapping[str, Reading],
        inputs: Sequence[str] = (),
    ) -> list[Alert]:
        """Process a bar that closed at ``ts_event`` and return its alerts.

        ``inputs`` holds the current findings about the symbol's feed.
        """
        alerts = self.resolve(ts_event)
        drifted = [
            d
            for d in detectors
            if readings[d.name].drift and readings[d.name].drift_suppressed is None
        ]
        new = [detector for detector in drifted if self._is_new(detector, ts_event)]
        if self.open is not None:
            if drifted:
                self.open.last_ns = ts_event
            # A change of the market joins the incident; a test that no longer fits is told.
            new = [detector for detector in new if detector.alarms]
        for detector in new:
            alerts.append(self._tell(detector, ts_event, readings[detector.name], inputs))
        return alerts

    def _is_new(self, detector: Detector, ts_event: int) -> bool:
        if not detector.alarms:
            return self.open is None
        known_ns = self.often.get(detector.name)
        self.often[detector.name] = ts_event
        return known_ns is None or ts_event >= known_ns + OFTEN_NS

    def _tell(
        self, detector: Detector, ts_event: int, reading: Reading, inputs: Sequence[str]
    ) -> Alert:
        alert = self._raise(detector, ts_event, reading, inputs)
        if self.open is None:
            self.open = DriftIncident(alert, ts_event)
            return alert
        self.open.alert = replace(
            alert,
            alert_id=self.open.alert.alert_id,
            starts_at=self.open.alert.starts_at,
            update=self.open.alert.update + 1,
            reason="detector",
        )
        return self.open.alert

    @property
    def resolves_ns(self) -> int:
        """When the open incident resolves without a further drift; `LATEST_NS` without one."""
        return LATEST_NS if self.open is None else self.open.last_ns + QUIET_NS

    def resolve(self, ts_event: int) -> list[Alert]:
        """Resolve the incident if its quiet time is over at ``ts_event``."""
        incident = self.open
        if incident is None or ts_event < incident.last_ns + QUIET_NS:
            return []
        self.open = None
        summary = f"{self.symbol}: no further change for {QUIET_NS // 10**9} s"
        return [resolved(incident.alert, incident.last_ns + QUIET_NS, summary)]

    def end(self, ts_event: int, why: str) -> list[Alert]:
        """Resolve the incident at ``ts_event``, or at its last alert if that is later."""
        incident = self.open
        if incident is None:
            return []
        self.open = None
        return [ended(incident.alert, ts_event, why)]

    def _raise(
        self, detector: Detector, ts_event: int, reading: Reading, inputs: Sequence[str]
    ) -> Alert:
        evidence = [
            Evidence(detector.name, c.feature, c.value, c.expected, c.share)
            for c in reading.drift[:MAX_EVIDENCE]
        ]
        top = evidence[0]
        said = phrase(detector.phrases[top.feature], top.value, top.expected)
        assert reading.score is not None
        if detector.alarms:
            sentence = (
                f"{detector.name} on {self.symbol} alarms often: what is usual has changed, or its"
                f" noise is misjudged; the latest: {said}"
            )
        else:
            sentence = (
                f"{self.symbol}: the usual level has changed: {said}; the baseline is learned again"
            )
        return firing(
            self.symbol,
            DRIFT,
            VERSION,
            "info",
            ts_event,
            ts_event,
            score=reading.score,
            p_value=reading.p_value,
            evidence=evidence,
            summary=distrusted(sentence, inputs),
            inputs=inputs,
        )
