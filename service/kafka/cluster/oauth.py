"""Tokens for SASL/OAUTHBEARER: out of a file, or from a token endpoint (RFC 6749, section 4.4)."""

import asyncio
import time
from typing import Any

import aiohttp
import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from service.errors import ConfigurationError
from service.settings.secrets import Secret, given
from service.settings.types import KafkaSettings
from service.tls import client_context

ANSWER_SECONDS = 4.0
"""How long a token endpoint may take; less than what the first connection to Kafka may take."""

RENEW_SHARE = 0.8
"""A token is asked for anew after this share of its life."""

MAX_ANSWER_BYTES = 65_536


class TokenError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """There is no token. An error of Kafka's clients, so that they try again later."""


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = 0.0


class _Refusal(msgspec.Struct):
    error: str
    error_description: str = ""


class FileToken(AbstractTokenProvider):  # type: ignore[misc]
    """The token that a file holds at the time: whoever put it there replaces it in time."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def token(self) -> str:
        """The token. Raises TokenError if the file has none."""
        try:
            return given("kafka.oauth_token", Secret(), self._path).reveal().strip()
        except ConfigurationError as error:
            raise TokenError(str(error)) from None


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens from an endpoint, for a client's id and secret.

    A token is kept for most of its life: a client connects to several brokers, and to each anew
    now and then.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._token = Secret()
        self._renew_at = 0.0
        self._turn = asyncio.Lock()

    async def token(self) -> str:
        """The token. Raises TokenError if the endpoint gives none."""
        async with self._turn:
            if time.monotonic() >= self._renew_at:
                asked_at = time.monotonic()
                answer = await self._ask()
                self._token = Secret(answer.access_token)
                self._renew_at = asked_at + answer.expires_in * RENEW_SHARE
            return self._token.reveal()

    async def _ask(self) -> _Answer:
        kafka = self._kafka
        try:
            secret = given(
                "kafka.oauth_client_secret",
                kafka.oauth_client_secret,
                kafka.oauth_client_secret_file,
            )
            trusted = client_context("kafka.oauth_ca_file", kafka.oauth_ca_file)
        except ConfigurationError as error:
            raise TokenError(str(error)) from None
        form = {"grant_type": "client_credentials"}
        if kafka.oauth_scope:
            form["scope"] = kafka.oauth_scope
        authorization = aiohttp.encode_basic_auth(kafka.oauth_client_id, secret.reveal())
        where = f"kafka.oauth_token_url: {kafka.oauth_token_url}"
        try:
            async with (
                aiohttp.ClientSession(
                    headers={"Authorization": authorization},
                    timeout=aiohttp.ClientTimeout(ANSWER_SECONDS),
                ) as session,
                # The secret goes to this address and to no other.
                session.post(
                    kafka.oauth_token_url, data=form, ssl=trusted, allow_redirects=False
                ) as response,
            ):
                body = await _start(response.content, MAX_ANSWER_BYTES)
        except aiohttp.ClientConnectorCertificateError as error:
            raise TokenError(
                f"{where} has no certificate to be trusted ({error.certificate_error}); "
                "kafka.oauth_ca_file names the authority that signed it"
            ) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            reason = reason or f"no answer in {ANSWER_SECONDS:g} s"
            raise TokenError(f"{where} does not answer: {reason}") from None
        if response.status != 200:
            raise TokenError(f"{where} gives no token: {_refusal(response.status, body)}")
        try:
            return msgspec.json.decode(body, type=_Answer, strict=False)
        except msgspec.MsgspecError:  # what is wrong with it may quote the token
            raise TokenError(f"{where} gives no access_token in its answer") from None


def provider(kafka: KafkaSettings) -> Any:
    """Where tokens come from, by the settings."""
    if kafka.oauth_token_file:
        return FileToken(kafka.oauth_token_file)
    return ClientCredentials(kafka)


async def _start(content: aiohttp.StreamReader, most: int) -> bytes:
    """What comes until its end, or until there are ``most`` bytes of it."""
    body = b""
    async for piece in content.iter_chunked(most):
        body += piece
        if len(body) >= most:
            break
    return body[:most]


def _refusal(status: int, body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=_Refusal)
    except msgspec.MsgspecError:
        return f"status {status}"
    reason = f"{said.error} {said.error_description}".strip()[:200]
    hint = ""
    if said.error in ("invalid_client", "unauthorized_client"):
        hint = "; check kafka.oauth_client_id and kafka.oauth_client_secret(_file)"
    elif said.error == "invalid_scope":
        hint = "; check kafka.oauth_scope"
    return f"status {status}, {reason}{hint}"
