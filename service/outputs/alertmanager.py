"""Sends incidents to Alertmanager when they happen, and again while they last.

A notification costs the caller one dictionary entry. Each Alertmanager has its own queue and its
own task. So an Alertmanager that does not answer delays neither the Kafka loop nor the other
Alertmanagers. A queue holds one entry per alert; a newer state replaces an older one.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp
import structlog
from msgspec import Struct
from msgspec.structs import replace

from detectors.incidents.alerts import Alert
from service.backoff import delays
from service.cancellation import cancel_and_wait
from service.http_client import beginning, bounded_session
from service.outputs.alert_queue import AlertQueue, DeliveryCounters, QueuedAlert
from service.outputs.notification import HOLD_RESENDS, Key, body, by_key, notification
from service.settings.secrets import Secret, read_secret
from service.settings.types import AlertmanagerSettings, parse_labels
from service.tls import client_context

PATH = "/api/v2/alerts"
RESOLVED_SECONDS = 900.0
"""How long a resolved alert is sent again, in seconds: a restarted Alertmanager has lost it."""

FINAL_SEND_SECONDS = 1.0
"""The time limit of the last sends when the service stops, in seconds."""

log = structlog.get_logger("foreshock.alertmanager")
_REFUSED = (400, 413, 422)  # because of the alert itself; after other statuses, a retry may succeed

OpenAlerts = Callable[[], Mapping[int, Sequence[Alert] | None]]
"""The alerts of the open incidents of each owned partition; None while they are unknown."""


class _Sent(Struct):
    """The last state of an alert; ``resolved_at`` is when (monotonic) its end was first sent."""

    partition: int
    alert: Alert
    resolved_at: float | None


class Notifier:
    """Sends incidents to every configured Alertmanager.

    Parameters
    ----------
    settings
        The Alertmanagers and how to reach them; without ``urls``, nothing is sent.
    open_alerts
        Returns the open alerts; see ``OpenAlerts``.

    Raises
    ------
    ConfigurationError
        A file that the settings name cannot be read.
    """

    def __init__(self, settings: AlertmanagerSettings, open_alerts: OpenAlerts) -> None:
        self._settings = settings
        self._open_alerts = open_alerts
        self._labels = parse_labels(settings.labels)
        self._password = read_secret("alertmanager.password", Secret(), settings.password_file)
        self._ssl = client_context("alertmanager.ca_file", settings.ca_file)
        self._bearer()  # a file that cannot be read is reported at the start
        self._sent: dict[Key, _Sent] = {}
        urls = [url.strip().rstrip("/") for url in settings.urls.split(",") if url.strip()]
        self._queues = [AlertQueue(url, settings.queue_size) for url in dict.fromkeys(urls)]

    @property
    def deliveries(self) -> dict[str, DeliveryCounters]:
        """The delivery counters, by Alertmanager."""
        return {queue.url: queue.delivery for queue in self._queues}

    def notify(self, partition: int, alert: Alert) -> None:
        """Queue an alert to be sent as soon as possible; never waits."""
        if not self._queues:
            return
        for key, keyed_alert in by_key(alert).items():
            previous = self._sent.get(key)
            resolved_at = None
            if keyed_alert.status == "resolved":
                resolved_at = previous.resolved_at if previous is not None else None
                resolved_at = resolved_at if resolved_at is not None else time.monotonic()
            self._sent[key] = _Sent(partition, keyed_alert, resolved_at)
            for queue in self._queues:
                queue.put(key, QueuedAlert(keyed_alert, is_new=True))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context lasts; at its end, send the queued alerts, within a second."""
        if not self._queues:
            yield
            return
        headers = {}
        if self._settings.tenant:
            headers["X-Scope-OrgID"] = self._settings.tenant
        if self._settings.username:
            headers["Authorization"] = aiohttp.encode_basic_auth(
                self._settings.username, self._password.reveal(), "utf-8"
            )
        async with bounded_session(
            seconds=self._settings.timeout_seconds, headers=headers, tls=self._ssl
        ) as http:
            tasks = [asyncio.create_task(self._deliver(queue, http)) for queue in self._queues]
            tasks.append(asyncio.create_task(self._resend_periodically()))
            try:
                yield
            finally:
                await cancel_and_wait(tasks.pop())
                await self._drain(FINAL_SEND_SECONDS)
                await cancel_and_wait(*tasks)

    async def _drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        # Poll: this is a state that several tasks change, not an event.
        while any(queue.delivery.waiting for queue in self._queues) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _resend_periodically(self) -> None:
        while True:
            try:
                self.resend()
            except Exception:
                # A fault in reading the state must not stop the immediate notifications.
                log.exception("open alerts could not be sent again")
            await asyncio.sleep(self._settings.resend_seconds)

    def resend(self) -> None:
        """Send open and recently resolved alerts again, for the owned partitions only.

        An alert that was sent and is no longer open, although its end was never sent, is sent as
        resolved. Without any alert, an empty request is sent: it shows whether the Alertmanager
        answers.
        """
        open_alerts = self._open_alerts()
        now = time.monotonic()
        still_open = {
            key: (number, alert)
            for number, alerts in open_alerts.items()
            for alert in alerts or ()
            for key, alert in by_key(alert).items()
        }
        for key, last in list(self._sent.items()):
            expired = last.resolved_at is not None and now - last.resolved_at > RESOLVED_SECONDS
            if last.partition not in open_alerts or expired:
                del self._sent[key]
                for queue in self._queues:
                    queue.forget(key)
            elif open_alerts[last.partition] is None or key in still_open:
                continue
            elif last.resolved_at is None:
                ended = replace(last.alert, status="resolved", ends_at=time.time_ns())
                self._sent[key] = _Sent(last.partition, ended, now)
        for key, (number, alert) in still_open.items():
            self._sent[key] = _Sent(number, alert, None)
        for queue in self._queues:
            for key, last in self._sent.items():
                if open_alerts[last.partition] is not None:
                    queue.put(key, QueuedAlert(last.alert, is_new=False))
            queue.wake.set()

    async def _deliver(self, queue: AlertQueue, http: aiohttp.ClientSession) -> None:
        rng = random.Random()  # noqa: S311 - spreads load; not for security
        waits = delays(rng)
        while True:
            await queue.wake.wait()
            taken = queue.take()
            try:
                await self._send(queue, http, list(taken.values()))
            except Exception as error:  # noqa: BLE001 - no failure may end the sending
                queue.put_back(taken)
                queue.answered(f"{type(error).__name__}: {error}")
                await asyncio.sleep(next(waits))
            else:
                waits = delays(rng)

    def _bearer(self) -> dict[str, str]:
        """Return the header with the token. Each request reads the file: tokens are replaced."""
        file = self._settings.bearer_token_file
        if not file:
            return {}
        token = read_secret("alertmanager.bearer_token", Secret(), file).reveal()
        return {"Authorization": f"Bearer {token}"}

    async def _send(
        self, queue: AlertQueue, http: aiohttp.ClientSession, items: Sequence[QueuedAlert]
    ) -> None:
        """Post alerts. If one is refused, post each singly, so that only that one is lost."""
        settings = self._settings
        hold = HOLD_RESENDS * settings.resend_seconds
        now_ns = time.time_ns()
        alerts = [
            notification(item.alert, now_ns, hold, self._labels, settings.runbook_base_url)
            for item in items
        ]
        async with http.post(
            queue.url + PATH,
            data=body(alerts),
            headers={"Content-Type": "application/json", **self._bearer()},
            allow_redirects=False,
        ) as answer:
            status, reason = answer.status, (await beginning(answer)).decode(errors="replace")
        if status in _REFUSED and len(items) > 1:
            for item in items:
                await self._send(queue, http, [item])
        elif status in _REFUSED:
            queue.answered(None)
            queue.refused(status, reason)
        elif status // 100 == 2:
            queue.answered(None)
            queue.sent(items)
        else:
            raise aiohttp.ClientError(f"status {status}: {reason[:200]}")
