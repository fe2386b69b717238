"""What waits to be sent to one Alertmanager, and what became of what was sent."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import structlog
from msgspec import Struct, field

from detectors.incidents.alerts import Alert
from service.outputs.notification import Key

BATCH = 256
"""The most alerts in a request."""

DELAY_BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

log = structlog.get_logger("foreshock.alertmanager")


class DeliveryCounters(Struct):
    """What became of the alerts for one Alertmanager, for the metrics.

    ``up``: the last request was answered; None before the first. ``delay_counts`` are the alerts
    by how long after the close of their bar they arrived: in each of ``DELAY_BUCKETS_SECONDS``, and
    above.
    """

    sent: int = 0
    refused: int = 0
    dropped: int = 0
    failures: int = 0
    waiting: int = 0
    up: bool | None = None
    delay_counts: list[int] = field(default_factory=lambda: [0] * (len(DELAY_BUCKETS_SECONDS) + 1))
    delay_sum_seconds: float = 0.0


class Item(Struct):
    """An alert in a queue; ``news`` where it is not only told again."""

    alert: Alert
    news: bool


class Lane:
    """One Alertmanager's queue: a place for each alert, where the newest word replaces the last.

    Parameters
    ----------
    url
        The Alertmanager's.
    most
        The alerts that it holds.
    """

    def __init__(self, url: str, most: int) -> None:
        self.url = url
        self.delivery = DeliveryCounters()
        self.wake = asyncio.Event()
        self._most = most
        self._queue: dict[Key, Item] = {}

    def put(self, key: Key, item: Item) -> None:
        """Queue the newest word on an alert; the oldest other makes room where there is none."""
        before = self._queue.pop(key, None)
        if before is not None and before.news and before.alert == item.alert:
            item = before
        elif before is None and len(self._queue) >= self._most:
            del self._queue[next(iter(self._queue))]
            self.delivery.dropped += 1
        self._queue[key] = item
        self.delivery.waiting = len(self._queue)
        self.wake.set()

    def forget(self, key: Key) -> None:
        """Do not tell any more that an alert fires; its end is still told."""
        if key in self._queue and self._queue[key].alert.status == "firing":
            del self._queue[key]
            self.delivery.waiting = len(self._queue)

    def take(self) -> dict[Key, Item]:
        """What to send next; nothing only asks whether somebody answers."""
        taken = {key: self._queue.pop(key) for key in list(self._queue)[:BATCH]}
        if not self._queue:
            self.wake.clear()
        return taken

    def put_back(self, taken: Mapping[Key, Item]) -> None:
        """Keep what could not be sent, unless there is a newer word."""
        for key, item in taken.items():
            if key not in self._queue:
                self.put(key, item)
        self.wake.set()

    def sent(self, items: Sequence[Item]) -> None:
        """Count what has arrived."""
        counts = self.delivery
        counts.sent += len(items)
        counts.waiting = len(self._queue)
        for item in items:
            if item.news:
                seconds = max(0.0, time.time() - item.alert.ts_event / 1e9)
                counts.delay_counts[bisect_left(DELAY_BUCKETS_SECONDS, seconds)] += 1
                counts.delay_sum_seconds += seconds

    def refused(self, status: int, why: str) -> None:
        """Count an alert that Alertmanager does not take, and say why."""
        self.delivery.refused += 1
        self.delivery.waiting = len(self._queue)
        log.error("alert refused", alertmanager=self.url, status=status, reason=why[:500])

    def answered(self, problem: str | None) -> None:
        """Note whether it answers, and if not, why. Each change is logged once."""
        up = problem is None
        self.delivery.failures += not up
        if up and self.delivery.up is False:
            log.info("Alertmanager answers again", alertmanager=self.url)
        elif not up and self.delivery.up is not False:
            log.warning("Alertmanager does not answer", alertmanager=self.url, reason=problem)
        self.delivery.up = up
