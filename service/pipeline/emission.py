"""The alerts of a partition that are not published yet."""

from collections.abc import Mapping, Sequence

from detectors.incidents.alerts import Alert, ended
from detectors.symbol import SymbolMonitor
from service.pipeline.output import AlertKey, Output, PublishedUntil, Tally, alert_key


class Emission:
    """Adds the alerts of monitors to the output of a step.

    Parameters
    ----------
    tally
        The counters to increment.

    Attributes
    ----------
    with_incident
        The symbols with an open incident or an active finding of the feed.
    published
        The alerts that are published already.
    until
        The event times up to which everything is published already.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.with_incident: dict[str, None] = {}
        self.published: frozenset[AlertKey] = frozenset()
        self.until = PublishedUntil()

    def takes_signals_of(self, bar_end: int) -> bool:
        """Whether the signals of the bar that ends at ``bar_end`` are not published yet."""
        return bar_end > self.until.signals_until_ns

    def emit(self, monitor: SymbolMonitor, alerts: Sequence[Alert], output: Output) -> None:
        """Add the alerts that are not published yet; note whether the symbol has an incident."""
        if monitor.with_incident:
            self.with_incident[monitor.symbol] = None
        else:
            self.with_incident.pop(monitor.symbol, None)
        self._tell(alerts, output)
        if left_out := monitor.columns.estimators.news:
            self._tally.market.left_out.update((its.name, its.reason) for its in left_out)
            output.left_out += left_out
            left_out.clear()

    def end(self, monitor: SymbolMonitor, ts_event: int, why: str, output: Output) -> None:
        """Resolve all incidents of a symbol that is no longer watched."""
        self._tell([ended(alert, ts_event, why) for alert in monitor.open_alerts], output)

    def _tell(self, alerts: Sequence[Alert], output: Output) -> None:
        for alert in alerts:
            if alert_key(alert) in self.published or alert.ts_event <= self.until.alerts_until_ns:
                self._tally.withheld_alerts += 1
            else:
                output.alerts.append(alert)

    def open_alerts(
        self, monitors: Mapping[str, SymbolMonitor], watermark_ns: int
    ) -> list[Alert] | None:
        """Return the last alert of every open incident.

        The result is None while it is unknown: alerts published before a restart are still being
        reproduced.
        """
        if watermark_ns < self.until.alerts_until_ns:
            return None
        alerts = [alert for symbol in self.with_incident for alert in monitors[symbol].open_alerts]
        # The end of an incident may be published already, and be reproduced only by the next
        # records.
        ended = {alert_id for alert_id, status, *_ in self.published if status == "resolved"}
        return [alert for alert in alerts if alert.alert_id not in ended]
