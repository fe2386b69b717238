"""Incidents, pushed to Alertmanager as they happen, and again for as long as they last.

Telling costs the caller a dictionary entry: each Alertmanager has a queue and a task of its own, so
one that does not answer holds up neither the Kafka loop nor the others. A queue has one place for
each alert, where the newest word replaces the one before.
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
from service.outputs.alert_queue import DeliveryCounters, Item, Lane
from service.outputs.notification import HOLD_RESENDS, Key, body, by_key, notification
from service.settings.secrets import Secret, given
from service.settings.types import AlertmanagerSettings, parse_labels
from service.tls import client_context

PATH = "/api/v2/alerts"
RESOLVED_SECONDS = 900.0
"""An end is told again for so long: an Alertmanager that restarts forgets what it was told."""

FINAL_SEND_SECONDS = 1.0
"""What sending may still take when the service stops."""

log = structlog.get_logger("foreshock.alertmanager")
_REFUSED = (400, 413, 422)  # for what an alert says; anything else may be better next time

OpenAlerts = Callable[[], Mapping[int, Sequence[Alert] | None]]
"""The alerts of the open incidents of each partition that is owned; None while not yet known."""


class _Sent(Struct):
    """The last word on an alert; ``over_since`` is when (monotonic) its end was first told."""

    partition: int
    alert: Alert
    over_since: float | None


class Notifier:
    """Tells every configured Alertmanager of incidents.

    Parameters
    ----------
    settings
        Where they are, and how to tell them; without ``urls`` nothing is told.
    open_alerts
        Gives the state of things; see ``OpenAlerts``.

    Raises
    ------
    ConfigurationError
        A file that the settings name cannot be read.
    """

    def __init__(self, settings: AlertmanagerSettings, open_alerts: OpenAlerts) -> None:
        self._settings = settings
        self._open_alerts = open_alerts
        self._labels = parse_labels(settings.labels)
        self._password = given("alertmanager.password", Secret(), settings.password_file)
        self._ssl = client_context("alertmanager.ca_file", settings.ca_file)
        self._told: dict[Key, _Sent] = {}
        urls = [url.strip().rstrip("/") for url in settings.urls.split(",") if url.strip()]
        self._lanes = [Lane(url, settings.queue_size) for url in dict.fromkeys(urls)]

    @property
    def deliveries(self) -> dict[str, DeliveryCounters]:
        """What became of the alerts, by Alertmanager."""
        return {lane.url: lane.delivery for lane in self._lanes}

    def notify(self, partition: int, alert: Alert) -> None:
        """Send an alert as soon as can be; never waits."""
        if not self._lanes:
            return
        for key, its in by_key(alert).items():
            before = self._told.get(key)
            over_since = None
            if its.status == "resolved":
                over_since = before.over_since if before is not None else None
                over_since = over_since if over_since is not None else time.monotonic()
            self._told[key] = _Sent(partition, its, over_since)
            for lane in self._lanes:
                lane.put(key, Item(its, news=True))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context lasts, and at its end what is still queued, within a second."""
        if not self._lanes:
            yield
            return
        headers = {}
        if self._settings.username:
            headers["Authorization"] = aiohttp.encode_basic_auth(
                self._settings.username, self._password.reveal(), "utf-8"
            )
        async with aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(ssl=self._ssl),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
        ) as http:
            tasks = [asyncio.create_task(self._deliver(lane, http)) for lane in self._lanes]
            tasks.append(asyncio.create_task(self._resend()))
            try:
                yield
            finally:
                await cancel_and_wait(tasks.pop())
                await self._drain(FINAL_SEND_SECONDS)
                await cancel_and_wait(*tasks)

    async def _drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        # Whether anything waits is a state that several tasks change, not an event.
        while any(lane.delivery.waiting for lane in self._lanes) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _resend(self) -> None:
        while True:
            try:
                self.remind()
            except Exception:
                # A fault in looking at the state must not silence what is told as it happens.
                log.exception("what is open could not be told again")
            await asyncio.sleep(self._settings.resend_seconds)

    def remind(self) -> None:
        """Tell again what is open and what has ended lately, and of nobody else's partitions.

        What was told and is open no more, though nobody told of its end, is told to have ended. If
        there is nothing to tell, that is sent: so it is known whether somebody answers.
        """
        known = self._open_alerts()
        now = time.monotonic()
        still_open = {
            key: (number, alert)
            for number, alerts in known.items()
            for alert in alerts or ()
            for key, alert in by_key(alert).items()
        }
        for key, told in list(self._told.items()):
            forgotten = told.over_since is not None and now - told.over_since > RESOLVED_SECONDS
            if told.partition not in known or forgotten:
                del self._told[key]
                for lane in self._lanes:
                    lane.forget(key)
            elif known[told.partition] is None or key in still_open:
                continue
            elif told.over_since is None:
                ended = replace(told.alert, status="resolved", ends_at=time.time_ns())
                self._told[key] = _Sent(told.partition, ended, now)
        for key, (number, alert) in still_open.items():
            self._told[key] = _Sent(number, alert, None)
        for lane in self._lanes:
            for key, told in self._told.items():
                if known[told.partition] is not None:
                    lane.put(key, Item(told.alert, news=False))
            lane.wake.set()

    async def _deliver(self, lane: Lane, http: aiohttp.ClientSession) -> None:
        fresh = random.Random()  # noqa: S311 - it spreads load, it guards nothing
        waits = delays(fresh)
        while True:
            await lane.wake.wait()
            taken = lane.take()
            try:
                await self._send(lane, http, list(taken.values()))
            except Exception as error:  # noqa: BLE001 - nothing may end the telling
                lane.put_back(taken)
                lane.answered(f"{type(error).__name__}: {error}")
                await asyncio.sleep(next(waits))
            else:
                waits = delays(fresh)

    async def _send(self, lane: Lane, http: aiohttp.ClientSession, items: Sequence[Item]) -> None:
        """Post some alerts; singly where one of them is refused, so that it alone is lost."""
        settings = self._settings
        hold = HOLD_RESENDS * settings.resend_seconds
        now_ns = time.time_ns()
        alerts = [
            notification(item.alert, now_ns, hold, self._labels, settings.runbook_base_url)
            for item in items
        ]
        async with http.post(
            lane.url + PATH,
            data=body(alerts),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as answer:
            status, said = answer.status, await answer.text(errors="replace")
        if status in _REFUSED and len(items) > 1:
            for item in items:
                await self._send(lane, http, [item])
        elif status in _REFUSED:
            lane.answered(None)
            lane.refused(status, said)
        elif status // 100 == 2:
            lane.answered(None)
            lane.sent(items)
        else:
            raise aiohttp.ClientError(f"status {status}: {said[:200]}")
