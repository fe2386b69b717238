"""The live feed: complete on connecting, little afterwards, and nobody can hold it up."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from service.console import feed
from service.exchange.scenarios.catalogue import scenario
from tests.console.desk import Desk, served


def desk() -> Desk:
    its = Desk(script=scenario("calm"), seed=1, symbols=2, rate=5.0)
    its.run_to(20)
    return its


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "TICK_SECONDS", 0.05)


async def messages(response: ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """The events and their data, as they come."""
    while line := await response.content.readline():
        event = line.removeprefix(b"event: ").strip().decode()
        data = await response.content.readuntil(b"\n\n")
        yield event, json.loads(data.removeprefix(b"data: "))


async def test_the_first_message_is_whole_and_the_next_have_what_is_new():
    its = desk()
    async with (
        served(its) as url,
        ClientSession(url) as client,
        client.get("events", params={"symbol": "BTC-PERP"}) as response,
    ):
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        got = [message async for message in _first(response, 4)]
        its.run_to(22)
        later = [message async for message in _first(response, 4)]
    assert [event for event, _ in got] == ["overview", "symbol"] * 2
    whole, next_ = got[1][1], got[3][1]
    assert whole["whole"]
    assert len(whole["bars"]["ts_ms"]) == len(whole["bars"]["columns"]["mid"]) == 20
    assert whole["book"]["bids"][0]["price"] < whole["book"]["asks"][0]["price"]
    assert not next_["whole"]
    assert next_["bars"]["ts_ms"] == []
    assert sum(len(data["bars"]["ts_ms"]) for event, data in later if event == "symbol") == 2
    overview = got[0][1]
    assert {row["symbol"] for row in overview["symbols"]} == {"BTC-PERP", "ETH-PERP"}
    assert overview["read"] > 0


async def _first(response: ClientResponse, most: int) -> AsyncIterator[tuple[str, Any]]:
    count = 0
    async for message in messages(response):
        yield message
        count += 1
        if count == most:
            return


async def test_so_many_viewers_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "VIEWERS", 2)
    async with served(desk()) as url, ClientSession(url) as client:
        first, second = await client.get("events"), await client.get("events")
        refused = await client.get("events")
        assert refused.status == 503
        assert "2 viewers are connected" in await refused.text()
        first.close()
        for _ in range(100):
            again = await client.get("events")
            if again.status == 200:
                break
            await asyncio.sleep(0.05)
        assert again.status == 200, "a place that became free is given to the next"
        second.close()
        again.close()


async def test_who_does_not_take_its_messages_is_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(feed, "message", lambda _event, _data: b":" + b"x" * 4_000_000 + b"\n\n")
    async with served(desk()) as url:
        with socket.socket() as slow:
            slow.connect(("127.0.0.1", int(url.rstrip("/").rpartition(":")[2])))
            slow.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(30):
                while not _hung_up(slow):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.05)


def _hung_up(client: socket.socket) -> bool:
    try:
        client.send(b"x")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


@pytest.mark.parametrize("symbol", ["", "S" * 65])
async def test_what_cannot_be_a_symbol_is_refused_in_words(symbol: str):
    async with served(desk()) as url, ClientSession(url) as client:
        response = await client.get("events", params={"symbol": symbol})
        assert response.status == 400
        assert "1 to 64 characters" in await response.text()


async def test_a_symbol_that_nobody_watches_is_no_error():
    async with (
        served(desk()) as url,
        ClientSession(url) as client,
        client.get("events", params={"symbol": "A\nB"}) as response,
    ):
        (_, _), (_, detail) = [message async for message in _first(response, 2)]
    assert (detail["symbol"], detail["known"], detail["kept"]) == ("A\nB", False, False)


async def test_closing_the_server_waits_for_no_viewer():
    its = desk()
    server = await its.serve()
    url = f"http://127.0.0.1:{server.port}/"
    async with ClientSession(url) as client, client.get("events") as response:
        await asyncio.wait_for(server.close(), timeout=1.5)
        async for _ in messages(response):
            pass


async def test_files_are_kept_by_browsers_and_the_page_is_not():
    async with served(desk()) as url, ClientSession(url) as client:
        page = await client.get("")
        assert page.headers["Cache-Control"] == "no-store"
        address = re.search(r"static/[0-9a-f]+/console\.js", await page.text())[0]
        script = await client.get(address)
        assert "immutable" in script.headers["Cache-Control"]
        # What a script imports comes from the same version, and is kept with it.
        for name in re.findall(r'from "\./(.*)"', await script.text()):
            imported = await client.get(address.replace("console.js", name))
            assert imported.status == 200
            assert "immutable" in imported.headers["Cache-Control"]
        another = await client.get("static/000000000000/console.js")
        assert another.headers["Cache-Control"] == "no-cache", "as of a page of another version"
        assert script.content_type == "text/javascript"
        plain = await client.get(address, headers={"Accept-Encoding": "identity"})
        assert await plain.text() == await script.text()
        assert (await client.get("static/../page.py")).status == 404
