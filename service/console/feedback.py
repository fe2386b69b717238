"""Judging an incident on the console: the only request that writes anything.

A page of another origin must not judge in the name of a user who is logged in here. So the request
must be JSON, which a form cannot send, and the browser must say that the console's own page sent
it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

import msgspec
import structlog
from aiohttp import web
from aiokafka.errors import KafkaError
from msgspec import Meta, Struct

from service.describe import shown_safely
from service.errors import OperatorError
from service.pipeline.feedback import MAX_NOTE, Feedback, Name, Verdict
from service.pipeline.rejection import Explainer
from service.presentation.incidents import Incident
from service.web.json_requests import RefusedError, from_own_page, json_body, user

ANSWER_SECONDS = 10.0
"""The time limit for Kafka's acknowledgement, in seconds."""

log = structlog.get_logger("foreshock.console")


class _Request(Struct, frozen=True):
    """The body of a request."""

    alert_id: Name
    verdict: Verdict
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""


_decode = msgspec.json.Decoder(_Request).decode
_explainer = Explainer(_Request, {}, "ns", 0)


class Judging:
    """Answers ``POST /feedback``.

    Parameters
    ----------
    judge
        Publishes the judgement. Raises KafkaError or OperatorError.
    incidents
        Returns the incidents that the console shows.
    clock
        Returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        judge: Callable[[Feedback], Awaitable[None]],
        incidents: Callable[[], Iterable[Incident]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._judge = judge
        self._incidents = incidents
        self._clock = clock

    async def serve(self, request: web.Request) -> web.Response:
        """Publish the judgement of a request; log who judged what, and what was refused."""
        by, remote = user(request), request.remote
        try:
            asked = await _asked(request)
            await self._publish(asked, by)
        except RefusedError as refused:
            log.warning(
                "feedback refused",
                status=refused.status,
                reason=refused.reason,
                judged_by=by,
                remote=remote,
            )
            return refused.response()
        log.info(
            "feedback given",
            alert_id=asked.alert_id,
            verdict=asked.verdict,
            judged_by=by,
            remote=remote,
        )
        return web.Response(text=f"judged {asked.verdict}\n")

    async def _publish(self, asked: _Request, by: str) -> None:
        found = (its.fired for its in self._incidents() if its.fired.alert_id == asked.alert_id)
        alert = next(found, None)
        if alert is None:
            raise RefusedError(
                404,
                f"alert_id {shown_safely(asked.alert_id)} is not that of an incident on this page; "
                "use `foreshock feedback`",
            )
        feedback = Feedback(
            alert_id=alert.alert_id,
            symbol=alert.symbol,
            detector=alert.detector,
            verdict=asked.verdict,
            judged_at=int(self._clock() * 1e9),
            note=asked.note,
            judged_by=by[:64],
        )
        try:
            await asyncio.wait_for(self._judge(feedback), ANSWER_SECONDS)
        except (KafkaError, OperatorError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise RefusedError(
                503, f"Kafka has not taken the judgement: {reason}; try again"
            ) from None


async def _asked(request: web.Request) -> _Request:
    """Return what a request asks for. Raises RefusedError."""
    if not from_own_page(request):
        raise RefusedError(403, "only the console's own page can judge; use `foreshock feedback`")
    body = await json_body(request)
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, _explainer.explain(body, error, 0)[1]) from None
