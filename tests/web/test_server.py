"""What Prometheus, probes and people get over HTTP."""

import json
import logging
import socket
import time
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from service import logs
from service.errors import OperatorError
from service.web.server import Health, HttpServer, start_http

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Broken:
    """A collector that fails."""

    def collect(self):
        raise RuntimeError("secret detail")


class Service:
    """A served registry and a health that the test sets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.health = Health(live=True, ready=True, checks={"kafka": "ok"})
        Counter("seen", "Events seen.", registry=self.registry).inc(3)


@pytest.fixture
def service():
    return Service()


@pytest.fixture
async def server(service: Service) -> AsyncIterator[HttpServer]:
    running = await start_http(
        "127.0.0.1", 0, registry=service.registry, health=lambda: service.health
    )
    yield running
    await running.close()


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[ClientSession]:
    session = ClientSession(f"http://127.0.0.1:{server.port}")
    yield session
    await session.close()


async def test_metrics_are_what_prometheus_reads(client: ClientSession):
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    families = {f.name: f for f in text_string_to_metric_families(await response.text())}
    assert families["seen"].samples[0].value == 3


async def test_metrics_are_openmetrics_for_who_asks(client: ClientSession):
    response = await client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await response.text()).endswith("# EOF\n")


async def test_metrics_are_compressed_for_who_asks(client: ClientSession):
    response = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert "seen_total 3.0" in await response.text()


async def test_a_failing_collector_is_an_error_that_gives_nothing_away(
    client: ClientSession, service: Service
):
    service.registry.register(Broken())
    response = await client.get("/metrics")
    assert (response.status, await response.text()) == (500, "500 Internal Server Error\n")


async def test_liveness_and_readiness_are_told_apart(client: ClientSession, service: Service):
    service.health = Health(
        live=True, ready=False, checks={"kafka": "ok", "partitions": "waiting for an assignment"}
    )
    assert (await client.get("/healthz")).status == 200
    response = await client.get("/readyz")
    assert response.status == 503
    assert json.loads(await response.read()) == {
        "status": "not ok",
        "checks": {"kafka": "ok", "partitions": "waiting for an assignment"},
    }


async def test_what_is_not_alive_is_not_ready(client: ClientSession, service: Service):
    service.health = Health(live=False, ready=True, checks={})
    assert (await client.get("/healthz")).status == 503
    assert (await client.get("/readyz")).status == 503


async def test_ready_is_ready(client: ClientSession):
    response = await client.get("/readyz")
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(await response.read())["status"] == "ok"


async def test_nothing_may_be_made_of_an_answer_but_what_it_is(client: ClientSession):
    response = await client.get("/healthz")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


async def test_without_a_console_there_is_no_page(client: ClientSession):
    assert (await client.get("/")).status == 404


async def test_an_unknown_path_is_plain_text(client: ClientSession):
    response = await client.get("/<script>")
    assert (response.status, response.content_type) == (404, "text/plain")
    assert await response.text() == "404 Not Found\n"


async def test_a_wrong_method_is_told_the_right_ones(client: ClientSession):
    response = await client.post("/metrics", data=b"x")
    assert (response.status, response.content_type) == (405, "text/plain")
    assert response.headers["Allow"] == "GET,HEAD"


async def test_head_is_answered(client: ClientSession):
    assert (await client.head("/healthz")).status == 200


async def test_each_request_is_logged(
    client: ClientSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logs.configure("info", "json")
    began = time.monotonic()
    try:
        await client.get("/nowhere?x=1")
        line = json.loads(capsys.readouterr().err.splitlines()[-1])
    finally:
        structlog.reset_defaults()
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/nowhere", 404)
    assert line["remote"] == "127.0.0.1"
    assert 0 < line["duration_seconds"] <= time.monotonic() - began


async def test_a_port_in_use_is_said_in_a_sentence(server: HttpServer):
    with pytest.raises(OperatorError, match=r"another program uses the port; stop it, or set"):
        await start_http(
            "127.0.0.1", server.port, registry=CollectorRegistry(), health=lambda: None
        )


async def test_an_address_of_another_machine_is_said_in_a_sentence():
    with pytest.raises(OperatorError, match=r"no such address; set http\.host"):
        await start_http("192.0.2.1", 0, registry=CollectorRegistry(), health=lambda: None)


async def test_a_closed_server_listens_no_more(service: Service):
    running = await start_http(
        "127.0.0.1", 0, registry=service.registry, health=lambda: service.health
    )
    await running.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0
