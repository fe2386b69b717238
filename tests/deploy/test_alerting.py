"""From the order flow to the page that is sent: the real programs, with the deployed files.

A cascade is traded on a real Kafka, in real time where it matters. One Foreshock pushes incidents
to Alertmanager, another leaves it to Prometheus; the time from the close of the bar that showed
the stress to the notification is measured for both. ``make alerting`` shows it.
"""

import asyncio
import json
import math
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from deploy.kafka.kafka import free_port
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from tests.deploy.monitoring import asked_metrics, queries
from tests.deploy.programs import (
    Pager,
    alertmanager,
    alerts_at,
    get_json,
    pager,
    prometheus,
    within,
)
from tests.kafka.broker.rig import STREAMS, Event, Venue, events
from tests.web.metrics_page import exposed, specified

pytestmark = pytest.mark.kafka

SECOND = 1_000_000_000
LIVE_AFTER = 640 * SECOND
"""What happens before is history when the services see it; after it everything is in real time."""

SETTINGS = {
    "DETECTION__FALSE_ALARMS_PER_DAY": "1",
    "DETECTION__QUIET_SECONDS": "120",
    "KAFKA__FETCH_WAIT_SECONDS": "0.5",
    "KAFKA__MAX_POLL_RECORDS": "5000",
}
CRITICAL = ("BTC-PERP", "critical")


def cascade(folder: Path) -> list[Event]:
    """Leverage builds up from the tenth minute on and the book thins: critical at 691 s."""
    provoked = scenario("cascade", start_seconds=600, length_seconds=300)
    simulate_to_directory(
        folder, scenario=provoked, seed=1, symbols=4, duration_seconds=900, events_per_second=5.0
    )
    return events(folder)


def shifted(recorded: list[Event], by_ns: int) -> list[Event]:
    """The same events at another time."""
    return [
        event._replace(
            ts_event=event.ts_event + by_ns,
            value=json.dumps(
                json.loads(event.value) | {"ts_event": event.ts_event + by_ns}
            ).encode(),
        )
        for event in recorded
    ]


async def in_real_time(venue: Venue, live: list[Event], until: Callable[[], Any]) -> None:
    """Produce each event when its time has come, until there is a result."""
    produced = 0
    while not until():
        if produced == len(live):
            pytest.fail("the market ended before anybody was called", pytrace=False)
        due = bisect_right(live, time.time_ns(), key=attrgetter("ts_event"))
        produced += await venue.produce(live[produced:due])
        await asyncio.sleep(0.02)


async def openmetrics(port: int) -> str:
    """What Prometheus gets when it asks for OpenMetrics."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with ClientSession(headers=accept) as session:
        answer = await session.get(f"http://127.0.0.1:{port}/metrics")
        return await answer.text()


async def answers_of(port: int, query: str) -> list[float]:
    """The numbers that Prometheus answers a query with, as a panel would ask it."""
    url = f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': query})}"
    answer = await get_json(url)
    numbers = [float(each["value"][1]) for each in answer["data"]["result"]]
    return [number for number in numbers if not math.isnan(number)]


def moment(text: str) -> datetime:
    """A time as Alertmanager writes it."""
    return datetime.fromisoformat(text)


def first(pages: Pager, receiver: str, alertname: str, severity: str):
    """The first notification of an alert, and the alert as it was sent; None before it."""
    wanted = {"alertname": alertname, "severity": severity}.items()
    for notification in pages.of(receiver):
        for alert in notification.alerts:
            if alert["status"] == "firing" and wanted <= alert["labels"].items():
                return notification, alert
    return None


def calls(pages: Pager) -> int:
    """How often who is on call was called for incidents of symbols."""
    return sum(
        notification.alerts[0]["labels"]["alertname"] == "ForeshockIncident"
        for notification in pages.of("on-call")
    )


async def test_a_cascade_calls_who_is_on_call_by_both_ways_and_a_restart_changes_nothing(
    kafka: str, tmp_path: Path
):
    recorded = await asyncio.to_thread(cascade, tmp_path / "market")
    beginning = recorded[0].ts_event
    ports = [free_port(), free_port()]
    url = f"http://127.0.0.1:{ports[0]}"
    # Held for five times as long: longer than a restart takes on a busy machine.
    pushes = {"ALERTMANAGER__URLS": url, "ALERTMANAGER__RESEND_SECONDS": "15"}
    async with (
        pager() as pages,
        Venue(kafka, tmp_path, STREAMS, partitions=2, **SETTINGS, **pushes) as venue,
        # Another group over the same topics, with outputs of its own.
        Venue(
            kafka,
            tmp_path,
            STREAMS,
            partitions=2,
            **SETTINGS,
            **{f"TOPICS__{name.upper()}": venue.topic(name) for name in STREAMS},
        ) as scraped_venue,
    ):
        pushing, scraped = venue.start(), scraped_venue.start()
        with (
            alertmanager(tmp_path, ports[0], pages.url),
            prometheus(tmp_path, ports[1], [pushing.port, scraped.port], ports[0]),
        ):

            async def all_up():
                query = "sum(up * on(instance) foreshock_connected) == 2"
                answer = await get_json(f"http://127.0.0.1:{ports[1]}/api/v1/query?query={query}")
                return answer and answer["data"]["result"]

            await within(120, all_up, tmp_path)

            # What was before, at once; then the market, as it happens, until both have called.
            shift = (time.time_ns() - beginning - LIVE_AFTER) // SECOND * SECOND
            market = shifted(recorded, shift)
            now_ns = beginning + shift + LIVE_AFTER
            await venue.send("orders", b"BTC-PERP", b"not JSON")
            await venue.produce(event for event in market if event.ts_event < now_ns)
            live = [event for event in market if event.ts_event >= now_ns]
            await in_real_time(
                venue, live, until=lambda: first(pages, "on-call", "ForeshockIncident", "critical")
            )
            by_push, alert = first(pages, "on-call", "ForeshockIncident", "critical")
            # The market stands still from here on: the incident stays open for its quiet time.
            by_scrape, fallback = await within(
                40,
                lambda: first(pages, "on-call", "ForeshockIncidentCritical", "critical"),
                tmp_path,
            )
            pushed_after = by_push.at - moment(alert["annotations"]["ts_event"]).timestamp()
            closed_at = min(
                published["ts_event"]
                for published in await scraped_venue.alerts()
                if (published["severity"], published["status"]) == ("critical", "firing")
            )
            scraped_after = by_scrape.at - closed_at / SECOND
            print(  # noqa: T201 - what make alerting shows
                "\nfrom the close of the bar to the notification:"
                f" pushed {pushed_after:.2f} s, scraped {scraped_after:.2f} s"
            )
            assert min(pushed_after, scraped_after) > 0
            assert alert["labels"]["symbol"] == "BTC-PERP"
            assert alert["annotations"]["summary"].startswith("BTC-PERP: ")
            assert fallback["labels"]["instance"] == f"127.0.0.1:{scraped.port}"

            # The warning that it was before is hidden by it; the dead letter is told more quietly.
            held = await alerts_at(ports[0])
            assert held["BTC-PERP", "warning"]["status"]["inhibitedBy"]
            letter = await within(
                20, lambda: first(pages, "operations", "ForeshockDeadLetters", "warning"), tmp_path
            )
            assert letter[1]["labels"]["topic"] == venue.topic("orders")
            assert letter[1]["labels"]["reason"] == "not_json"

            # Every panel of the dashboards has something to show.
            unanswered = queries(symbol="BTC-PERP")

            async def all_answered():
                answers = [await answers_of(ports[1], expr) for expr in unanswered]
                pairs = zip(unanswered, answers, strict=True)
                unanswered[:] = [expr for expr, answer in pairs if not answer]
                return not unanswered

            with suppress(pytest.fail.Exception):
                await within(40, all_answered, tmp_path)
            assert unanswered == []

            # What the real process exposes is what is documented, and all that is asked for.
            families = text_string_to_metric_families(await openmetrics(pushing.port))
            found = exposed(families)
            documented = specified()
            assert sorted(found) == sorted(documented)
            for name, metric in found.items():
                assert metric[:2] == documented[name][:2], name
                assert metric.labels <= documented[name].labels, name
            histograms = {
                f"{name}_bucket" for name, m in documented.items() if m.type == "histogram"
            }
            assert asked_metrics() <= found.keys() | histograms

            # A restart carries on with what was open: nobody is called again, nothing has ended.
            called = calls(pages)
            await pushing.stop()
            stopped_at = datetime.now(UTC)
            restarted = venue.start()

            async def told_again():
                held = (await alerts_at(ports[0])).get(CRITICAL)
                return held and moment(held["updatedAt"]) > stopped_at and held

            held = await within(90, told_again, tmp_path)
            assert moment(held["startsAt"]) == moment(alert["startsAt"])
            assert restarted.log("restored from snapshots")
            assert calls(pages) == called

            # Silence ends it as well as calm, and the end is told.
            await within(
                150,
                lambda: [n for n in pages.of("on-call") if CRITICAL in n.told("resolved")],
                tmp_path,
            )
    scraped_alerts = {
        alert["labels"]["instance"]
        for notification in pages.of("on-call")
        for alert in notification.alerts
        if alert["labels"]["alertname"] == "ForeshockIncidentCritical"
    }
    assert scraped_alerts == {f"127.0.0.1:{scraped.port}"}
