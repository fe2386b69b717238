"""The live feed: server-sent events, a few viewers at most, none of whom can hold anything up.

Every second a viewer is sent what is shown now, so what a viewer missed needs no repeating: after
a reconnection the first message holds everything again. Nothing is queued for anybody: who does not
take a message in time is dropped.
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
"""At once; each costs an answer a second."""

SEND_SECONDS = 5.0
"""Who has not taken a message after so long is dropped."""

MAX_SYMBOL = 64
"""Characters of a symbol, as on the wire."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",  # a proxy before it must not collect messages
}

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("foreshock.console")


def message(event: str, data: object) -> bytes:
    r"""A server-sent event; JSON has no line breaks, whatever is in the data.

    >>> message("overview", {"symbol": "A\nB"})
    b'event: overview\ndata: {"symbol":"A\\nB"}\n\n'
    """
    return b"event: %s\ndata: %s\n\n" % (event.encode(), _encode(data))


class Feed:
    """Answers ``GET /events``, with ``?symbol=`` for one symbol in depth.

    Parameters
    ----------
    overview
        Makes what is shown of everything.
    detail
        Makes what is shown of one symbol since a time (0: all), and says up to when that is.
    """

    def __init__(
        self, overview: Callable[[], Overview], detail: Callable[[str, int], tuple[Detail, int]]
    ) -> None:
        self.viewers = 0
        self._overview = overview
        self._detail = detail
        self._closing = asyncio.Event()
        self._made_at = float("-inf")
        self._made = b""

    async def close(self, _app: web.Application) -> None:
        """Let every viewer go."""
        self._closing.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Feed one viewer until one side has had enough."""
        symbol = request.query.get("symbol")
        if symbol is not None and not 0 < len(symbol) <= MAX_SYMBOL:
            text = f"400 symbol must have 1 to {MAX_SYMBOL} characters, got {len(symbol)}\n"
            return web.Response(status=400, text=text)
        if self.viewers >= VIEWERS:
            text = f"503 {VIEWERS} viewers are connected, which is as many as are served\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        self.viewers += 1
        try:
            response = web.StreamResponse(headers=HEADERS)
            with suppress(ConnectionError):  # the viewer has gone
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
            sent = self._shared()
            if symbol is not None:
                shown, since_ns = self._detail(symbol, since_ns)
                sent += message("symbol", shown)
            try:
                await asyncio.wait_for(response.write(sent), SEND_SECONDS)
            except TimeoutError:
                log.info("viewer too slow, dropped", remote=request.remote)
                if request.transport is not None:
                    request.transport.abort()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), TICK_SECONDS)

    def _shared(self) -> bytes:
        """What all viewers see, made once a tick."""
        now = time.monotonic()
        if now - self._made_at > 0.9 * TICK_SECONDS:
            self._made = message("overview", self._overview())
            self._made_at = now
        return self._made
