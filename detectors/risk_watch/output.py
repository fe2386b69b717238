"""What a monitor of the risk of liquidations gives."""

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.records import RiskRecord


class RiskOutput(Struct):
    """What the seconds that have ended give, in the order of event time."""

    records: list[RiskRecord] = []
    alerts: list[Alert] = []
    memories: list[Memory] = []

    def join(self, later: "RiskOutput") -> None:
        """Add what later seconds give."""
        self.records += later.records
        self.alerts += later.alerts
        self.memories += later.memories
