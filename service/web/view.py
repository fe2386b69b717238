"""The live parts of a process, as the metrics and the console look at them."""

from collections.abc import Mapping

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.symbol import SymbolMonitor
from service.kafka.counters import ConsumerCounters
from service.kafka.partition import Partition
from service.outputs.alert_queue import DeliveryCounters
from service.outputs.publisher import Published


class View(Struct):
    """What there is to look at: the live parts, as they are at the moment.

    ``lags`` are the records not yet read, by topic and partition number; ``restoring`` the topic
    partitions assigned and not yet restored; ``deliveries`` what became of alerts by Alertmanager;
    ``budget_per_day`` the false alarms a symbol and day that thresholds are set for, the mean over
    symbols; ``market_watched`` whether incidents of the market are found here, ``market_alerts``
    what is open of them, and ``market_wide_symbols`` the symbols in it.
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
    market_alerts: Mapping[int, list[Alert] | None] = {}
    market_wide_symbols: int = 0

    @property
    def monitors(self) -> list[SymbolMonitor]:
        """The symbols that are watched, of all partitions."""
        return [m for p in self.partitions.values() for m in p.task.monitors.values()]

    @property
    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """What is open in each partition, and of the market; None while that is not known."""
        its = {number: p.task.open_alerts() for number, p in self.partitions.items()}
        return {**its, **self.market_alerts}

    @property
    def newest_ns(self) -> int:
        """How far the market has been seen, in nanoseconds of event time; 0 for not at all."""
        return max((p.task.aligner.watermark_ns for p in self.partitions.values()), default=0)

    def monitor(self, symbol: str) -> SymbolMonitor | None:
        """What watches a symbol; None where this process does not."""
        tasks = (partition.task for partition in self.partitions.values())
        return next((m for task in tasks if (m := task.monitors.get(symbol)) is not None), None)
