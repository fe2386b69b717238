"""Tokens for SASL/OAUTHBEARER: from a file, or from a token endpoint (RFC 6749, section 4.4)."""

import asyncio
import time
from typing import Any

import aiohttp
import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from service.errors import ConfigurationError
from service.http_client import beginning, bounded_session
from service.settings.secrets import Secret, read_secret
from service.settings.types import KafkaSettings
from service.tls import client_context

ANSWER_SECONDS = 4.0
"""The time limit of a token endpoint, in seconds; it is shorter than that of a first connection to
Kafka."""

RENEW_SHARE = 0.8
"""The share of its lifetime after which a token is renewed."""


class TokenError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """No token is available. As an error of Kafka's clients, it makes them try again later."""


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = 0.0


class _Refusal(msgspec.Struct):
    error: str
    error_description: str = ""


class FileToken(AbstractTokenProvider):  # type: ignore[misc]
    """The current token in a file; an external program replaces it before it expires."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token. Raises TokenError if the file has none."""
        try:
            return read_secret("kafka.oauth_token", Secret(), self._path).reveal().strip()
        except ConfigurationError as error:
            raise TokenError(str(error)) from None


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens from a token endpoint, for a client id and a client secret.

    A token is reused for most of its lifetime: a client connects to several brokers, and reconnects
    to each of them from time to time.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._token = Secret()
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """Return the token. Raises TokenError if the endpoint provides none."""
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                requested_at = time.monotonic()
                answer = await self._request()
                self._token = Secret(answer.access_token)
                self._renew_at = requested_at + answer.expires_in * RENEW_SHARE
            return self._token.reveal()

    async def _request(self) -> _Answer:
        kafka = self._kafka
        try:
            secret = read_secret(
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
                bounded_session(
                    seconds=ANSWER_SECONDS, headers={"Authorization": authorization}, tls=trusted
                ) as session,
                # Send the secret to this address only: follow no redirect.
                session.post(kafka.oauth_token_url, data=form, allow_redirects=False) as response,
            ):
                body = await beginning(response)
        except aiohttp.ClientConnectorCertificateError as error:
            raise TokenError(
                f"{where} has a certificate that is not trusted ({error.certificate_error}); "
                "set kafka.oauth_ca_file to the certificate of the authority that signed it"
            ) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            reason = reason or f"no answer in {ANSWER_SECONDS:g} s"
            raise TokenError(f"{where} does not answer: {reason}") from None
        if response.status != 200:
            raise TokenError(f"{where} returns no token: {_refusal(response.status, body)}")
        try:
            return msgspec.json.decode(body, type=_Answer, strict=False)
        except msgspec.MsgspecError:  # its message may quote the token
            raise TokenError(f"{where} returns no access_token in its answer") from None


def provider(kafka: KafkaSettings) -> Any:
    """Return the token provider that the settings select."""
    if kafka.oauth_token_file:
        return FileToken(kafka.oauth_token_file)
    return ClientCredentials(kafka)


def _refusal(status: int, body: bytes) -> str:
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.MsgspecError:
        return f"status {status}"
    reason = f"{refusal.error} {refusal.error_description}".strip()[:200]
    hint = ""
    if refusal.error in ("invalid_client", "unauthorized_client"):
        hint = "; check kafka.oauth_client_id and kafka.oauth_client_secret(_file)"
    elif refusal.error == "invalid_scope":
        hint = "; check kafka.oauth_scope"
    return f"status {status}, {reason}{hint}"
