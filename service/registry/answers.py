"""Requests to a schema registry, and what its answers mean."""

from typing import Annotated
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Meta, Struct

from service.errors import ConfigurationError
from service.http_client import beginning, bounded_session
from service.settings.registry import RegistrySettings
from service.settings.secrets import Secret, read_secret
from service.tls import client_context

MOST_BYTES = 1_048_576
"""The longest schema that is read."""

_OF_REGISTRY = Annotated[int, Meta(ge=40_400, lt=40_500)]


class RegistryAwayError(Exception):
    """The registry gives no answer about a schema; it may later."""


class AbsentError(Exception):
    """The registry says that it does not have something."""


class Reference(Struct, frozen=True):
    """A schema that another one names."""

    name: str
    subject: str
    version: int


class Answer(Struct, frozen=True):
    """A schema, as the registry gives it."""

    schema: str
    kind: str = msgspec.field(name="schemaType", default="AVRO")
    references: tuple[Reference, ...] = ()


class _Refusal(Struct):
    error_code: _OF_REGISTRY
    message: str = ""


class Requests:
    """Asks the registry. Each request reads the files of secrets again: they are replaced.

    Parameters
    ----------
    settings
        The settings of the registry.

    Raises
    ------
    ConfigurationError
        A file that the settings name cannot be used.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._tls = client_context("registry.ca_file", settings.ca_file)
        self._headers()

    def _headers(self) -> dict[str, str]:
        its = self._settings
        if its.bearer_token_file:
            token = read_secret("registry.bearer_token", Secret(), its.bearer_token_file)
            return {"Authorization": f"Bearer {token.reveal()}"}
        if its.username:
            password = read_secret("registry.password", Secret(), its.password_file)
            basic = aiohttp.encode_basic_auth(its.username, password.reveal(), "utf-8")
            return {"Authorization": basic}
        return {}

    async def by_id(self, number: int) -> Answer:
        """Return the schema of an id; raises `AbsentError` and `RegistryAwayError`."""
        return await self._whole(f"/schemas/ids/{number}")

    async def of(self, reference: Reference) -> Answer:
        """Return the schema that a reference names; raises as `by_id`."""
        subject = quote(reference.subject, safe="")
        return await self._whole(f"/subjects/{subject}/versions/{reference.version}")

    async def _whole(self, path: str) -> Answer:
        answer = await self._get(path)
        # A descriptor in place of the text, which would have to be compiled.
        return await self._get(f"{path}?format=serialized") if answer.kind == "PROTOBUF" else answer

    async def _get(self, path: str) -> Answer:
        its = self._settings
        url = its.url.rstrip("/") + path
        try:
            async with (
                bounded_session(
                    seconds=its.timeout_seconds, headers=self._headers(), tls=self._tls
                ) as session,
                # The secret goes to this address only: no redirect is followed.
                session.get(url, allow_redirects=False) as response,
            ):
                status, body = response.status, await beginning(response, MOST_BYTES)
        except ConfigurationError as error:
            raise RegistryAwayError(str(error)) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise RegistryAwayError(
                f"{url} has a certificate that is not trusted ({error.certificate_error}); set "
                "registry.ca_file to the certificate of the authority that signed it"
            ) from None
        except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError
            reason = getattr(error, "strerror", None) or str(error)
            reason = reason or f"no answer in {its.timeout_seconds:g} s"
            raise RegistryAwayError(f"{url} does not answer: {reason}") from None
        if status != 200:
            _refuse(url, status, body)
        try:
            return msgspec.json.decode(body, type=Answer)
        except msgspec.MsgspecError as error:
            cut = f" in its first {MOST_BYTES} bytes" if len(body) >= MOST_BYTES else ""
            raise RegistryAwayError(f"{url} gives no schema{cut}: {error}") from None


def _refuse(url: str, status: int, body: bytes) -> None:
    if status == 404:
        try:
            refusal = msgspec.json.decode(body, type=_Refusal)
        except msgspec.MsgspecError:
            raise RegistryAwayError(
                f"{url} is no address of a schema registry (status 404); check registry.url"
            ) from None
        raise AbsentError(refusal.message[:200] or f"error {refusal.error_code}")
    hint = ""
    if status in (401, 403):
        hint = "; check the registry's user or token, and what it may read"
    text = body[:200].decode(errors="replace")
    raise RegistryAwayError(f"{url} answers with status {status}{hint}: {text}")
