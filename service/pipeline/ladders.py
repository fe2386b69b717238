"""The open alerts of the liquidation ladder, which kill switches take as evidence."""

from collections.abc import Mapping, Sequence

import msgspec

from detectors.incidents.alerts import Alert, Severity
from service.pipeline.rejection import Rejection
from service.pipeline.written import Record

CASCADE = "cascade"
"""The detector name of alerts about the liquidation ladder."""

READ_SECONDS = 86_400.0
"""The time span of the alerts topic that a start reads: an older alert no longer counts."""

_decode = msgspec.json.Decoder(Alert).decode


class Ladders:
    """The severity of the open ``cascade`` alerts of each symbol, of all that were read.

    ``serial`` grows with each change.
    """

    def __init__(self) -> None:
        self.serial = 0
        self._open: dict[str, dict[str, Severity]] = {}

    def take(self, records: Sequence[Record]) -> list[Rejection]:
        """Take records of the alerts topic. None of them is ever refused."""
        for record in records:
            if CASCADE.encode() not in (record.value or b""):
                continue
            try:
                alert = _decode(record.value or b"")
            except msgspec.MsgspecError:
                continue  # not an alert of Foreshock
            if alert.detector == CASCADE:
                self._take(alert)
        return []

    def _take(self, alert: Alert) -> None:
        alerts = self._open.setdefault(alert.symbol, {})
        if alert.status == "firing":
            alerts[alert.alert_id] = alert.severity
        else:
            alerts.pop(alert.alert_id, None)
        if not alerts:
            del self._open[alert.symbol]
        self.serial += 1

    @property
    def severities(self) -> Mapping[str, Severity]:
        """The graver severity of the open alerts of each symbol."""
        return {
            symbol: "critical" if "critical" in alerts.values() else "warning"
            for symbol, alerts in self._open.items()
        }
