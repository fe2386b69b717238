"""What a scenario does to the venue as the service knows it: who is answered what, over HTTP."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import bcrypt
import pytest
from aiohttp import ClientSession, encode_basic_auth
from msgspec import json as msgspec_json
from prometheus_client import CollectorRegistry

from detectors.risk.what_if.scenario import Scenario
from detectors.risk_watch.what_if import WhatIfAnswer, answer, standing
from service.console import what_if as console_what_if
from service.exchange.scenarios.catalogue import scenario
from service.kafka.risk_watch import RISK_KEY
from service.web.server import MAX_BODY_BYTES, start_http
from service.web.web_config import WebConfig
from tests.console.desk import Desk
from tests.risk_watch.venue import Venue, margin, near, position, reference

PATH = "/api/what-if"


def a_desk(venue: Venue | None) -> Desk:
    desk = Desk(script=scenario("calm"), seed=1, symbols=["X"], rate=5.0)
    if venue is not None:
        desk.risk, desk.risk_wanted = venue.monitor, True
    return desk


@asynccontextmanager
async def asking(desk: Desk, web_config: WebConfig | None = None) -> AsyncIterator[ClientSession]:
    """A served console; yields a client that is no browser."""
    server = await start_http(
        "127.0.0.1",
        0,
        registry=CollectorRegistry(),
        health=lambda: desk.health,
        web_config=web_config,
        additions=[desk.addition()],
    )
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:
            yield client
    finally:
        await server.close()


@pytest.fixture(scope="module")
def crowded() -> Venue:
    """Longs that a fall of 0.8 to 1 % liquidates; what is asked of it does not change it."""
    venue = near()
    venue.run(20)
    return venue


async def test_the_answer_is_that_of_the_command_on_the_present_state(crowded: Venue):
    monitor = crowded.monitor
    asked = {
        "shocks": {"X": -0.004},
        "depth": {"*": 0.4},
        "maintenance": {"X": 1.5},
        "halted": [],
        "step_ratio": 0.1,
        "mark_window_seconds": 60,
    }
    async with asking(a_desk(crowded)) as client:
        given = await client.post(PATH, json=asked)
        assert given.status == 200, await given.text()
        assert given.headers["Cache-Control"] == "no-store"
        body = await given.json()
    found = answer(
        standing(monitor.holdings, monitor.learned, monitor.closed_ns),
        Scenario({"X": -0.004}, frozenset(), {"X": 1.5}, {"*": 0.4}, 0.1, 60.0),
    )
    assert msgspec_json.decode(json.dumps(body["answer"]), type=WhatIfAnswer) == found
    assert found.after.forced.p50 > found.before.forced.p50 == 0
    assert body["heads"][:4] == ["symbol", "side", "closed before", "closed"]
    assert len(body["numbers"]) == len(body["heads"])
    assert [row[:2] for row in body["rows"]] == [["X", "long"], ["all", ""]]
    assert "X moves by -0.4 %" in body["described"]
    assert any("unstated contracts are linear" in note for note in body["notes"])


async def test_the_venue_goes_on_while_it_is_computed(monkeypatch: pytest.MonkeyPatch):
    venue = Venue()
    venue.take(margin(), reference(), position("a", 100.0, 0.01))
    venue.run(20)
    computing, go_on = threading.Event(), threading.Event()
    real = console_what_if.answer

    def slow(its, asked):
        computing.set()
        assert go_on.wait(10)
        return real(its, asked)

    monkeypatch.setattr(console_what_if, "answer", slow)
    monkeypatch.setattr(console_what_if, "WAIT_SECONDS", 0.05)
    async with asking(a_desk(venue)) as client:
        first = asyncio.create_task(client.post(PATH, json={"shocks": {"X": -0.02}}))
        await asyncio.to_thread(computing.wait, 10)
        venue.take(position("a", 0.0, 0.01, at=venue.now), position("b", 70.0, 0.01, at=venue.now))
        second = await client.post(PATH, json={})
        assert second.status == 503
        assert "other scenarios were computed for 0.05 s; try again" in await second.text()
        go_on.set()
        given = await first
        outcome = (await given.json())["answer"]["after"]
        assert outcome["forced"]["p50"] == pytest.approx(10_000), "as the venue stood when asked"
        assert outcome["accounts"]["p50"] == 1
        after = await client.post(PATH, json={"shocks": {"X": -0.02}})
        assert (await after.json())["answer"]["after"]["forced"]["p50"] == pytest.approx(7_000)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, 409, "Not watched: that needs a topic of positions"),
        ({"risk_wanted": True}, 409, "Another instance watches the risk of liquidations"),
        ({"connected": False}, 503, "Not known while this process is not connected to Kafka"),
        (
            {"risk_wanted": True, "venue_alerts": {RISK_KEY: None}},
            503,
            "This instance is still reading the positions of the last day",
        ),
    ],
)
async def test_a_process_that_does_not_watch_the_risk_says_so(changes, status, said):
    desk = a_desk(None)
    view = desk.view()
    for name, value in changes.items():
        setattr(view, name, value)
    desk.view = lambda: view
    async with asking(desk) as client:
        given = await client.post(PATH, json={"shocks": {"X": -0.02}})
        assert given.status == status
        assert said in await given.text()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"shock": {"X": -0.1}}, "shock is no field; the fields are shocks, maintenance, depth,"),
        ({"shocks": {"X": -1}}, 'shocks["X"] is -1; it must be a number above -1, at most 10'),
        ({"shocks": {"X": "-3%"}}, 'shocks["X"] is "-3%"; it must be a number above -1'),
        ({"shocks": -0.1}, "shocks is -0.1; it must be an object: for each symbol, a number above"),
        ({"shocks": {"": 0.1}}, 'a symbol of shocks is ""; it must be text of 1 to 64 characters'),
        ({"depth": {"*": 0}}, 'depth["*"] is 0; it must be a number from 0.01 to 100'),
        ({"maintenance": {"X": None}}, 'maintenance["X"] is null; it must be a number from 0.01'),
        ({"halted": "X"}, 'halted is "X"; it must be a list of symbols'),
        ({"halted": [1]}, "a symbol of halted is 1; it must be text of 1 to 64 characters"),
        ({"step_ratio": 1.5}, "step_ratio is 1.5; it must be a number above 0, at most 1"),
        ({"mark_window_seconds": 0}, "mark_window_seconds is 0; it must be a number above 0, at"),
        ([], "the body is []; it must be an object with fields"),
        ({"shocks": {"Y": 0.1}}, "no positions of Y are known; known symbols: X"),
        ({"shocks": {"X": 0.1}, "halted": ["X"]}, "X is halted and has a shock"),
        ({"maintenance": {"X": 100}}, "the maintenance of X times 100"),
    ],
)
async def test_what_is_wrong_is_told_with_what_would_be_right(crowded: Venue, asked, said):
    async with asking(a_desk(crowded)) as client:
        given = await client.post(PATH, json=asked)
        assert given.status == 400
        assert said in await given.text()


async def test_only_json_of_a_limited_size_is_read(crowded: Venue):
    async with asking(a_desk(crowded)) as client:
        assert (await client.post(PATH, data={"shocks": "X"})).status == 415
        headers = {"Content-Type": "application/json"}
        torn = await client.post(PATH, data=b'{"shocks": ', headers=headers)
        assert torn.status == 400
        assert "the body is not JSON" in await torn.text()
        large = await client.post(PATH, data=b" " * (MAX_BODY_BYTES + 1), headers=headers)
        assert large.status == 413
        assert f"more than {MAX_BODY_BYTES} bytes" in await large.text()
        assert (await client.get(PATH)).status == 405


async def test_no_page_of_another_origin_can_ask_and_a_password_is_asked_for(crowded: Venue):
    users = {"ann": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}
    async with asking(a_desk(crowded), WebConfig(users=users)) as client:
        assert (await client.post(PATH, json={})).status == 401
        headers = {"Authorization": encode_basic_auth("ann", "secret")}
        assert (await client.post(PATH, json={}, headers=headers)).status == 200
        for of_page in ({"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "same-site"}):
            given = await client.post(PATH, json={}, headers=headers | of_page)
            assert given.status == 403
