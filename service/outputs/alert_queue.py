"""The queue of alerts for one Alertmanager, and the counters of their delivery."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog
from msgspec import Struct, field

from detectors.incidents.alerts import Alert
from service.outputs.delays import Delays
from service.outputs.notification import Key

BATCH = 256
"""The largest number of alerts in a request."""

log = structlog.get_logger("foreshock.alertmanager")


class DeliveryCounters(Struct):
    """Counters of the alerts for one Alertmanager, for the metrics.

    ``up`` is whether the last request was answered; None before the first request. ``delays``
    counts the time between the close of an alert's bar and its delivery.
    """

    sent: int = 0
    refused: int = 0
    dropped: int = 0
    failures: int = 0
    waiting: int = 0
    up: bool | None = None
    delays: Delays = field(default_factory=Delays)


class QueuedAlert(Struct):
    """An alert in a queue; ``is_new`` is false if the alert is only sent again."""

    alert: Alert
    is_new: bool


class AlertQueue:
    """The queue of one Alertmanager: one entry per alert; a newer state replaces an older one.

    Parameters
    ----------
    url
        The URL of the Alertmanager.
    max_alerts
        The largest number of alerts in the queue.
    """

    def __init__(self, url: str, max_alerts: int) -> None:
        self.url = url
        self.delivery = DeliveryCounters()
        self.wake = asyncio.Event()
        self._max_alerts = max_alerts
        self._queue: dict[Key, QueuedAlert] = {}

    def put(self, key: Key, item: QueuedAlert) -> None:
        """Queue the newest state of an alert; a full queue drops its oldest other alert."""
        previous = self._queue.pop(key, None)
        if previous is not None and previous.is_new and previous.alert == item.alert:
            item = previous
        elif previous is None and len(self._queue) >= self._max_alerts:
            del self._queue[next(iter(self._queue))]
            self.delivery.dropped += 1
        self._queue[key] = item
        self.delivery.waiting = len(self._queue)
        self.wake.set()

    def forget(self, key: Key) -> None:
        """Do not send any more that an alert fires; its end is still sent."""
        if key in self._queue and self._queue[key].alert.status == "firing":
            del self._queue[key]
            self.delivery.waiting = len(self._queue)

    def take(self) -> dict[Key, QueuedAlert]:
        """Remove and return the alerts to send next; an empty request only tests the connection."""
        taken = {key: self._queue.pop(key) for key in list(self._queue)[:BATCH]}
        if not self._queue:
            self.wake.clear()
        return taken

    def put_back(self, unsent: Mapping[Key, QueuedAlert]) -> None:
        """Queue alerts again that could not be sent, unless a newer state is queued."""
        for key, item in unsent.items():
            if key not in self._queue:
                self.put(key, item)
        self.wake.set()

    def sent(self, items: Sequence[QueuedAlert]) -> None:
        """Count the delivered alerts."""
        counts = self.delivery
        counts.sent += len(items)
        counts.waiting = len(self._queue)
        for item in items:
            if item.is_new:
                counts.delays.add(max(0.0, time.time() - item.alert.ts_event / 1e9))

    def refused(self, status: int, reason: str) -> None:
        """Count an alert that Alertmanager refuses, and log the reason."""
        self.delivery.refused += 1
        self.delivery.waiting = len(self._queue)
        log.error("alert refused", alertmanager=self.url, status=status, reason=reason[:500])

    def answered(self, problem: str | None) -> None:
        """Record whether the Alertmanager answers, and if not, why. Each change is logged once."""
        up = problem is None
        self.delivery.failures += not up
        if up and self.delivery.up is False:
            log.info("Alertmanager answers again", alertmanager=self.url)
        elif not up and self.delivery.up is not False:
            log.warning("Alertmanager does not answer", alertmanager=self.url, reason=problem)
        self.delivery.up = up
