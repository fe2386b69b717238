"""Incidents of the market, wherever there are alerts: found once, whoever looks, and shown."""

import asyncio
import itertools
import json
from types import SimpleNamespace

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from detectors.incidents.alerts import Alert, alert_id
from detectors.incidents.market_wide import MARKET, MarketMonitor
from service.cli.main import main
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from service.kafka.counters import ConsumerCounters
from service.kafka.market_watch import MARKET_KEY, MarketLog, MarketWatch
from service.kafka.owner_loop import WATCH_PARTITION
from service.pipeline.output import Output
from service.settings.load import load_settings
from service.settings.types import Settings
from tests.console.desk import Desk, served

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
BUDGET = 4.0


def told(symbol, at, *, since=None):
    """An incident that opens, or ends if it is said since when it lasts."""
    ts_event, begin = BEGIN + at * SECOND, BEGIN + (at if since is None else since) * SECOND
    status = "firing" if since is None else "resolved"
    return Alert(
        alert_id(symbol, "thin_book", 1, begin), symbol, "thin_book", "warning", status, begin,
        None if since is None else ts_event, ts_event, 6.0, 1e-9, [], f"{symbol}: thin", "x",
    )  # fmt: skip


STRESS = [told("A", 0), told("B", 1), told("C", 2)]
OVER = [told("A", 90, since=0), told("B", 91, since=1), told("C", 92, since=2)]


def watch():
    return MarketLog(MarketMonitor(3, 60 * SECOND))


def test_it_is_told_once_however_often_it_is_read():
    first = watch()
    (opened,) = first.take(STRESS, BUDGET)
    assert first.take([opened], BUDGET) == []
    assert first.take(STRESS, BUDGET) == []
    (resolved,) = first.take(OVER, BUDGET)
    assert first.take([resolved], BUDGET) == []
    assert (resolved.alert_id, resolved.status) == (opened.alert_id, "resolved")


def test_who_takes_over_repeats_nothing_and_goes_on():
    (opened,) = watch().take(STRESS, BUDGET)
    second = watch()
    # The partitions of a topic are read in any order.
    assert second.take([opened, *reversed(STRESS)], BUDGET) == []
    (resolved,) = second.take(OVER, BUDGET)
    third = watch()
    assert third.take([resolved, *OVER, opened, *STRESS], BUDGET) == []
    assert third.monitor.open is None


def test_what_its_predecessor_could_not_tell_is_told_if_it_lasts():
    assert [a.status for a in watch().take(STRESS, BUDGET)] == ["firing"]
    assert watch().take([*STRESS, *OVER], BUDGET) == []
    (opened,) = watch().take(STRESS, BUDGET)
    assert [a.status for a in watch().take([*STRESS, opened, *OVER], BUDGET)] == ["resolved"]


def test_what_is_found_while_it_watches_is_told_even_where_it_is_over():
    its = watch()
    its.take([], BUDGET)
    assert [a.status for a in its.take([*STRESS, *OVER], BUDGET)] == ["firing", "resolved"]


def test_what_was_told_under_other_settings_stands_until_it_is_over():
    (opened,) = watch().take(STRESS, BUDGET)
    stricter = MarketLog(MarketMonitor(50, 60 * SECOND))
    assert stricter.take([*STRESS, opened], BUDGET) == []
    (resolved,) = stricter.take(OVER, BUDGET)
    assert (resolved.alert_id, resolved.status) == (opened.alert_id, "resolved")


async def test_what_fails_is_counted_and_tried_again():
    counters = ConsumerCounters()
    tried_again = asyncio.Event()

    def connect():
        if counters.market_failures == 2:
            tried_again.set()
        raise OSError("no broker")

    session = SimpleNamespace(partitions={WATCH_PARTITION: None}, restoring=0)
    clients = SimpleNamespace()
    its = MarketWatch(
        Settings(), session, clients, counters, connect, lambda: itertools.repeat(0.0)
    )
    running = asyncio.create_task(its.run())
    await tried_again.wait()
    # The state is unknown: alerts already sent are neither sent again nor resolved.
    assert its.open_alerts() == {MARKET_KEY: None}
    session.partitions.clear()
    assert its.open_alerts() == {}
    assert not its.watching
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """A market that makers leave, replayed: the alerts, the summary and the report."""
    folder = tmp_path_factory.mktemp("market-wide")
    simulate_to_directory(
        folder / "day",
        scenario=scenario("market_wide", start_seconds=900, length_seconds=60),
        seed=1,
        symbols=4,
        duration_seconds=1_050.0,
        events_per_second=40.0,
    )
    files = {name: folder / name for name in ("alerts", "summary", "report")}
    options = [argument for name, file in files.items() for argument in (f"--{name}", str(file))]
    settings = folder / "foreshock.toml"
    settings.write_text("[detection]\nfalse_alarms_per_day = 5\n")
    assert load_settings(settings, {}).market.min_symbols == 3
    arguments = ["replay", str(folder / "day"), "--config", str(settings), *options, "--quiet"]
    assert main(arguments) == 0
    return {name: file.read_text() for name, file in files.items()}


def test_a_replay_tells_of_a_market_that_is_left_by_its_makers(replayed):
    alerts = [json.loads(line) for line in replayed["alerts"].splitlines()]
    opened, resolved = [alert for alert in alerts if alert["symbol"] == MARKET]
    assert (opened["status"], opened["severity"]) == ("firing", "critical")
    assert (resolved["status"], resolved["alert_id"]) == ("resolved", opened["alert_id"])
    before = alerts[: alerts.index(opened)]
    assert len({alert["symbol"] for alert in before}) == opened["evidence"][0]["value"]
    assert opened["ts_event"] == max(alert["ts_event"] for alert in before)
    summary = json.loads(replayed["summary"])
    assert summary["market_wide_incidents"] == 1
    assert "market_wide" not in {incident["detector"] for incident in summary["incidents"]}


def test_the_report_shows_it(replayed):
    assert "are under stress at once: 3 symbols within" in replayed["report"]


async def test_the_console_shows_it(monkeypatch):
    desk = Desk(script=scenario("calm"), seed=1, symbols=2, rate=5.0)
    desk.run_to(20)
    as_it_is = desk.view()
    opened = watch().take(STRESS, BUDGET)
    desk.history.take(MARKET_KEY, Output(alerts=opened))
    monkeypatch.setattr(
        Desk, "view", lambda _: replace(as_it_is, venue_alerts={MARKET_KEY: opened})
    )
    async with (
        served(desk) as url,
        ClientSession(url) as client,
        client.get("events", params={"symbol": MARKET}) as response,
    ):
        await response.content.readline()
        overview = json.loads((await response.content.readline()).removeprefix(b"data: "))
    (incident,) = overview["incidents"]
    assert incident["symbol"] == MARKET
    assert incident["summary"].startswith("A, B and C are under stress at once")
