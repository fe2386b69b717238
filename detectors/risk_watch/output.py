"""What the watch over a venue's positions gives."""

from typing import Literal

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.risk_watch.memory import Memory
from detectors.risk_watch.records import RiskRecord

STATEMENT_STREAMS = ("liquidation_records", "parameter_changes")
"""The settings of the topics of statements, in ``outputs``."""


class Statement(Struct, frozen=True):
    """A record that is published once, beside alerts.

    Attributes
    ----------
    stream
        The setting of its topic in ``outputs``.
    symbol, ts_event
        Of whom, and when it is published.
    key
        Its identity among the records of the symbol.
    record
        The record; it has ``symbol`` and ``ts_event`` likewise.
    """

    stream: Literal["liquidation_records", "parameter_changes"]
    symbol: str
    ts_event: int
    key: str
    record: Struct


class RiskOutput(Struct):
    """What the seconds that have ended give, in the order of event time."""

    records: list[RiskRecord] = []
    alerts: list[Alert] = []
    memories: list[Memory] = []
    statements: list[Statement] = []

    def join(self, later: "RiskOutput") -> None:
        """Add what later seconds give."""
        self.records += later.records
        self.alerts += later.alerts
        self.memories += later.memories
        self.statements += later.statements
