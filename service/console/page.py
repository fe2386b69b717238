"""The console's page and what it loads: all of it from here, under a strict policy."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import PurePath

from aiohttp import web

from service.console.detail import detail
from service.console.feed import Feed
from service.console.history import History
from service.console.state import Pace, overview
from service.presentation.assets import PLOTLY, SHARED, plotly_js, shared_text, static_text
from service.settings.types import Settings
from service.web.server import Health
from service.web.view import View

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may do: load scripts, styles and data from where it came from, and nothing else."""

TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

OWN = (
    "console.css", "icon.svg", "console.js", "elements.js", "feed.js", "link.js", "verdict.js",
    "symbols.js", "incidents.js", "symbol.js", "why.js", "book.js",
)  # fmt: skip
"""The console's own files, besides those of every page."""

_FOR_EVER = "public, max-age=31536000, immutable"


class _Asset:
    """A file that is served compressed: read and compressed when it is first asked for.

    It is kept by browsers for ever where it was asked for by its ``mark``: not by a page of another
    version, while one is replaced by the next.
    """

    def __init__(self, content_type: str, load: Callable[[], bytes], mark: str) -> None:
        self._mark = mark
        self._content_type = content_type
        self._load = load
        self._body: asyncio.Task[bytes] | None = None

    async def serve(self, request: web.Request) -> web.Response:
        if self._body is None:
            self._body = asyncio.create_task(asyncio.to_thread(self._compress))
        body = await asyncio.shield(self._body)
        asked = request.match_info.get("mark", request.query_string)
        keep = _FOR_EVER if asked == self._mark else "no-cache"
        headers = {"Cache-Control": keep, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            body = await asyncio.to_thread(gzip.decompress, body)
        return web.Response(
            body=body, content_type=self._content_type, charset="utf-8", headers=headers
        )

    def _compress(self) -> bytes:
        return gzip.compress(self._load(), 6, mtime=0)


def console(
    settings: Settings,
    view: Callable[[], View],
    health: Callable[[], Health],
    history: History,
    clock: Callable[[], float] = time.time,
) -> Callable[[web.Application], None]:
    """What adds the console to the HTTP server.

    Parameters
    ----------
    settings
        The service's.
    view, health
        Give the live parts and the service's health.
    history
        What is remembered of symbols.
    clock
        The time in seconds since the epoch.
    """
    pace = Pace()
    feed = Feed(
        lambda: overview(view(), health(), history, settings, pace=pace, clock=clock),
        lambda symbol, since_ns: detail(view(), history, symbol, since_ns),
    )
    texts = {name: static_text("service.console", name) for name in OWN}
    texts |= {name: shared_text(name) for name in SHARED}
    # Browsers keep files for ever: their address changes with what is in any of them, since the
    # scripts name each other.
    mark = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
    page = static_text("service.console", "console.html").replace('"static/', f'"static/{mark}/')
    plotly = version("plotly")
    page = page.replace(f"static/{mark}/{PLOTLY}", f"static/{PLOTLY}?{plotly}")
    assets = {
        f"{{mark}}/{name}": _Asset(TYPES[PurePath(name).suffix], text.encode, mark)
        for name, text in texts.items()
    }
    assets[PLOTLY] = _Asset("text/javascript", plotly_js, plotly)

    async def index(_request: web.Request) -> web.Response:
        return web.Response(
            text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY}
        )

    def add(app: web.Application) -> None:
        app.router.add_get("/", index)
        app.router.add_get("/events", feed.serve, allow_head=False)
        for name, asset in assets.items():
            app.router.add_get(f"/static/{name}", asset.serve)
        app.on_shutdown.append(feed.close)

    return add
