"""``POST /api/what-if``: what a scenario would do to the venue as this process knows it now.

The request writes nothing. It is computed in a thread on a copy of the venue, one at a time, so
that the partitions go on.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web
from msgspec import Struct

from detectors.risk.what_if.scenario import Scenario
from detectors.risk_watch.what_if import Standing, WhatIfAnswer, answer, standing
from service.console.risk import unwatched
from service.web.json_requests import RefusedError, from_browser, from_own_page, json_body, user
from service.web.view import View
from service.what_if.request import scenario_of
from service.what_if.words import columns, described, notes, rows

PATH = "/api/what-if"

WAIT_SECONDS = 10.0
"""How long a request waits for those before it, in seconds."""

_STATUSES = {"off": 409, "elsewhere": 409, "connecting": 503, "reading": 503}
"""409: another process is to be asked; 503: this one, later."""

log = structlog.get_logger("foreshock.console")


class Scenarios:
    """Answers ``POST /api/what-if``.

    Parameters
    ----------
    view
        Returns the live components.
    """

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._turn = asyncio.Lock()

    async def serve(self, request: web.Request) -> web.Response:
        """Compute the scenario of a request; log what was refused."""
        try:
            body = await self._answer(await _asked(request))
        except RefusedError as refused:
            log.warning(
                "what-if refused",
                status=refused.status,
                reason=refused.reason,
                asked_by=user(request),
                remote=request.remote,
            )
            return refused.response()
        return web.Response(body=body, content_type="application/json")

    async def _answer(self, scenario: Scenario) -> bytes:
        try:
            await asyncio.wait_for(self._turn.acquire(), WAIT_SECONDS)
        except TimeoutError:
            raise RefusedError(
                503, f"other scenarios were computed for {WAIT_SECONDS:g} s; try again"
            ) from None
        try:
            view = self._view()
            monitor = view.risk
            if monitor is None:
                state, note = unwatched(view)
                raise RefusedError(_STATUSES[state], note)
            venue = standing(monitor.holdings, monitor.learned, monitor.closed_ns)
            return await asyncio.to_thread(_computed, venue, scenario)
        finally:
            self._turn.release()


class Answered(Struct, frozen=True):
    """The body of an answer: the figures, and the same as ``foreshock whatif`` prints it.

    ``numbers`` has an x for each column of numbers.
    """

    answer: WhatIfAnswer
    described: str
    heads: list[str]
    numbers: str
    rows: list[list[str]]
    notes: list[str]


async def _asked(request: web.Request) -> Scenario:
    """Return the scenario of a request. Raises RefusedError."""
    if from_browser(request) and not from_own_page(request):
        raise RefusedError(403, "of all pages only the console's own can ask")
    try:
        return scenario_of(await json_body(request))
    except ValueError as error:
        raise RefusedError(400, str(error)) from None


def _computed(venue: Standing, scenario: Scenario) -> bytes:
    try:
        found = answer(venue, scenario)
    except ValueError as error:
        raise RefusedError(400, str(error)) from None
    heads, numbers = columns(found)
    return msgspec.json.encode(
        Answered(found, described(found), heads, numbers, [*rows(found)], [*notes(found)])
    )
