"""The live components of a process, for the metrics and the console."""

from collections.abc import Mapping

from msgspec import Struct, field

from detectors.conduct.monitor import ConductMonitor
from detectors.incidents.alerts import Alert
from detectors.kill_switch.machine import Memory
from detectors.kill_switch.table import State
from detectors.risk_watch.monitor import RiskMonitor
from detectors.symbol import SymbolMonitor
from service.kafka.counters import ConsumerCounters
from service.kafka.partition import Partition
from service.outputs.alert_queue import DeliveryCounters
from service.outputs.publisher import Published
from service.pipeline.feedback import Judgements


class View(Struct):
    """The live components in their current state.

    Attributes
    ----------
    counters, published
        Counters of the consumer and of the producer.
    partitions
        The assigned and restored partitions, by number.
    lags
        Unread records, by topic and partition number.
    connected
        Whether the process is a member of the consumer group.
    restoring
        Number of assigned topic partitions that are not restored yet.
    deliveries
        Counters of the alerts for each Alertmanager, by URL.
    budget_per_day
        The false-alarm budget per symbol and day, the mean over symbols.
    market_watched
        Whether this process watches for market-wide incidents.
    venue_alerts
        Open alerts of the market as a whole, and of the risk of liquidations.
    risk_wanted
        Whether the settings and the topics allow to watch the risk of liquidations.
    risk
        The monitor of the risk of liquidations; None if another process watches it.
    conduct
        The monitor of the venue's conduct; None if another process watches it.
    conduct_missing
        The streams that detectors of the venue's conduct need and that no topic has, by detector.
    market_wide_symbols
        Number of symbols in the open market-wide incident.
    stuck
        Partition numbers that have work and do not advance, each with what waits.
    misplaced_symbols
        Number of symbols whose events are in several partition numbers.
    unread
        Number of partitions of each input topic that are not read because another topic lacks them.
    registry_failures
        Number of requests to the schema registry that had no answer.
    pending_schemas
        Number of schemas that are wanted and not loaded.
    judgements
        What operators judged of alerts.
    """

    counters: ConsumerCounters
    published: Published
    partitions: Mapping[int, Partition]
    lags: Mapping[tuple[str, int], int]
    connected: bool
    restoring: int = 0
    deliveries: Mapping[str, DeliveryCounters] = {}
    budget_per_day: float = 1.0
    market_watched: bool = False
    venue_alerts: Mapping[int, list[Alert] | None] = {}
    risk_wanted: bool = False
    risk: RiskMonitor | None = None
    conduct: ConductMonitor | None = None
    conduct_missing: Mapping[str, tuple[str, ...]] = {}
    market_wide_symbols: int = 0
    stuck: Mapping[int, str] = {}
    misplaced_symbols: int = 0
    unread: Mapping[str, int] = {}
    registry_failures: int = 0
    pending_schemas: int = 0
    judgements: Judgements = field(default_factory=Judgements)

    @property
    def monitors(self) -> list[SymbolMonitor]:
        """The monitors of the symbols of all partitions."""
        return [m for p in self.partitions.values() for m in p.task.monitors.values()]

    @property
    def switches(self) -> dict[str, State]:
        """The states of the kill switches of all partitions, by symbol."""
        return {
            s: state
            for p in self.partitions.values()
            for s, state in p.task.switches.states.items()
        }

    @property
    def switch_memories(self) -> dict[str, Memory]:
        """What the kill switches of all partitions remember, by symbol."""
        return {s: m for p in self.partitions.values() for s, m in p.task.switches.memories.items()}

    @property
    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """The open alerts of each partition and of the venue; None while unknown."""
        alerts = {number: p.task.open_alerts() for number, p in self.partitions.items()}
        return {**alerts, **self.venue_alerts}

    @property
    def newest_ns(self) -> int:
        """The newest watermark, in nanoseconds of event time; 0 before the first event."""
        return max((p.task.aligner.watermark_ns for p in self.partitions.values()), default=0)

    def monitor(self, symbol: str) -> SymbolMonitor | None:
        """Return the monitor of a symbol; None if this process does not watch the symbol."""
        tasks = (partition.task for partition in self.partitions.values())
        return next((m for task in tasks if (m := task.monitors.get(symbol)) is not None), None)
