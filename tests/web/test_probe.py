"""The image's health check against the real HTTP server, as it may be set up."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.web.server import Health, HttpServer, start_http
from service.web.web_config import load_web_config
from tests.authority import Authority

TLS = "tls_server_config:\n  cert_file: web.crt\n  key_file: web.key\n"
CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
USERS = "basic_auth_users: {me: $2b$04$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n"


async def exit_code(port: int, *arguments: str, **variables: str) -> int:
    command = [sys.executable, "-m", "service.web.probe", *arguments]
    address = variables or {"FORESHOCK_HTTP__PORT": str(port)}
    environment = {**address, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode


async def served(
    folder: Path, web_config: str, *, live: bool, host: str = "127.0.0.1"
) -> HttpServer:
    file = folder / "web.yml" if web_config else None
    if file is not None:
        file.write_text(web_config)
    return await start_http(
        host,
        0,
        registry=CollectorRegistry(),
        health=lambda: Health(live=live, ready=False, checks={}),
        web_config=load_web_config(str(file) if file is not None else ""),
    )


@pytest.mark.parametrize("web_config", ["", USERS, TLS + USERS])
async def test_it_tells_a_live_service_from_one_that_stands_still(tmp_path: Path, web_config: str):
    Authority(tmp_path).issue("web", "localhost")
    for live in (True, False):
        server = await served(tmp_path, web_config, live=live)
        try:
            assert await exit_code(server.port) == (0 if live else 1)
        finally:
            await server.close()


async def test_a_demand_for_a_certificate_is_a_sign_of_life(tmp_path: Path):
    Authority(tmp_path).issue("web", "localhost")
    server = await served(tmp_path, TLS + CLIENTS, live=True)
    try:
        assert await exit_code(server.port) == 0
    finally:
        await server.close()


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
async def test_a_service_that_listens_on_ipv6_only_is_found(tmp_path: Path, host: str):
    server = await served(tmp_path, "", live=True, host=host)
    variables = {"FORESHOCK_HTTP__PORT": str(server.port), "FORESHOCK_HTTP__HOST": host}
    try:
        assert await exit_code(server.port, **variables) == 0
    finally:
        await server.close()


async def test_the_address_is_read_from_the_configuration_file(tmp_path: Path):
    server = await served(tmp_path, "", live=True, host="::1")
    file = tmp_path / "foreshock.toml"
    file.write_text(f'[http]\nhost = "::1"\nport = {server.port}\n')
    try:
        assert await exit_code(server.port, FORESHOCK_CONFIG=str(file)) == 0
        assert await exit_code(server.port, str(file), PATH="") == 0
        # A variable comes before the file, as for the service.
        both = {"FORESHOCK_CONFIG": str(file), "FORESHOCK_HTTP__HOST": "127.0.0.1"}
        assert await exit_code(server.port, **both) == 1
    finally:
        await server.close()


async def test_a_port_that_closes_every_connection_is_not_alive():
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        assert await exit_code(server.sockets[0].getsockname()[1]) == 1


async def test_nobody_there_is_not_alive():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert await exit_code(port) == 1
