"""The kill switch of a symbol: whether trading should be held while its incident is critical."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.incidents.symbol_incidents import Incident


class KillSwitch(Struct, frozen=True):
    """Whether trading in a symbol should be held, for an order gateway that chooses to listen.

    ``tripped`` while an incident is critical, renewed as long as it alarms; it lapses at
    ``until`` (nanoseconds of event time) by itself, so that it never outlives its sender.
    """

    symbol: str
    state: Literal["armed", "tripped"]
    ts_event: int
    until: int | None
    reason: str
    alert_id: str


def kill_switch(
    symbol: str,
    incident: Incident | None,
    ts_event: int,
    alerts: Sequence[Alert],
    quiet_ns: int,
) -> KillSwitch | None:
    """What the kill switch should show after the ``alerts`` of a bar; None for no change.

    Parameters
    ----------
    symbol
        The symbol whose kill switch it is.
    incident
        The symbol's open incident. A trip is recorded in it.
    ts_event
        The close of the bar, in nanoseconds of event time.
    alerts
        The alerts of the bar.
    quiet_ns
        The event time without an alarm after which an incident resolves.
    """
    if incident is not None and incident.alert.severity == "critical":
        alert = incident.alert
        # Renewed by half-time, so that it covers the quiet time that resolves the incident.
        if incident.last_alarm_ns < ts_event:
            return None
        if incident.tripped_until_ns >= ts_event + quiet_ns:
            return None
        until = incident.tripped_until_ns = ts_event + 2 * quiet_ns
        return KillSwitch(symbol, "tripped", ts_event, until, alert.summary, alert.alert_id)
    for alert in alerts:
        if alert.status == "resolved" and alert.severity == "critical":
            return KillSwitch(symbol, "armed", alert.ts_event, None, alert.summary, alert.alert_id)
    return None
