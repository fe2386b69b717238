"""The console's page and what it loads: all of it from here, under a strict policy."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from service.console.detail import detail
from service.console.feed import Feed
from service.console.history import History
from service.console.state import Pace, overview
from service.http import Health
from service.settings import Settings
from service.view import View

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may do: load scripts, styles and data from where it came from, and nothing else."""

STATIC = {
    "theme.css": "text/css",
    "console.css": "text/css",
    "format.js": "text/javascript",
    "plots.js": "text/javascript",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

PLOTLY = "plotly.min.js"

_FOR_EVER = "public, max-age=31536000, immutable"


def static_text(name: str) -> str:
    """A file of the console as text."""
    return files("service.console").joinpath("static", name).read_text("utf-8")


def plotly_js() -> bytes:
    """The plotting library's JavaScript, from its Python package, which is not imported."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations
    place = Path(next(iter(spec.submodule_search_locations)))
    return (place / "package_data" / PLOTLY).read_bytes()


class _Asset:
    """A file that is served compressed: read and compressed when it is first asked for."""

    def __init__(self, content_type: str, load: Callable[[], bytes]) -> None:
        self._content_type = content_type
        self._load = load
        self._body: asyncio.Task[bytes] | None = None

    async def serve(self, request: web.Request) -> web.Response:
        if self._body is None:
            self._body = asyncio.create_task(asyncio.to_thread(self._compress))
        body = await asyncio.shield(self._body)
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
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
    texts = {name: static_text(name) for name in STATIC}
    # Browsers keep files for ever: their address changes with what is in them.
    marks = {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in texts.items()}
    marks[PLOTLY] = version("plotly")
    page = static_text("console.html")
    for name, mark in marks.items():
        page = page.replace(f"static/{name}", f"static/{name}?{mark}")
    assets = {name: _Asset(STATIC[name], texts[name].encode) for name in STATIC}
    assets[PLOTLY] = _Asset("text/javascript", plotly_js)

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
