"""An Alertmanager that takes what it is sent, or does not, as a test wants it; and alerts."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from detectors.incidents.alerts import Alert, Evidence

SECOND = 1_000_000_000


def alert(symbol: str = "BTC-PERP", **changes: Any) -> Alert:
    """An alert of an incident that opened two seconds ago."""
    at = time.time_ns() - 2 * SECOND
    fired = Alert(
        alert_id=f"id-{symbol}",
        symbol=symbol,
        detector="cancel_burst",
        severity="warning",
        status="firing",
        starts_at=at,
        ends_at=None,
        ts_event=at,
        score=31.0,
        p_value=1e-7,
        evidence=[Evidence("cancel_burst", "net_withdrawal_1s", 12.3, 0.4, 0.81)],
        summary=f"{symbol}: orders are withdrawn faster than they are placed",
        runbook="docs/runbook.md#cancel_burst",
    )
    return replace(fired, **changes)


def ended(fired: Alert) -> Alert:
    """The end of an alert's incident, now."""
    now = time.time_ns()
    return replace(fired, status="resolved", ends_at=now, ts_event=now)


class FakeAlertmanager:
    """Takes posts; ``refuses`` and ``status`` say what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _: False

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """All that it has taken, in order."""
        return [alert for request in self.requests for alert in request]

    async def post(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status, text="not now")
        sent = json.loads(await request.read())
        if any(map(self.refuses, sent)):
            return web.Response(status=400, text="invalid label")
        self.headers.append(dict(request.headers))
        self.requests.append(sent)
        return web.Response()


@asynccontextmanager
async def fake_alertmanager(
    port: int = 0, context: ssl.SSLContext | None = None
) -> AsyncIterator[FakeAlertmanager]:
    """One that runs while the context lasts."""
    fake = FakeAlertmanager()
    app = web.Application()
    app.router.add_post("/api/v2/alerts", fake.post)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    scheme = "http" if context is None else "https"
    fake.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true result."""
    async with asyncio.timeout(seconds):
        while not (result := condition()):  # noqa: ASYNC110 - it is a state, not an event
            await asyncio.sleep(0.01)
    return result
