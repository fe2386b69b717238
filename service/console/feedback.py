"""Judging an incident on the console: the only request that writes anything.

A page of another origin must not judge in the name of a user who is logged in here. So the request
must be JSON, which a form cannot send, and the browser must say that the console's own page sent
it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated
from urllib.parse import urlsplit

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
from service.web.basic_auth import USER

BODY_SECONDS = 5.0
"""The time limit of a request's body, in seconds."""

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
        by, remote = _user(request), request.remote
        try:
            asked = await _asked(request)
            await self._publish(asked, by)
        except _RefusedError as refused:
            log.warning(
                "feedback refused",
                status=refused.status,
                reason=refused.reason,
                judged_by=by,
                remote=remote,
            )
            return web.Response(status=refused.status, text=f"{refused.status} {refused.reason}\n")
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
            raise _RefusedError(
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
            raise _RefusedError(
                503, f"Kafka has not taken the judgement: {reason}; try again"
            ) from None


class _RefusedError(Exception):
    """A request that has no effect: the status of the answer, and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason


async def _asked(request: web.Request) -> _Request:
    """Return what a request asks for. Raises _RefusedError."""
    if not from_own_page(request):
        raise _RefusedError(403, "only the console's own page can judge; use `foreshock feedback`")
    if request.content_type != "application/json":
        given = shown_safely(request.content_type)
        raise _RefusedError(415, f"Content-Type is {given}; it must be application/json")
    try:
        body = await asyncio.wait_for(request.read(), BODY_SECONDS)
    except TimeoutError:
        raise _RefusedError(408, f"the body did not come within {BODY_SECONDS:g} s") from None
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _RefusedError(400, _explainer.explain(body, error, 0)[1]) from None


def from_own_page(request: web.Request) -> bool:
    """Whether the browser says that the console's own page sent the request.

    A browser sends ``Sec-Fetch-Site`` over HTTPS and on loopback, and ``Origin`` with every POST. A
    page cannot set either.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.host


def _user(request: web.Request) -> str:
    user: str = request.get(USER, "")
    return user
