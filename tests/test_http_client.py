"""Whoever Foreshock asks over HTTP can exhaust neither its memory nor its time."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.http_client import MAX_ANSWER_BYTES, beginning, bounded_session
from service.kafka.cluster.oauth import ClientCredentials, TokenError
from service.outputs.alertmanager import Notifier
from service.settings.secrets import Secret
from service.settings.types import AlertmanagerSettings, KafkaSettings
from tests.outputs.alertmanagers import alert, until

ENDLESS = b"x" * 65_536
BOMB = gzip.compress(bytes(200_000_000), 1)
BOMB_HEADERS = f"Content-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n"


class Peer:
    """Answers every request with a status, headers and a body.

    ``piece`` is sent for as long as it is taken, with a pause after each.
    """

    def __init__(
        self, headers: str = "", body: bytes = b"", *, piece: bytes = b"", pause: float = 0.0
    ) -> None:
        self.url = ""
        self.status = 200
        self.sent = 0
        self.requests: list[bytes] = []
        self._headers = headers
        self._body = body
        self._piece = piece
        self._pause = pause
        self._serving: set[asyncio.Task[None] | None] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 {self.status} X\r\n{self._headers}\r\n".encode())
            writer.write(self._body)
            while self._piece:
                writer.write(self._piece)
                await writer.drain()
                self.sent += len(self._piece)
                await asyncio.sleep(self._pause)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def end(self) -> None:
        """Wait until nobody is answered any more."""
        tasks = [task for task in self._serving if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._serving.clear()


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    server = await asyncio.start_server(peer.answer, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield peer
        finally:
            await peer.end()


async def test_of_an_endless_answer_only_the_beginning_is_read():
    async with (
        serving(Peer(piece=ENDLESS)) as peer,
        bounded_session(seconds=60, headers={}) as http,
        http.get(peer.url) as answer,
    ):
        assert len(await beginning(answer)) == MAX_ANSWER_BYTES
        assert peer.sent < 20_000_000  # what the buffers of both machines hold


async def test_an_answer_is_asked_for_uncompressed_and_never_decompressed():
    async with (
        serving(Peer(BOMB_HEADERS, BOMB)) as peer,
        bounded_session(seconds=60, headers={}) as http,
        http.get(peer.url) as answer,
    ):
        assert (await beginning(answer))[:2] == BOMB[:2]
    assert b"Accept-Encoding: identity" in peer.requests[0]


@pytest.mark.parametrize(
    "peer", [Peer(piece=ENDLESS), Peer(BOMB_HEADERS, BOMB)], ids=["endless", "gzip bomb"]
)
@pytest.mark.parametrize("status", [200, 500])
async def test_an_alertmanager_that_answers_too_much_is_told_all_the_same(peer: Peer, status: int):
    peer.status = status
    async with serving(peer):
        settings = AlertmanagerSettings(urls=peer.url, timeout_seconds=60.0)
        notifier = Notifier(settings, dict)
        async with notifier.running():
            notifier.notify(0, alert())
            counts = notifier.deliveries[peer.url]
            await until(lambda: counts.sent if status == 200 else counts.failures)
    assert peer.sent < 100_000_000


@pytest.mark.parametrize(
    "peer", [Peer(piece=ENDLESS), Peer(BOMB_HEADERS, BOMB)], ids=["endless", "gzip bomb"]
)
async def test_a_token_endpoint_that_answers_too_much_gives_no_token(peer: Peer):
    async with serving(peer):
        settings = KafkaSettings(
            oauth_token_url=peer.url, oauth_client_id="me", oauth_client_secret=Secret("s")
        )
        with pytest.raises(TokenError, match="no access_token"):
            await ClientCredentials(settings).token()


async def test_an_answer_that_drips_is_given_up_in_time():
    began = time.monotonic()
    async with (
        serving(Peer(piece=b"x", pause=0.02)) as peer,
        bounded_session(seconds=0.3, headers={}) as http,
    ):
        with pytest.raises(TimeoutError):
            async with http.get(peer.url) as answer:
                await beginning(answer)
    assert time.monotonic() - began < 30
