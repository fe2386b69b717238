"""What only shows across symbols, found on the alerts topic by whoever owns partition number 0.

The alerts of all partitions and processes meet on that topic. It is the watch's only input and its
memory: whoever takes it over reads the last day of it, goes on from what was told of the market
there, and tells what was not. All that is there is read before anything is concluded from it, and
taken in the order of event time.

The watch runs beside the loop of the partitions. What fails in it is counted and tried again.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.incidents.alerts import Alert
from detectors.incidents.market_wide import MARKET, MarketMonitor
from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.read_back import read_back
from service.kafka.session import Session
from service.pipeline.output import AlertKey, Output, Watcher, alert_key
from service.settings.assembly import market_monitor
from service.settings.types import Settings

OWNED = 0
"""The partition number whose owner watches, and to which the market's alerts are sent."""

PLACE = -1
"""Under which number Alertmanager's notifier and the console keep the market: no partition's."""

READ_SECONDS = 86_400.0
"""How much of the topic is read to begin with; a day is what the monitor remembers."""

POLL_SECONDS = 0.5

log = structlog.get_logger("foreshock.market")

_decode = msgspec.json.Decoder(Alert).decode


class MarketLog:
    """Goes through the alerts topic, and finds what is still to be told of the market.

    Parameters
    ----------
    monitor
        A new one.
    """

    def __init__(self, monitor: MarketMonitor) -> None:
        self.monitor = monitor
        self._told: dict[AlertKey, None] = {}
        self._began = False

    def take(self, alerts: Iterable[Alert], budget_per_day: float) -> list[Alert]:
        """Take in all that has come; the market's alerts that are not on the topic yet.

        The first time, with all that was there before, nothing is told of what is over: who watched
        then saw it otherwise, or nobody did.
        """
        found = []
        for alert in sorted(alerts, key=_place):
            if alert.symbol == MARKET:
                self._told[alert_key(alert)] = None
            found += self.monitor.step(alert, budget_per_day)
        due = [alert for alert in found if alert_key(alert) not in self._told]
        if not self._began:
            due = [alert for alert in due if self._stands(alert)]
            self._began = True
        self._told |= dict.fromkeys(map(alert_key, due))
        return due

    def _stands(self, alert: Alert) -> bool:
        if alert.status == "resolved":
            return (alert.alert_id, "firing", alert.severity) in self._told
        incident = self.monitor.open
        return incident is not None and incident.alert.alert_id == alert.alert_id


def _place(alert: Alert) -> tuple[int, bool]:
    """What was told of the market comes after what it was concluded from."""
    return (alert.ts_event, alert.symbol == MARKET)


class MarketWatch:
    """Watches the market while its session owns partition number 0.

    Parameters
    ----------
    settings
        The service's.
    session
        Whose partitions it goes by.
    clients
        The session's.
    intake
        Where to count.
    connect
        Makes a consumer without a group.
    waits
        Makes the waits, in seconds, before it tries again.
    watcher
        Is given what was told.
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
        """Whether it watches, and has read all that was there."""
        return self._log is not None

    @property
    def symbols(self) -> int:
        """The symbols whose incidents are open and part of an incident of the market."""
        incident = self._log.monitor.open if self._log is not None else None
        if incident is None:
            return 0
        return len({opening.symbol for opening in incident.members.values()})

    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """What is open, as ``alertmanager.OpenAlerts``; nothing where somebody else watches."""
        if OWNED not in self._session.partitions:
            return {}
        if self._log is None:
            return {PLACE: None}
        incident = self._log.monitor.open
        return {PLACE: [incident.alert] if incident is not None else []}

    def reconfigure(self, settings: Settings) -> None:
        """Judge by other settings, from what the topic has on: what was told stands."""
        self._settings = settings

    async def run(self) -> None:
        """Watch for ever, whenever the session owns the partition number."""
        waits = self._waits()
        while True:
            if OWNED not in self._session.partitions or self._session.restoring:
                # Whether it does is a state that others change, not an event.
                await asyncio.sleep(POLL_SECONDS)
                continue
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001 - the partitions are watched on
                if self._log is not None:
                    waits = self._waits()
                wait = next(waits)
                self._counters.market_failures += 1
                log.warning(
                    "the market as a whole is not watched, trying again",
                    reason=repr(error),
                    wait_seconds=round(wait, 2),
                )
                self._log = None
                await asyncio.sleep(wait)
            self._log = None

    async def _watch(self) -> None:
        reader = self._connect()
        try:
            await reader.start()
            settings = self._settings
            its = MarketLog(market_monitor(settings))
            records = await self._begin(reader)
            await self._publish(its, records)
            log.info("watching the market as a whole", alerts_read=len(records))
            self._log = its
            while OWNED in self._session.partitions and settings is self._settings:
                if records := await _news(reader):
                    await self._publish(its, records)
        finally:
            await reader.stop()

    async def _begin(self, reader: AIOKafkaConsumer) -> list[Any]:
        """The records of the last day; the reader goes on after them."""
        topic = self._settings.outputs.alerts
        (described,) = await self._clients.admin.describe_topics([topic])
        tps = [TopicPartition(topic, its["partition"]) for its in described["partitions"]]
        self._partitions = len(tps)
        since_ms = round((time.time() - READ_SECONDS) * 1e3)
        ends = await reader.end_offsets(tps)
        found = await reader.offsets_for_times(dict.fromkeys(tps, since_ms))
        firsts = {tp: its.offset if (its := found.get(tp)) else ends[tp] for tp in tps}
        records = await read_back(reader, firsts, ends)
        for tp in tps:
            reader.seek(tp, max(firsts[tp], ends[tp]))
        reader.resume(*tps)
        return [record for its in records.values() for record in its]

    async def _publish(self, its: MarketLog, records: Sequence[Any]) -> None:
        """Take in records of the topic, and publish what is still to be told."""
        due = its.take(_alerts(records), self._budget_per_day())
        partition = self._session.partitions.get(OWNED)
        if not due or partition is None:
            return
        output = Output(alerts=due)
        for alert, future in await self._clients.publisher.publish(OWNED, output):
            self._clients.on_alert(PLACE, alert)
            partition.expect_alert(alert.ts_event, future)
            if alert.status == "firing":
                self._counters.incidents[alert.detector, alert.severity] += 1
        if self._watcher is not None:
            self._watcher.take(PLACE, output)

    def _budget_per_day(self) -> float:
        """The false alarms a day that all symbols are allowed, judged by those that are here."""
        owned = self._session.partitions.values()
        here = sum(
            monitor.parameters.false_alarms_per_day
            for partition in owned
            for monitor in partition.task.monitors.values()
        )
        return here * self._partitions / max(1, len(owned))


async def _news(reader: AIOKafkaConsumer) -> list[Any]:
    """What has come since; all of it, as far as it can be had."""
    records: list[Any] = []
    while batches := await reader.getmany(timeout_ms=round(POLL_SECONDS * 1e3)):
        records += [record for batch in batches.values() for record in batch]
        if not any([await _lags(reader, tp) for tp in batches]):
            break
    return records


async def _lags(reader: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    end = reader.highwater(tp)
    return end is not None and await reader.position(tp) < end


def _alerts(records: Iterable[Any]) -> Iterator[Alert]:
    for record in records:
        try:
            yield _decode(record.value or b"")
        except msgspec.MsgspecError:
            continue  # not ours
