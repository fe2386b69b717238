"""A schema registry for tests that speaks the API of Confluent's, and can be away or slow."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import encode_basic_auth, web

from tests.registry.schemas_of_venue import as_text


class StandIn:
    """Schemas by id, and by subject and version.

    Attributes
    ----------
    status
        The status of every answer; 200: what was asked for. None: no answer ever.
    asked
        The paths that were asked for.
    user
        The user and password to require; None: none.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.status: int | None = 200
        self.asked: list[str] = []
        self.user: tuple[str, str] | None = None
        self._by_id: dict[int, dict[str, Any]] = {}
        self._by_subject: dict[tuple[str, int], dict[str, Any]] = {}

    def put(
        self,
        number: int,
        schema: Any,
        kind: str = "AVRO",
        references: tuple[tuple[str, str, int], ...] = (),
        subject: str = "",
        text: str = "",
    ) -> None:
        """Register a schema; ``text`` is the text of a schema of Protobuf."""
        answer = {"schema": as_text(schema), "schemaType": kind, "text": text or "message M {}"}
        if references:
            answer["references"] = [
                {"name": name, "subject": of, "version": version}
                for name, of, version in references
            ]
        self._by_id[number] = answer
        if subject:
            self._by_subject[subject, 1] = answer

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if self.status is None:
            await asyncio.sleep(60)
        if self.status != 200:
            return web.Response(status=self.status, text="not now")
        if self.user is not None and request.headers.get("Authorization") != encode_basic_auth(
            *self.user
        ):
            return web.json_response({"error_code": 401, "message": "Unauthorized"}, status=401)
        given = request.match_info
        if "id" in given:
            found, code = self._by_id.get(int(given["id"])), 40403
        else:
            found, code = self._by_subject.get((given["subject"], int(given["version"]))), 40401
        if found is None:
            refusal = {"error_code": code, "message": f"not found ({code})"}
            return web.json_response(refusal, status=404)
        shown = {key: its for key, its in found.items() if key != "text"}
        if shown["schemaType"] == "PROTOBUF" and request.query.get("format") != "serialized":
            shown["schema"] = found["text"]
        if shown["schemaType"] == "AVRO":  # Confluent's leaves it out
            del shown["schemaType"]
        return web.json_response(shown)


@asynccontextmanager
async def listening(stand_in: StandIn) -> AsyncIterator[None]:
    """Answer requests."""
    app = web.Application()
    app.router.add_get("/schemas/ids/{id}", stand_in.answer)
    app.router.add_get("/subjects/{subject}/versions/{version}", stand_in.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", stand_in.port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def registry() -> AsyncIterator[StandIn]:
    """A registry on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        stand_in = StandIn(free.getsockname()[1])
    async with listening(stand_in):
        yield stand_in
