"""Connections that send no request cost nobody else anything."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from prometheus_client import CollectorRegistry

from service.web import connections
from service.web import server as web_server
from service.web.connections import max_connections
from service.web.server import Health, HttpServer, start_http
from service.web.web_config import WebConfig
from tests.authority import Authority

HALF = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpServer]:
    health = Health(live=True, ready=True, checks={})
    server = await start_http(
        "127.0.0.1",
        0,
        registry=CollectorRegistry(),
        health=lambda: health,
        web_config=WebConfig(tls=tls),
    )
    try:
        yield server
    finally:
        await server.close()


@contextlib.contextmanager
def half_open(port: int, count: int, data: bytes = HALF) -> Iterator[list[socket.socket]]:
    """Connections that begin a request and do not end it."""
    opened = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            its = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            its.sendall(data)
            its.setblocking(False)
            opened.append(its)
        yield opened


async def status(port: int, tls: ssl.SSLContext | None = None) -> int:
    connector = TCPConnector(ssl=tls if tls is not None else True)
    scheme = "https" if tls is not None else "http"
    async with (
        ClientSession(connector=connector) as session,
        session.get(f"{scheme}://localhost:{port}/healthz") as answer,
    ):
        return answer.status


async def closed(its: socket.socket) -> bool:
    """Whether the server closes a connection within the test's patience."""
    with contextlib.suppress(ConnectionError):
        while await asyncio.wait_for(asyncio.get_running_loop().sock_recv(its, 65_536), 60):
            pass
    return True


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    return 20


@pytest.mark.usefixtures("few")
async def test_a_probe_is_answered_whatever_is_half_open():
    async with serving() as server:
        with half_open(server.port, 100) as opened:
            assert await status(server.port) == 200
            # All but the last are closed.
            for its in opened[:75]:
                assert await closed(its)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01"], ids=["nothing", "a handshake"])
async def test_half_open_handshakes_are_bounded_too(tmp_path: Path, data: bytes):
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server", "localhost"))
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    async with serving(context) as server:
        with half_open(server.port, 100, data) as opened:
            assert await status(server.port, trusting) == 200
            for its in opened[:75]:
                assert await closed(its)


@pytest.mark.parametrize("data", [b"", HALF], ids=["nothing", "half a head"])
async def test_a_head_that_does_not_come_in_time_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, data: bytes
):
    monkeypatch.setattr(web_server, "HEAD_SECONDS", 0.2)
    async with serving() as server:
        with half_open(server.port, 1, data) as (its,):
            assert await closed(its)
        # A connection that has been answered has the same time for its next request.
        with half_open(server.port, 1, HALF + b"\r\n") as (its,):
            await asyncio.get_running_loop().sock_recv(its, 65_536)
            its.send(HALF)
            assert await closed(its)


async def test_a_connection_between_two_requests_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_server, "HEAD_SECONDS", 0.2)
    loop = asyncio.get_running_loop()
    async with serving() as server:
        with half_open(server.port, 1, HALF + b"\r\n") as (its,):
            assert (await loop.sock_recv(its, 65_536)).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.5)
            its.sendall(HALF + b"\r\n")
            assert (await loop.sock_recv(its, 65_536)).startswith(b"HTTP/1.1 200")


def test_connections_leave_most_file_descriptors_to_others(monkeypatch: pytest.MonkeyPatch):
    for soft, most in ((256, 64), (1_024, 256), (1_000_000, 256), (-1, 256), (10, 8)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert max_connections() == most
