"""Judging an incident on the console: who may, what is refused, and what is published."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import bcrypt
import pytest
from aiohttp import ClientSession, encode_basic_auth
from aiokafka.errors import KafkaConnectionError
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from service.errors import OperatorError
from service.exchange.scenarios.catalogue import scenario
from service.pipeline.feedback import MAX_NOTE, Feedback
from service.pipeline.output import Output
from service.settings.types import OutputSettings, Settings
from service.web import json_requests
from service.web.server import MAX_BODY_BYTES, start_http
from service.web.web_config import WebConfig
from tests.console.desk import BEGIN_NS, Desk
from tests.steps import alert

ID = "78f06c56d9142a041e179255dbf2eb1b"
GOOD = {"alert_id": ID, "verdict": "true", "note": "quotes were pulled"}


class Topic:
    """Stands for the feedback topic."""

    def __init__(self) -> None:
        self.taken: list[Feedback] = []
        self.failure: Exception | None = None

    async def judge(self, feedback: Feedback) -> None:
        if self.failure is not None:
            raise self.failure
        self.taken.append(feedback)


@asynccontextmanager
async def judging(
    topic: Topic, settings: Settings | None = None, web_config: WebConfig | None = None
) -> AsyncIterator[ClientSession]:
    """A served console with one incident; yields a client of its address."""
    desk = Desk(settings=settings, script=scenario("calm"), seed=1, symbols=1, rate=5.0)
    desk.run_to(3)
    fired = replace(alert(1), alert_id=ID, symbol="BTC-PERP", detector="cancel_burst")
    ended = replace(fired, status="resolved", ends_at=9, ts_event=9)
    desk.history.take(0, Output(alerts=[fired, ended]))
    desk.judge = topic.judge
    server = await start_http(
        "127.0.0.1",
        0,
        registry=CollectorRegistry(),
        health=lambda: desk.health,
        web_config=web_config,
        additions=[desk.addition()],
    )
    url = f"http://127.0.0.1:{server.port}"
    try:
        async with ClientSession(url, headers={"Origin": url}) as client:
            yield client
    finally:
        await server.close()


async def test_a_judgement_is_published_with_what_the_incident_is():
    topic = Topic()
    async with judging(topic) as client:
        answer = await client.post("/feedback", json=GOOD)
        assert (answer.status, await answer.text()) == (200, "judged true\n")
        assert answer.headers["Cache-Control"] == "no-store"
    (given,) = topic.taken
    assert given.judged_at >= BEGIN_NS
    assert given == Feedback(
        alert_id=ID,
        symbol="BTC-PERP",
        detector="cancel_burst",
        verdict="true",
        judged_at=given.judged_at,
        note="quotes were pulled",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_no_other_page_can_judge(headers: dict[str, str]):
    topic = Topic()
    async with judging(topic) as client:
        answer = await client.post("/feedback", json=GOOD, headers=headers)
        assert (answer.status, topic.taken) == (403, [])
        assert "only the console's own page can judge" in await answer.text()


async def test_the_page_may_judge_behind_a_proxy_with_another_host():
    topic = Topic()
    async with judging(topic) as client:
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://console.example"}
        assert (await client.post("/feedback", json=GOOD, headers=headers)).status == 200
    assert len(topic.taken) == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (GOOD | {"verdict": "yes"}, 400, 'verdict is "yes"; it must be one of "false", "true"'),
        (GOOD | {"note": "x" * (MAX_NOTE + 1)}, 400, "it must be text of 0 to 500 characters"),
        ({"alert_id": ID}, 400, "verdict is missing"),
        (GOOD | {"alert_id": "0" * 32}, 404, "is not that of an incident on this page"),
        ([], 400, "is not a JSON object"),
    ],
)
async def test_what_is_wrong_is_told_by_name(body: object, status: int, said: str):
    topic = Topic()
    async with judging(topic) as client:
        answer = await client.post("/feedback", json=body)
        assert answer.status == status
        assert said in await answer.text()
    assert topic.taken == []


async def test_only_json_of_a_limited_size_is_read(monkeypatch: pytest.MonkeyPatch):
    topic = Topic()
    async with judging(topic) as client:
        form = await client.post("/feedback", data={"alert_id": ID, "verdict": "true"})
        assert form.status == 415
        large = json.dumps(GOOD | {"note": "x" * MAX_BODY_BYTES})
        headers = {"Content-Type": "application/json"}
        assert (await client.post("/feedback", data=large, headers=headers)).status == 413
        assert (await client.get("/feedback")).status == 405
        monkeypatch.setattr(json_requests, "BODY_SECONDS", 0.05)

        async def slow() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.sleep(0.2)

        assert (await client.post("/feedback", data=slow(), headers=headers)).status == 408
    assert topic.taken == []


@pytest.mark.parametrize(
    "failure", [KafkaConnectionError("no broker"), OperatorError("Kafka is not connected")]
)
async def test_what_kafka_does_not_take_is_told(failure: Exception):
    topic = Topic()
    topic.failure = failure
    async with judging(topic) as client:
        answer = await client.post("/feedback", json=GOOD)
        assert answer.status == 503
        assert "Kafka has not taken the judgement" in await answer.text()


async def test_it_needs_the_password_of_the_console_and_names_the_user():
    topic = Topic()
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    async with judging(topic, web_config=WebConfig(users={"desk-2": hashed})) as client:
        assert (await client.post("/feedback", json=GOOD)).status == 401
        assert topic.taken == []
        headers = {"Authorization": encode_basic_auth("desk-2", "secret")}
        answer = await client.post("/feedback", json=GOOD, headers=headers)
        assert answer.status == 200
    assert [its.judged_by for its in topic.taken] == ["desk-2"]


async def test_without_a_topic_nothing_can_be_judged():
    topic = Topic()
    settings = Settings(outputs=OutputSettings(feedback=""))
    async with judging(topic, settings) as client:
        assert (await client.post("/feedback", json=GOOD)).status == 404
