"""TLS and basic authentication over HTTP, from a file as Prometheus has it."""

import asyncio
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest
import structlog
from aiohttp import ClientSession, encode_basic_auth
from prometheus_client import CollectorRegistry

from service import logs
from service.errors import ConfigurationError
from service.settings.types import Settings
from service.web import basic_auth
from service.web.server import Health, start_http
from service.web.web_config import load_web_config
from tests.authority import Authority
from tests.kafka_server import unavailable

PASSWORD = "canary-password"
SALT = b"$2b$04$abcdefghijklmnopqrstuu"  # a fixed one: tests are named after the hash
HASH = bcrypt.hashpw(PASSWORD.encode(), SALT).decode()
USERS = f"basic_auth_users:\n  prometheus: {HASH}\n"
TLS = "tls_server_config:\n  cert_file: web.crt\n  key_file: web.key\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue("web", "127.0.0.1")
    return authority


@asynccontextmanager
async def served(folder: Path, text: str) -> AsyncIterator[str]:
    """A server under a web configuration; its address without the scheme."""
    file = folder / "web.yml"
    file.write_text(text)
    server = await start_http(
        "127.0.0.1",
        0,
        registry=CollectorRegistry(),
        health=lambda: Health(live=True, ready=True, checks={}),
        web_config=load_web_config(str(file)),
    )
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.close()


async def status(url: str, auth: tuple[str, str] | None = None, **options: Any) -> int:
    if auth is not None:
        options["headers"] = {"Authorization": encode_basic_auth(*auth)}
    async with ClientSession() as session, session.get(url, **options) as response:
        return response.status


def trusting(authority: Authority, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.ca_file)
    if name:
        context.load_cert_chain(*authority.issue(name))
    return context


def test_without_a_setting_it_is_loopback_without_tls_and_without_users():
    assert Settings().http.host == "127.0.0.1"
    assert load_web_config("").tls is None
    assert load_web_config("").users == {}


async def test_who_is_not_known_sees_the_probes_only(tmp_path: Path):
    async with served(tmp_path, USERS) as address:
        for path, expected in {"/healthz": 200, "/readyz": 200, "/metrics": 401, "/": 401}.items():
            assert await status(f"http://{address}{path}") == expected, path
        assert await status(f"http://{address}/nowhere") == 401
        right, wrong = ("prometheus", PASSWORD), ("prometheus", "guess")
        assert await status(f"http://{address}/metrics", auth=right) == 200
        assert await status(f"http://{address}/metrics", auth=wrong) == 401
        assert await status(f"http://{address}/metrics", auth=right) == 200
        assert await status(f"http://{address}/metrics", auth=("root", PASSWORD)) == 401
        assert await status(f"http://{address}/metrics", auth=("root", HASH)) == 401
        async with ClientSession() as session, session.get(f"http://{address}/") as response:
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
            assert await response.text() == "401 Unauthorized\n"


async def test_neither_passwords_nor_hashes_are_logged_or_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logs.configure("debug", "json")
    told = []
    try:
        async with served(tmp_path, USERS) as address, ClientSession() as session:
            for password in (PASSWORD, PASSWORD + "x"):
                headers = {"Authorization": encode_basic_auth("prometheus", password)}
                for path in ("/metrics", "/", "/nowhere", "/healthz"):
                    async with session.get(f"http://{address}{path}", headers=headers) as answer:
                        told.append(f"{answer.headers}{await answer.text()}")
    finally:
        logging.getLogger().setLevel(logging.WARNING)
        structlog.reset_defaults()
    log = capsys.readouterr().err
    assert log.count('"event": "request"') == 8
    assert PASSWORD not in log + "".join(told)
    assert HASH[7:] not in log + "".join(told)


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic %%%", "Basic Zm9v", "Bearer abc", "Basic Og==", "Basic /w=="]
)
async def test_a_header_that_is_none_is_refused(tmp_path: Path, header: str):
    async with served(tmp_path, USERS) as address:
        headers = {"Authorization": header}
        assert await status(f"http://{address}/metrics", headers=headers) == 401


@pytest.mark.parametrize("password", ["x" * 73, "a\0b", "", "pä" * 36])
async def test_passwords_that_bcrypt_cannot_hash_are_wrong(tmp_path: Path, password: str):
    async with served(tmp_path, USERS) as address:
        auth = ("prometheus", password)
        assert await status(f"http://{address}/metrics", auth=auth) == 401


async def test_a_long_password_is_not_taken_for_its_beginning(tmp_path: Path):
    password = "x" * 72
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    async with served(tmp_path, f"basic_auth_users: {{me: '{hashed}'}}") as address:
        for tried, expected in {password: 200, password + "x": 401}.items():
            assert await status(f"http://{address}/metrics", auth=("me", tried)) == expected


async def test_a_right_password_is_compared_once_and_wrong_ones_do_not_push_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    compared = []
    matches = basic_auth._matches
    monkeypatch.setattr(
        basic_auth, "_matches", lambda *given: compared.append(given[0]) or matches(*given)
    )
    async with served(tmp_path, USERS) as address:
        for _ in range(3):
            auth = ("prometheus", PASSWORD)
            assert await status(f"http://{address}/metrics", auth=auth) == 200
        assert compared == [PASSWORD]
        for number in range(basic_auth.MAX_REMEMBERED + 1):
            await status(f"http://{address}/", auth=("prometheus", str(number)))
        compared.clear()
        assert await status(f"http://{address}/metrics", auth=auth) == 200
    assert compared == []


async def test_the_probes_are_answered_while_passwords_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A slow comparison holds up those who wait for one, and nobody else."""
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_password: str, _hashed: str) -> bool:
        return asyncio.run_coroutine_threadsafe(answered.wait(), loop).result(60)

    monkeypatch.setattr(basic_auth, "_matches", slow)
    async with served(tmp_path, USERS) as address:
        auth = ("prometheus", "guess")
        guess = asyncio.create_task(status(f"http://{address}/", auth=auth))
        assert await status(f"http://{address}/healthz") == 200
        answered.set()
        await guess


async def test_an_unknown_user_takes_as_long_as_a_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    compared = []
    monkeypatch.setattr(basic_auth, "_matches", lambda _, hashed: compared.append(hashed))
    async with served(tmp_path, USERS) as address:
        for user in ("prometheus", "nobody"):
            assert await status(f"http://{address}/metrics", auth=(user, "guess")) == 401
    # Each is compared once, at the same cost.
    assert [hashed[:7] for hashed in compared] == [HASH[:7]] * 2


async def test_a_user_with_another_cost_takes_as_long_as_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    costs: list[int] = []
    monkeypatch.setattr(
        basic_auth, "_matches", lambda _, hashed: bool(costs.append(int(hashed[4:6])))
    )
    costly = HASH.replace("$04$", "$07$")
    users = f"basic_auth_users: {{cheap: {HASH}, costly: {costly}}}"
    spent = {}
    async with served(tmp_path, users) as address:
        for user in ("cheap", "costly", "nobody"):
            costs.clear()
            assert await status(f"http://{address}/metrics", auth=(user, "guess")) == 401
            spent[user] = sum(2**cost for cost in costs)
    assert set(spent.values()) == {2**7}


async def test_guesses_from_one_address_delay_another_by_one_comparison():
    turns = basic_auth._Turns()
    order: list[str] = []

    async def compare(address: str) -> None:
        async with turns.of(address):
            order.append(address)
            await asyncio.sleep(0)

    guesses = [asyncio.create_task(compare("guesser")) for _ in range(basic_auth.MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(basic_auth._TooManyWaitingError):
        await compare("guesser")
    await compare("scraper")
    assert order.index("scraper") <= 2
    await asyncio.gather(*guesses)
    await compare("guesser")
    assert order.count("guesser") == basic_auth.MAX_WAITING + 1


async def test_tls_is_served_with_the_files_beside_the_configuration(
    tmp_path: Path, authority: Authority
):
    async with served(tmp_path, TLS + USERS) as address:
        auth, url = ("prometheus", PASSWORD), f"https://{address}/metrics"
        assert await status(url, auth=auth, ssl=trusting(authority)) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(url, auth=auth)
        with pytest.raises(aiohttp.ClientError):
            await status(f"http://{address}/healthz")


async def test_a_client_that_must_have_a_certificate_is_refused_without_one(
    tmp_path: Path, authority: Authority
):
    text = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
    stranger_folder = tmp_path / "stranger"
    stranger_folder.mkdir()
    stranger = Authority(stranger_folder)
    async with served(tmp_path, text) as address:
        url = f"https://{address}/metrics"
        assert await status(url, ssl=trusting(authority, "prometheus")) == 200
        with pytest.raises(aiohttp.ClientError):
            await status(url, ssl=trusting(authority))
        foreign = trusting(authority)
        foreign.load_cert_chain(*stranger.issue("prometheus"))
        with pytest.raises(aiohttp.ClientError):
            await status(url, ssl=foreign)


async def test_the_version_of_tls_is_at_least_the_one_that_is_set(
    tmp_path: Path, authority: Authority
):
    context = trusting(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with served(tmp_path, TLS) as address:
        assert await status(f"https://{address}/metrics", ssl=context) == 200
    async with served(tmp_path, TLS + "  min_version: TLS13\n") as address:
        with pytest.raises(aiohttp.ClientError):
            await status(f"https://{address}/metrics", ssl=context)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it must have the sections tls_server_config, basic_auth_users or both"),
        ("tls_server_config:", "tls_server_config: it is empty; complete it, or remove it"),
        ("basic_auth_users:\n" + TLS, "basic_auth_users: it is empty; complete it, or remove it"),
        (f"{TLS}a: 2026-13-45", "is not valid YAML"),
        ("a: " + "[" * 5_000, "is not valid YAML"),
        ("#" * 1_048_577, "is larger than 1048576 bytes"),
        ("- a", "it must have the sections tls_server_config, basic_auth_users or both"),
        ("basic_auth_user: {a: b}", "basic_auth_user: it is not supported; did you mean"),
        ("http_server_config: {http2: true}", "http_server_config: it is not supported; there"),
        ("rate_limit: {burst: 1}", "rate_limit: it is not supported"),
        (TLS + "  cipher_suites: [X]", "tls_server_config.cipher_suites: it is not supported"),
        (TLS + "  client_allowed_sans: [X]", "client_allowed_sans: it is not supported"),
        (TLS + "  min_version: TLS11", "min_version = TLS11: it must be one of TLS12, TLS13"),
        (TLS + "  min_version: TLS13\n  max_version: TLS12", "max_version: it must not be below"),
        (TLS + "  client_auth_type: RequireAnyClientCert", "it must be one of NoClientCert, Ver"),
        (TLS + "  client_auth_type: RequireAndVerifyClientCert", "client_ca_file: it is missing"),
        (TLS + "  client_ca_file: ca.pem", "client_auth_type: client_ca_file has no effect"),
        (TLS + "  cert_file: 5", "tls_server_config.cert_file: it must be text"),
        ("tls_server_config: yes", "tls_server_config: it must be a table of cert_file, key_file"),
        ("tls_server_config: {}", "tls_server_config.cert_file: it is missing"),
        ("tls_server_config: {cert_file: a}", "tls_server_config.key_file: it is missing"),
        (TLS.replace("web.key", "none.key"), "none.key: No such file or directory"),
        (TLS.replace("web.key", "ca.pem"), "are not a certificate and its key in PEM"),
        (TLS.replace("web.key", "locked.key"), "its key in PEM, without a password"),
        (
            TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: web.key",
            "web.key has no certificate in PEM",
        ),
        ("basic_auth_users: [a]", "basic_auth_users: it must be a table"),
        ("basic_auth_users: {me: canary}", "basic_auth_users.me: it must be the bcrypt hash"),
        ("basic_auth_users: {me: 123}", "basic_auth_users.me: it must be the bcrypt hash"),
        (
            f"basic_auth_users: {{me: '{HASH.replace('$04$', '$31$')}'}}",
            "basic_auth_users.me: the cost must be from 4 to 18",
        ),
        (f"basic_auth_users: {{'a:b': '{HASH}'}}", "a name must be text without a colon"),
        ("basic_auth_users: {me: canary", "is not valid YAML (line 1)"),
        ("!!python/object/apply:os.system ['false']", "is not valid YAML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_what_is_right(
    tmp_path: Path, authority: Authority, text: str, sentence: str
):
    authority.issue("locked", password="canary")
    file = tmp_path / "web.yml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_web_config(str(file))
    assert str(caught.value).startswith("http.web_config_file: ")
    assert sentence in str(caught.value)
    assert "canary" not in str(caught.value)
    assert HASH[7:] not in str(caught.value)


def test_a_file_that_is_not_there_is_told_by_the_setting(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"http\.web_config_file: cannot read .*: No such"):
        load_web_config(str(tmp_path / "none.yml"))


@pytest.mark.usefixtures("authority")
def test_a_file_that_prometheus_takes_is_taken(tmp_path: Path):
    clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
    text = TLS + clients + USERS
    file = tmp_path / "web.yml"
    file.write_text(text + "\n")
    if shutil.which("promtool") is None:
        unavailable("promtool is not installed: apt-get install prometheus")
    command = ["promtool", "check", "web-config", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    config = load_web_config(str(file))
    assert config.tls is not None
    assert config.users == {"prometheus": HASH}
