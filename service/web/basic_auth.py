"""Basic authentication (RFC 7617) for the HTTP server, against bcrypt hashes."""

import asyncio
import base64
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

MAX_REMEMBERED = 100
"""So many verified passwords are remembered: more than there are users, in practice."""

_MAX_PASSWORD_BYTES = 72  # bcrypt's; longer ones cannot have been hashed whole


def basic_auth(users: Mapping[str, str], open_paths: frozenset[str]) -> Middleware:
    """A middleware that lets nobody in without a known name and password.

    bcrypt takes long on purpose. So it runs in a thread, one comparison at a time, and what it
    found right is remembered under a keyed hash: a scraper's password is compared once, not at each
    scrape. What it found wrong is not remembered: guesses must not push the scraper's out.

    Parameters
    ----------
    users
        bcrypt hashes of passwords, by user; at least one.
    open_paths
        What is answered to anybody.
    """
    key = secrets.token_bytes(32)
    verified: OrderedDict[bytes, None] = OrderedDict()
    turn = asyncio.Lock()
    # Compared with where there is no such user: the time taken must not tell who there is.
    nobody = _like(next(iter(users.values())))

    def digest(user: str, password: str, hashed: str) -> bytes:
        parts = (part.encode() for part in (user, password, hashed))
        # The lengths keep ("ab", "c") and ("a", "bc") apart.
        joined = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hashlib.blake2b(joined, key=key).digest()

    async def is_right(user: str, password: str) -> bool:
        hashed = users.get(user, nobody)
        seen = digest(user, password, hashed)
        if seen in verified:
            verified.move_to_end(seen)
            return True
        async with turn:
            right = await asyncio.to_thread(_matches, password, hashed)
        if right and user in users:
            verified[seen] = None
            if len(verified) > MAX_REMEMBERED:
                verified.popitem(last=False)
            return True
        return False

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        given = _given(request.headers.get("Authorization", ""))
        if given is not None and await is_right(*given):
            return await handler(request)
        return web.Response(
            status=401,
            text="401 Unauthorized\n",
            headers={"WWW-Authenticate": 'Basic realm="foreshock", charset="UTF-8"'},
        )

    return authenticate


def _given(header: str) -> tuple[str, str] | None:
    """The user and the password of an Authorization header; None if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return None
    user, colon, password = decoded.partition(":")
    return (user, password) if colon else None


def _matches(password: str, hashed: str) -> bool:
    """Whether a password has this hash; bcrypt compares in constant time."""
    raw = password.encode()
    fits = len(raw) <= _MAX_PASSWORD_BYTES and b"\0" not in raw
    return bcrypt.checkpw(raw if fits else b"", hashed.encode()) and fits


def _like(hashed: str) -> str:
    """A hash that nothing matches, which takes as long to compare with as the given one."""
    salt = bcrypt.gensalt(int(hashed[4:6]))
    return bcrypt.hashpw(secrets.token_hex(32).encode(), salt).decode()
