"""Fetch tokens for Kafka from a token endpoint.

tests/kafka/broker/test_security.py tries them on a broker.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from service.kafka.cluster import oauth
from service.kafka.cluster.oauth import ClientCredentials, FileToken, TokenError
from service.settings.secrets import Secret
from service.settings.types import KafkaSettings
from tests.authority import Authority

SECRET, TOKEN = "canary:secret", "canary-token"


class Endpoint:
    """A token endpoint: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.authorization = ""
        self.status = 200
        self.body = f'{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":300}}'
        self.headers: dict[str, str] = {}
        self.in_two_pieces = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(parse_qs(await request.text()))
        self.authorization = request.headers["Authorization"]
        if self.in_two_pieces:
            return await self._answer_in_two_pieces(request)
        return web.Response(status=self.status, text=self.body, headers=self.headers)

    async def _answer_in_two_pieces(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status, headers=self.headers)
        await response.prepare(request)
        for piece in (self.body[:20], self.body[20:]):
            await response.write(piece.encode())
            await asyncio.sleep(0.05)
        return response


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@asynccontextmanager
async def served(endpoint: Endpoint, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/token", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


def client(url: str, **settings: object) -> ClientCredentials:
    return ClientCredentials(
        KafkaSettings(
            oauth_token_url=url,
            oauth_client_id="me",
            oauth_client_secret=Secret(SECRET),
            **settings,
        )
    )


async def complaint(provider: ClientCredentials | FileToken) -> str:
    with pytest.raises(TokenError) as caught:
        await provider.token()
    assert "canary" not in str(caught.value)
    return str(caught.value)


async def test_a_token_is_asked_for_as_the_standard_has_it(endpoint: Endpoint):
    async with served(endpoint) as url:
        assert await client(url, oauth_scope="kafka read").token() == TOKEN
    assert endpoint.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka read"]}]
    assert base64.b64decode(endpoint.authorization.removeprefix("Basic ")) == b"me:canary:secret"


async def test_an_answer_may_arrive_in_pieces(endpoint: Endpoint):
    endpoint.in_two_pieces = True
    async with served(endpoint) as url:
        assert await client(url).token() == TOKEN


async def test_a_token_is_asked_for_anew_before_it_expires_and_not_each_time(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    async with served(endpoint) as url:
        provider = client(url)
        now = oauth.time.monotonic()
        for later, asked in ((0, 1), (239, 1), (241, 2)):
            monkeypatch.setattr(oauth.time, "monotonic", lambda at=now + later: at)
            await provider.token()
            assert len(endpoint.asked) == asked
        monkeypatch.undo()


async def test_a_token_that_does_not_say_how_long_it_lives_is_used_once(endpoint: Endpoint):
    endpoint.body = f'{{"access_token":"{TOKEN}"}}'
    async with served(endpoint) as url:
        provider = client(url)
        await provider.token()
        await provider.token()
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            401,
            '{"error":"invalid_client","error_description":"who?"}',
            "returns no token: status 401, invalid_client who?; check kafka.oauth_client_id and",
        ),
        (400, '{"error":"invalid_scope"}', "invalid_scope; check kafka.oauth_scope"),
        (500, "<html>canary</html>", "returns no token: status 500"),
        (404, "", "returns no token: status 404"),
        (200, '{"token":"canary"}', "returns no access_token in its answer"),
        (200, '{"access_token":["canary"]}', "returns no access_token in its answer"),
        (200, "canary", "returns no access_token in its answer"),
        (200, f'{{"access_token":"{"canary" * 20_000}"}}', "returns no access_token"),
    ],
)
async def test_a_refusal_is_told_by_the_setting(
    endpoint: Endpoint, status: int, body: str, sentence: str
):
    endpoint.status, endpoint.body = status, body
    async with served(endpoint) as url:
        said = await complaint(client(url))
    assert sentence in said
    assert f"kafka.oauth_token_url: {url}" in said


async def test_the_secret_follows_no_redirection(endpoint: Endpoint):
    async with served(Endpoint()) as elsewhere, served(endpoint) as url:
        endpoint.status, endpoint.headers = 307, {"Location": elsewhere}
        assert "returns no token: status 307" in await complaint(client(url))


async def test_an_endpoint_that_is_not_there_is_told_by_the_setting():
    said = await complaint(client("http://127.0.0.1:1/token"))
    assert "kafka.oauth_token_url: http://127.0.0.1:1/token does not answer" in said


async def test_the_endpoint_must_have_a_certificate_to_be_trusted(
    endpoint: Endpoint, tmp_path: Path
):
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("endpoint", "127.0.0.1"))
    async with served(endpoint, context) as url:
        assert "set kafka.oauth_ca_file to the certificate of the authority" in await complaint(
            client(url)
        )
        assert await client(url, oauth_ca_file=str(authority.ca_file)).token() == TOKEN
        said = await complaint(client(url, oauth_ca_file=str(tmp_path / "none.pem")))
    assert "kafka.oauth_ca_file: cannot read" in said


async def test_a_token_in_a_file_is_read_anew_each_time(tmp_path: Path):
    path = tmp_path / "token"
    provider = FileToken(str(path))
    assert "kafka.oauth_token_file: cannot read" in await complaint(provider)
    for token in ("first", "second"):
        path.write_text(f"{token}\n")
        assert await provider.token() == token
