"""A real Alertmanager with the deployed configuration: what reaches whom, and what does not."""

import time
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession
from msgspec.structs import replace

from deploy.kafka.kafka import free_port
from service.outputs.alertmanager import Notifier
from service.settings.types import AlertmanagerSettings
from tests.deploy.programs import alertmanager, alerts_at, get_json, pager, within
from tests.outputs.alertmanagers import alert, ended


class Market:
    """The open incidents of one partition, and a notifier that hears of every change."""

    def __init__(self, *urls):
        self.incidents = {}
        settings = AlertmanagerSettings(urls=",".join(urls), resend_seconds=2.0)
        self.notifier = Notifier(settings, lambda: {0: list(self.incidents.values())})

    def notify(self, symbol, severity="warning", detector="cancel_burst"):
        before = self.incidents.get((symbol, detector))
        fired = alert(symbol, severity=severity, detector=detector)
        if before is not None:
            fired = replace(fired, starts_at=before.starts_at)
        self.incidents[symbol, detector] = fired
        self.notifier.notify(0, fired)

    def end(self, symbol, detector="cancel_burst"):
        self.notifier.notify(0, ended(self.incidents.pop((symbol, detector))))


@asynccontextmanager
async def watched(*urls):
    market = Market(*urls)
    async with market.notifier.running():
        yield market


async def post_as_prometheus_does(port, labels, seconds):
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    sent = [{"labels": labels, "annotations": {}, "endsAt": ends}]
    async with ClientSession() as session:
        await session.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=sent)


async def test_incidents_reach_who_is_on_call_once_and_in_one_piece(tmp_path: Path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with pager() as pages, watched(url) as market:
        with alertmanager(tmp_path, port, pages.url) as manager:

            def paged(receiver, told, status="firing"):
                return [n for n in pages.of(receiver) if told <= n.told(status)]

            async def inhibited(*key):
                held = (await alerts_at(port)).get(key)
                return held is not None and held["status"]["inhibitedBy"]

            await within(10, lambda: market.notifier.deliveries[url].up, tmp_path)

            # Warnings of two symbols are one notification; a change of habit is none.
            market.notify("SOL-PERP", "info", detector="drift")
            market.notify("BTC-PERP")
            market.notify("ETH-PERP")
            both = {("BTC-PERP", "warning"), ("ETH-PERP", "warning")}
            await within(10, lambda: paged("operations", both), tmp_path)
            await within(10, lambda: paged("quiet", {("SOL-PERP", "info")}), tmp_path)
            assert pages.of("on-call") == []

            # It becomes worse: who is on call hears of it, and the warning is hidden.
            market.notify("BTC-PERP", "critical")
            await within(10, lambda: paged("on-call", {("BTC-PERP", "critical")}), tmp_path)
            await within(10, lambda: inhibited("BTC-PERP", "warning"), tmp_path)
            assert not await inhibited("ETH-PERP", "warning")
            assert not await inhibited("BTC-PERP", "critical")

            # Alertmanager restarts: it has forgotten the alerts, is told again, and calls nobody
            # a second time.
            manager.stop()
            manager.start()
            held = {("BTC-PERP", "critical"), ("BTC-PERP", "warning"), *both, ("SOL-PERP", "info")}

            async def remembers():
                return held <= (await alerts_at(port)).keys()

            await within(15, remembers, tmp_path)
            market.notify("ETH-PERP", "critical")
            together = {("BTC-PERP", "critical"), ("ETH-PERP", "critical")}
            await within(10, lambda: paged("on-call", together), tmp_path)
            assert len(paged("on-call", {("BTC-PERP", "critical")})) == 2

            # The whole market, as it is pushed: single symbols are its detail.
            market.notify("*", "critical", detector="market_wide")
            await within(10, lambda: paged("on-call", {("*", "critical")}), tmp_path)
            await within(10, lambda: inhibited("BTC-PERP", "critical"), tmp_path)
            assert not await inhibited("*", "critical")
            market.end("*", detector="market_wide")
            await within(10, lambda: paged("on-call", {("*", "critical")}, "resolved"), tmp_path)

            # And as Prometheus tells of it where nobody pushes.
            stress = {
                "alertname": "ForeshockMarketWide",
                "severity": "critical",
                "symbol": "*",
                "detector": "market_wide",
            }
            await post_as_prometheus_does(port, stress, 60)
            await within(10, lambda: inhibited("BTC-PERP", "critical"), tmp_path)
            await post_as_prometheus_does(port, stress, -1)

            # All is over.
            market.end("BTC-PERP")
            market.end("ETH-PERP")
            market.end("SOL-PERP", detector="drift")
            await within(10, lambda: paged("on-call", together, "resolved"), tmp_path)
            await within(10, lambda: paged("operations", both, "resolved"), tmp_path)

            async def is_empty():
                return not await alerts_at(port)

            await within(10, is_empty, tmp_path)
    told = {key for n in pages.of("on-call") for key in n.told()}
    assert told == {*together, ("*", "critical")}


async def test_what_is_known_of_the_feed_hides_nothing_of_the_market_nor_the_other_way_round(
    tmp_path: Path,
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with pager() as pages, watched(url) as market:
        with alertmanager(tmp_path, port, pages.url):
            await within(10, lambda: market.notifier.deliveries[url].up, tmp_path)
            market.notify("BTC-PERP", "critical", detector="feed_integrity")
            market.notify("BTC-PERP", detector="thin_book")
            market.notify("ETH-PERP", detector="feed_integrity")
            market.notify("ETH-PERP", "critical", detector="thin_book")

            async def hidden():
                found = await get_json(f"{url}/api/v2/alerts")
                names = ("symbol", "detector", "severity")
                return {
                    tuple(a["labels"][name] for name in names): bool(a["status"]["inhibitedBy"])
                    for a in found
                }

            expected = {
                ("BTC-PERP", "feed_integrity", "critical"): False,
                ("BTC-PERP", "feed_integrity", "warning"): True,
                ("BTC-PERP", "thin_book", "warning"): False,
                ("ETH-PERP", "feed_integrity", "warning"): False,
                ("ETH-PERP", "thin_book", "critical"): False,
                ("ETH-PERP", "thin_book", "warning"): True,
            }

            async def is_so():
                return await hidden() == expected

            await within(10, is_so, tmp_path)


async def test_a_cluster_is_told_in_full_and_calls_once(tmp_path: Path):
    ports, gossip = [free_port(), free_port()], [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with pager() as pages, watched(*urls) as market:

        def member(number):
            return alertmanager(
                tmp_path,
                ports[number],
                pages.url,
                f"--cluster.listen-address=127.0.0.1:{gossip[number]}",
                f"--cluster.advertise-address=127.0.0.1:{gossip[number]}",
                f"--cluster.peer=127.0.0.1:{gossip[1 - number]}",
                "--cluster.peer-timeout=3s",
                "--cluster.settle-timeout=3s",
                name=f"member{number}",
            )

        with member(0), member(1) as second:
            deliveries = market.notifier.deliveries
            await within(15, lambda: all(deliveries[url].up for url in urls), tmp_path)
            market.notify("BTC-PERP", "critical")
            await within(15, lambda: pages.of("on-call"), tmp_path)
            for port in ports:

                async def has_it(port=port):
                    return ("BTC-PERP", "critical") in await alerts_at(port)

                await within(10, has_it, tmp_path)
            # One of them goes away; the other goes on, and knows who has been called.
            second.stop()
            market.notify("ETH-PERP", "critical")
            both = {("BTC-PERP", "critical"), ("ETH-PERP", "critical")}
            await within(15, lambda: [n for n in pages.of("on-call") if both <= n.told()], tmp_path)
    assert [n.told() for n in pages.of("on-call")] == [{("BTC-PERP", "critical")}, both]
