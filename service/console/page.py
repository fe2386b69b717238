"""The console's page and its files, all served by the process itself under a strict policy."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import PurePath

from aiohttp import web

from service.console.detail import detail
from service.console.feed import Feed
from service.console.feedback import Judging
from service.console.history import History
from service.console.state import Pace, overview
from service.console.what_if import PATH, Scenarios
from service.pipeline.feedback import Feedback
from service.presentation.assets import PLOTLY, SHARED, plotly_js, shared_text, static_text
from service.settings.types import Settings
from service.web.server import Health
from service.web.view import View

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy: the page loads scripts, styles and data only from its own origin."""

TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

OWN = (
    "console.css", "icon.svg", "console.js", "elements.js", "feed.js", "link.js", "verdict.js",
    "symbols.js", "incidents.js", "feedback.js", "symbol.js", "why.js", "book.js",
    "risk.js", "what_if.js", "venue.js",
)  # fmt: skip
"""The console's own files, without the shared ones."""

_IMMUTABLE = "public, max-age=31536000, immutable"


class _Asset:
    """A file that is served compressed; it is read and compressed at the first request.

    Browsers cache it without expiry if the request names its ``version``. During an upgrade, a page
    of another version gets the file without caching.
    """

    def __init__(self, content_type: str, load: Callable[[], bytes], version: str) -> None:
        self._version = version
        self._content_type = content_type
        self._load = load
        self._body: asyncio.Task[bytes] | None = None

    async def serve(self, request: web.Request) -> web.Response:
        if self._body is None:
            self._body = asyncio.create_task(asyncio.to_thread(self._compress))
        body = await asyncio.shield(self._body)
        requested = request.match_info.get("version", request.query_string)
        caching = _IMMUTABLE if requested == self._version else "no-cache"
        headers = {"Cache-Control": caching, "Vary": "Accept-Encoding"}
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
    judge: Callable[[Feedback], Awaitable[None]] | None = None,
    clock: Callable[[], float] = time.time,
) -> Callable[[web.Application], None]:
    """Return the function that adds the console to the HTTP server.

    Parameters
    ----------
    settings
        Settings of the service.
    view, health
        Return the live components and the health of the service.
    history
        Recent bars and incidents.
    judge
        Publishes what an operator judged of an alert; None to offer no judging.
    clock
        Returns the time in seconds since the epoch.
    """
    pace = Pace()
    judging = None
    if judge is not None and settings.outputs.feedback:
        judging = Judging(judge, lambda: history.known_incidents(view().open_alerts), clock)
    feed = Feed(
        lambda: overview(
            view(), health(), history, settings, pace=pace, judging=judging is not None, clock=clock
        ),
        lambda symbol, since_ns: detail(view(), history, symbol, since_ns),
    )
    texts = {name: static_text("service.console", name) for name in OWN}
    texts |= {name: shared_text(name) for name in SHARED}
    # Browsers cache the files without expiry. The scripts import each other, so a change in any
    # file changes the address of all files.
    digest = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
    page = static_text("service.console", "console.html").replace('"static/', f'"static/{digest}/')
    plotly = version("plotly")
    page = page.replace(f"static/{digest}/{PLOTLY}", f"static/{PLOTLY}?{plotly}")
    assets = {
        f"{{version}}/{name}": _Asset(TYPES[PurePath(name).suffix], text.encode, digest)
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
        if judging is not None:
            app.router.add_post("/feedback", judging.serve)
        app.router.add_post(PATH, Scenarios(view).serve)
        for name, asset in assets.items():
            app.router.add_get(f"/static/{name}", asset.serve)
        app.on_shutdown.append(feed.close)

    return add
