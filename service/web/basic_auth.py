"""Basic authentication (RFC 7617) for the HTTP server, against bcrypt hashes."""

import asyncio
import base64
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

MAX_REMEMBERED = 100
"""Verified passwords that are cached: more than the number of users, in practice."""

MAX_WAITING = 16
"""The most comparisons of one address that wait for their turn."""

USER = web.RequestKey("foreshock.user", str)
"""The key of a request with the name of the user who was authenticated."""

_MAX_PASSWORD_BYTES = 72  # the limit of bcrypt; it ignores further bytes


def basic_auth(users: Mapping[str, str], open_paths: frozenset[str]) -> Middleware:
    """Create a middleware that requires a known user name and password.

    bcrypt is slow by design. It runs in a thread, one comparison at a time. Verified passwords are
    cached under a keyed hash: a scraper's password is compared once, not at each scrape. Wrong
    passwords are not cached, so that guesses cannot evict the scraper's entry.

    Addresses take turns, so guesses from one address delay another address by one comparison. An
    address with ``MAX_WAITING`` comparisons that wait gets 429. Every comparison takes as long as
    the one with the highest cost, so the time does not reveal which users exist.

    Parameters
    ----------
    users
        bcrypt hashes of passwords, by user; at least one.
    open_paths
        Paths that need no authentication.
    """
    key = secrets.token_bytes(32)
    verified: OrderedDict[bytes, None] = OrderedDict()
    turns = _Turns()
    passwords = _Passwords(users)

    def digest(user: str, password: str, hashed: str) -> bytes:
        parts = (part.encode() for part in (user, password, hashed))
        # The lengths make ("ab", "c") and ("a", "bc") different.
        joined = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hashlib.blake2b(joined, key=key).digest()

    async def is_right(user: str, password: str, address: str) -> bool:
        hashed = users.get(user, passwords.dummy_hash)
        cache_key = digest(user, password, hashed)
        if cache_key in verified:
            verified.move_to_end(cache_key)
            return True
        async with turns.of(address):
            right = await asyncio.to_thread(passwords.compare, password, hashed)
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
        try:
            if credentials is not None and await is_right(*credentials, request.remote or ""):
                request[USER] = credentials[0]
                return await handler(request)
        except _TooManyWaitingError:
            return web.Response(
                status=429, text="429 Too Many Requests\n", headers={"Retry-After": "1"}
            )
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


def _dummy_hash(cost: int) -> str:
    """Return a hash of this cost that no password matches."""
    return bcrypt.hashpw(secrets.token_hex(32).encode(), bcrypt.gensalt(cost)).decode()


def _cost(hashed: str) -> int:
    return int(hashed[4:6])


class _Passwords:
    """Compares passwords with hashes, always in the time of the highest cost.

    ``dummy_hash`` is the hash for unknown users.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        costs = [_cost(hashed) for hashed in users.values()]
        self._highest = max(costs)
        self.dummy_hash = _dummy_hash(self._highest)
        self._padding = {cost: _dummy_hash(cost) for cost in range(min(costs), self._highest)}

    def compare(self, password: str, hashed: str) -> bool:
        """Return whether a password has this hash."""
        right = _matches(password, hashed)
        # Each step of the cost doubles the time, so these add up to that of the highest cost.
        for cost in range(_cost(hashed), self._highest):
            _matches(password, self._padding[cost])
        return right


class _TooManyWaitingError(Exception):
    """Too many comparisons of an address wait already."""


class _Turns:
    """One comparison at a time; each address has at most one that competes with the others."""

    def __init__(self) -> None:
        self._all = asyncio.Lock()
        self._by_address: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, address: str) -> AsyncIterator[None]:
        """Wait for the turn of an address. Raises _TooManyWaitingError."""
        lock, waiting = self._by_address.get(address, (asyncio.Lock(), 0))
        if waiting >= MAX_WAITING:
            raise _TooManyWaitingError
        self._by_address[address] = (lock, waiting + 1)
        try:
            async with lock, self._all:
                yield
        finally:
            waiting = self._by_address[address][1] - 1
            if waiting:
                self._by_address[address] = (lock, waiting)
            else:
                del self._by_address[address]
