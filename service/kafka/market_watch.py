"""Market-wide detection on the alerts topic, by the process that owns partition number 0.

The alerts topic holds the alerts of all partitions and processes. It is the only input of the
market watch and its only memory. A process that takes over the watch reads the last day of the
topic. It continues from the market-wide alerts published there, and publishes those that are
missing. It reads all existing records before it concludes anything, and processes them in the order
of event time.

The watch runs concurrently with the loop of the partitions. Its failures are counted, and it
retries.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.incidents.alerts import Alert
from detectors.incidents.market_wide import MARKET, MarketMonitor
from service.cancellation import close
from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.owner_loop import POLL_SECONDS, WATCH_PARTITION, watch_while_owner
from service.kafka.read_back import read_back
from service.kafka.reading import readable_end
from service.kafka.session import Session
from service.pipeline.output import AlertKey, Output, Watcher, alert_key, opens_or_escalates
from service.settings.assembly import market_monitor
from service.settings.types import Settings

MARKET_KEY = -1
"""The key of market-wide alerts in the Alertmanager notifier and the console; no partition has this
number."""

READ_SECONDS = 86_400.0
"""The time span of the topic that is read at the start, in seconds: the monitor remembers one
day."""

log = structlog.get_logger("foreshock.market")

_decode = msgspec.json.Decoder(Alert).decode


class MarketLog:
    """Processes the alerts topic, and finds the market-wide alerts that are still to be published.

    Parameters
    ----------
    monitor
        A new monitor.
    """

    def __init__(self, monitor: MarketMonitor) -> None:
        self.monitor = monitor
        self._published: dict[AlertKey, None] = {}
        self._started = False

    def take(self, alerts: Iterable[Alert], budget_per_day: float) -> list[Alert]:
        """Process alerts, and return the market-wide alerts that are not on the topic yet.

        The first call takes all existing alerts. It returns no alert about an incident that is
        already over: the watch of that time came to another result, or there was no watch.
        """
        found = []
        for alert in sorted(alerts, key=_sort_key):
            if alert.symbol == MARKET:
                self._published[alert_key(alert)] = None
            found += self.monitor.step(alert, budget_per_day)
        due = [alert for alert in found if alert_key(alert) not in self._published]
        if not self._started:
            due = [alert for alert in due if self._still_holds(alert)]
            self._started = True
        self._published |= dict.fromkeys(map(alert_key, due))
        return due

    def _still_holds(self, alert: Alert) -> bool:
        if alert.status == "resolved":
            return (alert.alert_id, "firing", alert.severity, 0) in self._published
        incident = self.monitor.open
        return incident is not None and incident.alert.alert_id == alert.alert_id


def _sort_key(alert: Alert) -> tuple[int, bool]:
    """Return the sort key: a market-wide alert follows the alerts that it was concluded from."""
    return (alert.ts_event, alert.symbol == MARKET)


class MarketWatch:
    """Watches the market while its session owns partition number 0.

    Parameters
    ----------
    settings
        The settings of the service.
    session
        The session whose partitions decide whether the watch runs.
    clients
        The clients of the session.
    counters
        The counters to increment.
    connect
        Creates a consumer without a group.
    waits
        Creates the waits between retries, in seconds.
    watcher
        Receives the published alerts.
    """

    def __init__(
        self,
        settings: Settings,
        session: Session,
        clients: Clients,
        counters: ConsumerCounters,
        connect: Callable[[], AIOKafkaConsumer],
        waits: Callable[[], Iterator[float]],
        watcher: Watcher | None = None,
    ) -> None:
        self._settings = settings
        self._session = session
        self._clients = clients
        self._counters = counters
        self._connect = connect
        self._waits = waits
        self._watcher = watcher
        self._log: MarketLog | None = None
        self._partitions = 1

    @property
    def watching(self) -> bool:
        """Whether the watch runs and has read all existing alerts."""
        return self._log is not None

    @property
    def symbols(self) -> int:
        """The number of symbols with an open incident in the open market-wide incident."""
        incident = self._log.monitor.open if self._log is not None else None
        if incident is None:
            return 0
        return len({opening.symbol for opening in incident.members.values()})

    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """Return the open alerts, as ``OpenAlerts``; empty if another process watches."""
        if WATCH_PARTITION not in self._session.partitions:
            return {}
        if self._log is None:
            return {MARKET_KEY: None}
        incident = self._log.monitor.open
        return {MARKET_KEY: [incident.alert] if incident is not None else []}

    def reconfigure(self, settings: Settings) -> None:
        """Apply new settings: read the topic again from the last day. Published alerts remain."""
        self._settings = settings

    async def run(self) -> None:
        """Run forever; watch whenever the session owns the partition number."""
        await watch_while_owner(self._owns, self._watch, self._forget, self._failed, self._waits)

    def _owns(self) -> bool:
        return WATCH_PARTITION in self._session.partitions and not self._session.restoring

    def _forget(self) -> bool:
        watching, self._log = self.watching, None
        return watching

    def _failed(self, error: Exception, wait: float) -> None:
        self._counters.market_failures += 1
        log.warning(
            "market-wide detection failed, retrying",
            reason=repr(error),
            wait_seconds=round(wait, 2),
        )

    async def _watch(self) -> None:
        reader = self._connect()
        try:
            await reader.start()
            settings = self._settings
            market_log = MarketLog(market_monitor(settings))
            records = await self._read_last_day(reader)
            await self._publish(market_log, records)
            log.info("market-wide detection started", alerts_read=len(records))
            self._log = market_log
            while (
                WATCH_PARTITION in self._session.partitions
                and settings is self._settings
                and not self._has_grown(reader)
            ):
                if records := await _new_records(reader):
                    await self._publish(market_log, records)
        finally:
            await close("the reader of alerts", reader.stop)

    def _has_grown(self, reader: AIOKafkaConsumer) -> bool:
        """Return whether the alerts topic has partitions that are not read yet."""
        known = reader.partitions_for_topic(self._settings.outputs.alerts)
        return known is not None and len(known) > self._partitions

    async def _read_last_day(self, reader: AIOKafkaConsumer) -> list[Any]:
        """Return the records of the last day; the reader is positioned after them."""
        topic = self._settings.outputs.alerts
        (described,) = await self._clients.admin.describe_topics([topic])
        tps = [TopicPartition(topic, entry["partition"]) for entry in described["partitions"]]
        self._partitions = len(tps)
        since_ms = round((time.time() - READ_SECONDS) * 1e3)
        ends = await reader.end_offsets(tps)
        found = await reader.offsets_for_times(dict.fromkeys(tps, since_ms))
        firsts = {tp: first.offset if (first := found.get(tp)) else ends[tp] for tp in tps}
        records = await read_back(reader, firsts, ends)
        for tp in tps:
            reader.seek(tp, max(firsts[tp], ends[tp]))
        reader.resume(*tps)
        return [record for batch in records.values() for record in batch]

    async def _publish(self, market_log: MarketLog, records: Sequence[Any]) -> None:
        """Process records of the topic, and publish the missing market-wide alerts."""
        due = market_log.take(_alerts(records), self._budget_per_day())
        partition = self._session.partitions.get(WATCH_PARTITION)
        if not due or partition is None:
            return
        output = Output(alerts=due)
        for alert, future in await self._clients.publisher.publish(WATCH_PARTITION, output):
            self._clients.on_alert(MARKET_KEY, alert)
            partition.expect_alert(alert.ts_event, future)
            if opens_or_escalates(alert):
                self._counters.incidents[alert.detector, alert.severity] += 1
        if self._watcher is not None:
            self._watcher.take(MARKET_KEY, output)

    def _budget_per_day(self) -> float:
        """Return the false-alarm budget per day of all symbols, estimated from those owned here."""
        owned = self._session.partitions.values()
        owned_budget = sum(
            monitor.parameters.false_alarms_per_day
            for partition in owned
            for monitor in partition.task.monitors.values()
        )
        return owned_budget * self._partitions / max(1, len(owned))


async def _new_records(reader: AIOKafkaConsumer) -> list[Any]:
    """Return all new records that can be read now."""
    records: list[Any] = []
    while batches := await reader.getmany(timeout_ms=round(POLL_SECONDS * 1e3)):
        records += [record for batch in batches.values() for record in batch]
        if not any([await _lags(reader, tp) for tp in batches]):
            break
    return records


async def _lags(reader: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    end = readable_end(reader, tp)
    return end is not None and await reader.position(tp) < end


def _alerts(records: Iterable[Any]) -> Iterator[Alert]:
    for record in records:
        try:
            yield _decode(record.value or b"")
        except msgspec.MsgspecError:
            continue  # not an alert of Foreshock
