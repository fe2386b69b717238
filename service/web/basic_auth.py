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
"""Verified passwords that are cached: more than the number of users, in practice."""

_MAX_PASSWORD_BYTES = 72  # the limit of bcrypt; it ignores further bytes


def basic_auth(users: Mapping[str, str], open_paths: frozenset[str]) -> Middleware:
    """Create a middleware that requires a known user name and password.

    bcrypt is slow by design. It runs in a thread, one comparison at a time. Verified passwords are
    cached under a keyed hash: a scraper's password is compared once, not at each scrape. Wrong
    passwords are not cached, so that guesses cannot evict the scraper's entry.

    Parameters
    ----------
    users
        bcrypt hashes of passwords, by user; at least one.
    open_paths
        Paths that need no authentication.
    """
    key = secrets.token_bytes(32)
    verified: OrderedDict[bytes, None] = OrderedDict()
    lock = asyncio.Lock()
    # For unknown users: the response time must not reveal which users exist.
    dummy_hash = _dummy_hash(next(iter(users.values())))

    def digest(user: str, password: str, hashed: str) -> bytes:
        parts = (part.encode() for part in (user, password, hashed))
        # The lengths make ("ab", "c") and ("a", "bc") different.
        joined = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hashlib.blake2b(joined, key=key).digest()

    async def is_right(user: str, password: str) -> bool:
        hashed = users.get(user, dummy_hash)
        cache_key = digest(user, password, hashed)
        if cache_key in verified:
            verified.move_to_end(cache_key)
            return True
        async with lock:
            right = await asyncio.to_thread(_matches, password, hashed)
        if right and user in users:
            verified[cache_key] = None
            if len(verified) > MAX_REMEMBERED:
                verified.popitem(last=False)
            return True
        return False

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        credentials = _credentials(request.headers.get("Authorization", ""))
        if credentials is not None and await is_right(*credentials):
            return await handler(request)
        return web.Response(
            status=401,
            text="401 Unauthorized\n",
            headers={"WWW-Authenticate": 'Basic realm="foreshock", charset="UTF-8"'},
        )

    return authenticate


def _credentials(header: str) -> tuple[str, str] | None:
    """Return the user and the password of an Authorization header; None if it has none."""
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
    """Return whether a password has this hash; bcrypt compares in constant time."""
    raw = password.encode()
    fits = len(raw) <= _MAX_PASSWORD_BYTES and b"\0" not in raw
    return bcrypt.checkpw(raw if fits else b"", hashed.encode()) and fits


def _dummy_hash(hashed: str) -> str:
    """Return a hash that no password matches, with the same cost as ``hashed``."""
    salt = bcrypt.gensalt(int(hashed[4:6]))
    return bcrypt.hashpw(secrets.token_hex(32).encode(), salt).decode()
