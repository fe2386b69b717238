"""The live feed: server-sent events for a few viewers, who cannot delay the service.

Each viewer gets the current state every second. Missed messages need no repetition: after a
reconnection, the first message is complete. The server queues nothing; it disconnects a viewer that
does not take a message in time.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog
from aiohttp import web

from service.console.detail import Detail
from service.console.state import Overview

TICK_SECONDS = 1.0

VIEWERS = 20
"""Highest number of viewers at once; each costs one message per second."""

SEND_SECONDS = 5.0
"""The server disconnects a viewer that has not taken a message after this time."""

MAX_SYMBOL = 64
"""Longest symbol in characters, as in the input streams."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",  # a reverse proxy must not buffer messages
}

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("foreshock.console")


def message(event: str, data: object) -> bytes:
    r"""Encode a server-sent event; the JSON never contains a line break.

    >>> message("overview", {"symbol": "A\nB"})
    b'event: overview\ndata: {"symbol":"A\\nB"}\n\n'
    """
    return b"event: %s\ndata: %s\n\n" % (event.encode(), _encode(data))


class Feed:
    """Answers ``GET /events``, with ``?symbol=`` also for one symbol in detail.

    Parameters
    ----------
    overview
        Returns the overview of the market and the service.
    detail
        Returns a symbol with its bars since a time (0: all), and the time of the newest bar.
    """

    def __init__(
        self, overview: Callable[[], Overview], detail: Callable[[str, int], tuple[Detail, int]]
    ) -> None:
        self.viewers = 0
        self._overview = overview
        self._detail = detail
        self._closing = asyncio.Event()
        self._created_at = float("-inf")
        self._overview_message = b""

    async def close(self, _app: web.Application) -> None:
        """Disconnect all viewers."""
        self._closing.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send messages to one viewer until one side closes the connection."""
        symbol = request.query.get("symbol")
        if symbol is not None and not 0 < len(symbol) <= MAX_SYMBOL:
            text = f"400 symbol must have 1 to {MAX_SYMBOL} characters, got {len(symbol)}\n"
            return web.Response(status=400, text=text)
        if self.viewers >= VIEWERS:
            text = f"503 {VIEWERS} viewers are connected, which is the limit\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        self.viewers += 1
        try:
            response = web.StreamResponse(headers=HEADERS)
            with suppress(ConnectionError):  # the viewer has disconnected
                await response.prepare(request)
                await self._feed(request, response, symbol)
            return response
        finally:
            self.viewers -= 1

    async def _feed(
        self, request: web.Request, response: web.StreamResponse, symbol: str | None
    ) -> None:
        since_ns = 0
        while not self._closing.is_set():
            data = self._shared()
            if symbol is not None:
                shown, since_ns = self._detail(symbol, since_ns)
                data += message("symbol", shown)
            try:
                await asyncio.wait_for(response.write(data), SEND_SECONDS)
            except TimeoutError:
                log.info("viewer too slow, disconnected", remote=request.remote)
                if request.transport is not None:
                    request.transport.abort()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), TICK_SECONDS)

    def _shared(self) -> bytes:
        """Return the overview message for all viewers, created once per tick."""
        now = time.monotonic()
        if now - self._created_at > 0.9 * TICK_SECONDS:
            self._overview_message = message("overview", self._overview())
            self._created_at = now
        return self._overview_message
