"""HTTP: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for probes, and added routes."""

import errno
import socket
import time
from collections.abc import Callable, Iterable, Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct, json
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from service.errors import OperatorError
from service.web.address import authority
from service.web.basic_auth import basic_auth
from service.web.connections import HEAD_SECONDS, Connections, listen, max_connections
from service.web.web_config import WebConfig

SECURITY_HEADERS: Mapping[str, str] = {
    # For responses that are not pages; a page sets its own policy.
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Paths without authentication: probes of orchestrators have no credentials."""

MAX_BODY_BYTES = 4_096
"""The largest body of a request: more than a judgement with the longest note has."""

_SHUTDOWN_SECONDS = 2.0
_IDLE_SECONDS = 75.0  # longer than Prometheus's usual scrape interval, to keep its connection


class Health(Struct, frozen=True):
    """The state of the service.

    ``live``: the process needs no restart. ``ready``: the service processes events. ``checks``: the
    result of each check, by name: "ok", or a phrase that says what the service is waiting for.
    """

    live: bool
    ready: bool
    checks: dict[str, str]


class HttpServer:
    """A running server. ``port`` is the port that it listens on; ``close`` stops it."""

    def __init__(self, runner: web.AppRunner, connections: Connections, port: int) -> None:
        self._runner = runner
        self._connections = connections
        self.port = port

    async def close(self) -> None:
        """Stop the server: no new connections, and two seconds for requests in flight."""
        await self._connections.stop()
        await self._runner.cleanup()


async def start_http(
    host: str,
    port: int,
    *,
    registry: CollectorRegistry,
    health: Callable[[], Health],
    web_config: WebConfig | None = None,
    additions: Iterable[Callable[[web.Application], None]] = (),
) -> HttpServer:
    """Start the HTTP server.

    Parameters
    ----------
    host, port
        Address to listen on; port 0 selects any free port.
    registry
        Metrics that ``/metrics`` exposes.
    health
        Returns the health; called for each probe.
    web_config
        TLS and authentication; neither if None.
    additions
        Functions that add routes.

    Raises
    ------
    OperatorError
        The server cannot listen on the address.
    """
    web_config = web_config or WebConfig()

    @web.middleware
    async def _note_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        connections.begin(request.transport)
        try:
            return await handler(request)
        finally:
            connections.end(request.transport)

    middlewares: list[Middleware] = [_note_request, _log_request, _plain_errors]
    if web_config.users:
        middlewares.append(basic_auth(web_config.users, OPEN_PATHS))
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_add_headers)

    async def healthz(_request: web.Request) -> web.Response:
        return _report(health().live, {})

    async def readyz(_request: web.Request) -> web.Response:
        state = health()
        return _report(state.live and state.ready, state.checks)

    app.router.add_get("/metrics", make_aiohttp_handler(registry))
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    for add in additions:
        add(app)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        keepalive_timeout=_IDLE_SECONDS,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    assert runner.server is not None
    connections = Connections(
        runner.server, web_config.tls, most=max_connections(), head_seconds=HEAD_SECONDS
    )
    try:
        listening = listen(host.strip("[]"), port)
    except OSError as error:
        await runner.cleanup()
        raise OperatorError(_cannot_listen(host, port, error)) from None
    listening_port: int = listening[0].getsockname()[1]
    connections.start(listening)
    return HttpServer(runner, connections, listening_port)


def _report(ok: bool, checks: Mapping[str, str]) -> web.Response:
    body: dict[str, object] = {"status": "ok" if ok else "not ok"}
    if checks:
        body["checks"] = checks
    return web.Response(
        status=200 if ok else 503, body=json.encode(body), content_type="application/json"
    )


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return HTTP errors as one line of plain text; internal errors as 500, without details."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        response = web.Response(status=error.status, text=f"{error.status} {error.reason}\n")
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:  # noqa: BLE001 - the client gets an answer for every error
        structlog.get_logger("http").exception("request failed", path=request.path)
        return web.Response(status=500, text="500 Internal Server Error\n")


@web.middleware
async def _log_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = time.perf_counter()
    response = await handler(request)
    structlog.get_logger("http").info(
        "request",
        method=request.method,
        path=request.path,
        status=response.status,
        duration_seconds=round(time.perf_counter() - started, 6),
        remote=request.remote,
    )
    return response


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    where = f"cannot serve HTTP on {authority(host, port)}"
    change = "set http.port (FORESHOCK_HTTP__PORT)"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program uses the port; stop it, or {change} to a free one"
    if error.errno == errno.EACCES:
        return f"{where}: ports below 1024 need privileges; {change} to a higher one"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return (
            f"{where}: this machine has no such address; set http.host (FORESHOCK_HTTP__HOST), "
            "to 0.0.0.0 for every address it has"
        )
    return f"{where}: {error.strerror or error}"
