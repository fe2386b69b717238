"""Requests with a JSON body: who may send them, how the body is read, and how one is refused."""

import asyncio
from urllib.parse import urlsplit

from aiohttp import web

from service.describe import shown_safely
from service.web.basic_auth import USER
from service.web.server import MAX_BODY_BYTES

BODY_SECONDS = 5.0
"""The time limit of a request's body, in seconds."""


class RefusedError(Exception):
    """A request that has no effect: the status of the answer, and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def response(self) -> web.Response:
        """Return the answer."""
        return web.Response(status=self.status, text=f"{self.status} {self.reason}\n")


async def json_body(request: web.Request) -> bytes:
    """Return the body of a request that says that it is JSON, which no form of a page can send.

    Raises
    ------
    RefusedError
        If it does not say so, or the body is too large or too slow.
    """
    if request.content_type != "application/json":
        given = shown_safely(request.content_type)
        raise RefusedError(415, f"Content-Type is {given}; it must be application/json")
    try:
        return await asyncio.wait_for(request.read(), BODY_SECONDS)
    except TimeoutError:
        raise RefusedError(408, f"the body did not come within {BODY_SECONDS:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise RefusedError(413, f"the body has more than {MAX_BODY_BYTES} bytes") from None


def from_own_page(request: web.Request) -> bool:
    """Whether the browser says that the console's own page sent the request.

    A browser sends ``Sec-Fetch-Site`` over HTTPS and on loopback, and ``Origin`` with every POST. A
    page cannot set either.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.host


def from_browser(request: web.Request) -> bool:
    """Whether a page of a browser sent the request."""
    return "Sec-Fetch-Site" in request.headers or "Origin" in request.headers


def user(request: web.Request) -> str:
    """Return the name of the user who was authenticated; empty without authentication."""
    name: str = request.get(USER, "")
    return name
