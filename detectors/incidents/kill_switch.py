"""The kill switch of a symbol: whether to hold trading while the symbol's incident is critical."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.incidents.symbol_incidents import Incident


class KillSwitch(Struct, frozen=True):
    """Whether trading in a symbol should be held, for an order gateway that chooses to listen.

    The state is ``tripped`` while an incident is critical. Foreshock renews it while alarms
    continue. It expires by itself at ``until`` (nanoseconds of event time), also if Foreshock
    stops.
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
    """Return the kill switch after the ``alerts`` of a bar; None if it does not change.

    Parameters
    ----------
    symbol
        The symbol of the kill switch.
    incident
        The symbol's open incident. The function records a trip in it.
    ts_event
        The close of the bar, in nanoseconds of event time.
    alerts
        The alerts of the bar.
    quiet_ns
        The event time without an alarm after which an incident resolves.
    """
    if incident is not None and incident.alert.severity == "critical":
        alert = incident.alert
        # The effect on the market may trip it without an alarm in this bar. Alarms renew it, after
        # half of its time: it always covers the quiet time of the incident.
        if incident.last_alarm_ns < ts_event and incident.tripped_until_ns:
            return None
        if incident.tripped_until_ns >= ts_event + quiet_ns:
            return None
        until = incident.tripped_until_ns = ts_event + 2 * quiet_ns
        return KillSwitch(symbol, "tripped", ts_event, until, alert.summary, alert.alert_id)
    for alert in alerts:
        if alert.status == "resolved" and alert.severity == "critical":
            return KillSwitch(symbol, "armed", alert.ts_event, None, alert.summary, alert.alert_id)
    return None
