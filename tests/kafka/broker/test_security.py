"""The service on a broker that asks who is there: TLS, SASL, certificates, access control lists."""

import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from service.errors import OperatorError
from service.kafka.cluster.inspection import inspect_topics
from service.pipeline.wire import ALL_STREAMS
from service.settings.load import load_settings
from service.settings.types import OutputSettings, TopicSettings
from tests.authority import Authority
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import (
    OUTPUTS,
    REQUIRED,
    Service,
    Venue,
    caught_up,
    environment,
    foreshock,
    until,
)
from tests.kafka.broker.secured import PASSWORD, PLAIN_PASSWORD, USER, Secured, secured_broker
from tests.kafka_server import require_broker_tools

pytestmark = pytest.mark.kafka

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
ROW = re.compile(r"^\| (topic|group) \| `([a-z.]+)` \| (Read|Write) \| ", re.MULTILINE)
RIGHTS = ROW.findall(DOCUMENT.read_text())
"""Resource, name and operation of every right in the document's table."""

KEYS = {
    topic: key
    for section in (TopicSettings(), OutputSettings())
    for key, topic in msgspec.structs.asdict(section).items()
}
"""The setting of each topic of the document, by which the venue of a test names its own."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    require_broker_tools()
    with secured_broker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


def oauth(secured: Secured, **settings: str) -> dict[str, str]:
    """The variables for OAUTHBEARER over TLS, without a token."""
    variables = secured.scram(KAFKA__SASL_MECHANISM="OAUTHBEARER", **settings)
    for name in ("USERNAME", "PASSWORD_FILE"):
        del variables[f"KAFKA__SASL_{name}"]
    return variables


def mutual(secured: Secured, **settings: str) -> dict[str, str]:
    """The variables for TLS on the port that wants a certificate, without one."""
    return {
        "KAFKA__BOOTSTRAP_SERVERS": secured.mutual,
        "KAFKA__SECURITY_PROTOCOL": "SSL",
        "KAFKA__SSL_CA_FILE": str(secured.authority.ca_file),
        **settings,
    }


def certificate(authority: Authority, name: str = USER, **options: str) -> dict[str, str]:
    certificate_file, key_file = map(str, authority.issue(name, **options))
    return {"KAFKA__SSL_CERTIFICATE_FILE": certificate_file, "KAFKA__SSL_KEY_FILE": key_file}


async def problems(**variables: str) -> tuple[str, ...]:
    """What ``foreshock topics`` finds; it must get as far as the broker's answer."""
    return (await inspect_topics(load_settings(None, environment(**variables)))).problems


async def complaint(**variables: str) -> str:
    with pytest.raises(OperatorError) as caught:
        await problems(**variables)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert not any(secret in said for secret in (PASSWORD, PLAIN_PASSWORD, "canary"))
    return said


async def test_every_way_to_say_who_we_are_is_taken(secured: Secured, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text(secured.issuer.token() + "\n")
    plain = secured.scram(KAFKA__SASL_MECHANISM="PLAIN", KAFKA__SASL_PASSWORD=PLAIN_PASSWORD)
    locked = certificate(secured.authority, "locked", password="open sesame")
    for variables in (
        secured.scram(),
        plain | {"KAFKA__SASL_PASSWORD_FILE": ""},
        oauth(secured, KAFKA__OAUTH_TOKEN_FILE=str(token)),
        mutual(secured, **certificate(secured.authority)),
        mutual(secured, **locked, KAFKA__SSL_KEY_PASSWORD="open sesame"),
    ):
        found = await problems(**variables)
        assert any("this user may not READ the topic market.orders" in one for one in found)


async def test_a_token_of_an_endpoint_is_taken_by_the_broker(secured: Secured, tmp_path: Path):
    """The endpoint is the test's own, over TLS; the broker verifies the token's signature."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": secured.issuer.token(), "expires_in": 300})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = Authority(tmp_path)
    context.load_cert_chain(*authority.issue("endpoint", "localhost"))
    app = web.Application()
    app.router.add_post("/token", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        found = await problems(
            **oauth(
                secured,
                KAFKA__OAUTH_TOKEN_URL=f"https://localhost:{runner.addresses[0][1]}/token",
                KAFKA__OAUTH_CLIENT_ID="me",
                KAFKA__OAUTH_CLIENT_SECRET="canary",
                KAFKA__OAUTH_CA_FILE=str(authority.ca_file),
            )
        )
    finally:
        await runner.cleanup()
    assert any("may not READ the topic market.orders" in one for one in found)


async def test_what_a_broker_refuses_is_told_by_the_setting(secured: Secured, tmp_path: Path):
    scram, port = secured.scram, secured.sasl.rpartition(":")[2]
    token = tmp_path / "token"
    token.write_text(secured.issuer.token(seconds=-300))
    stranger = Authority(tmp_path)
    address = f"the broker at {secured.sasl}"
    for variables, expected in (
        (
            scram(KAFKA__SASL_USERNAME="nobody"),
            f"{address} rejects the credentials; check kafka.sasl",
        ),
        (
            scram(KAFKA__SASL_PASSWORD="canary", KAFKA__SASL_PASSWORD_FILE=""),
            'check kafka.sasl_username ("foreshock") and kafka.sasl_password',
        ),
        (
            scram(KAFKA__SASL_MECHANISM="PLAIN"),
            'check kafka.sasl_username ("foreshock") and kafka.sasl_password_file',
        ),
        (
            scram(KAFKA__SASL_MECHANISM="SCRAM-SHA-256"),
            f'{address} does not support kafka.sasl_mechanism = "SCRAM-SHA-256"',
        ),
        (
            scram(KAFKA__SSL_CA_FILE=str(stranger.ca_file)),
            "is not trusted: unable to get local issuer certificate; set kafka.ssl_ca_file to",
        ),
        (
            scram(KAFKA__SSL_CA_FILE=""),
            "kafka.ssl_ca_file to the certificate of the authority that signed it",
        ),
        (
            scram(KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{port}"),
            "is not for the name 127.0.0.1: kafka.bootstrap_servers",
        ),
        (
            scram(KAFKA__BOOTSTRAP_SERVERS=secured.admin),
            'check that kafka.security_protocol = "SASL_SSL" fits this port',
        ),
        (
            {"KAFKA__BOOTSTRAP_SERVERS": secured.sasl},
            'or use neither; check that kafka.security_protocol = "PLAINTEXT" fits this port',
        ),
        (
            scram(KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT", KAFKA__SSL_CA_FILE="")
            | {"KAFKA__BOOTSTRAP_SERVERS": secured.admin},
            "does not use SASL; check that kafka.security_protocol",
        ),
        (mutual(secured), "requires a client certificate: set kafka.ssl_certificate_file"),
        (
            mutual(secured, **certificate(stranger)),
            "does not trust the client certificate in kafka.ssl_certificate_file",
        ),
        (
            oauth(secured, KAFKA__OAUTH_TOKEN_FILE=str(token)),
            "rejects the credentials; check the token of kafka.oauth_token_file",
        ),
    ):
        assert expected in await complaint(**variables)


def test_the_command_ends_with_the_sentence(secured: Secured):
    done = foreshock("run", **secured.scram(KAFKA__SASL_USERNAME="nobody"))
    assert done.returncode == 1
    *logged, sentence = done.stderr.splitlines()
    assert sentence.startswith(f"foreshock: the broker at {secured.sasl} rejects the credentials")
    assert [json.loads(line)["event"] for line in logged] == ["started"]


@pytest.fixture
def admin(secured: Secured) -> AdminClient:
    return AdminClient({"bootstrap.servers": secured.admin, "log_level": 0})


def binding(venue: Venue, right: tuple[str, str, str]) -> AclBinding:
    """A right of the document's table, on the venue's own names."""
    resource, name, operation = right
    return AclBinding(
        ResourceType[resource.upper()],
        venue.prefix if resource == "group" else venue.topic(KEYS[name]),
        ResourcePatternType.LITERAL,
        f"User:{USER}",
        "*",
        AclOperation[operation.upper()],
        AclPermissionType.ALLOW,
    )


@asynccontextmanager
async def without(admin: AdminClient, bound: AclBinding) -> AsyncIterator[None]:
    """Take a right away for a while."""
    same = AclBindingFilter(
        bound.restype,
        bound.name,
        bound.resource_pattern_type,
        bound.principal,
        bound.host,
        bound.operation,
        bound.permission_type,
    )
    for future in admin.delete_acls([same]).values():
        assert len(future.result()) == 1
    try:
        yield
    finally:
        grant(admin, [bound])


def grant(admin: AdminClient, bound: list[AclBinding]) -> None:
    for future in admin.create_acls(bound).values():
        future.result()


async def test_the_rights_that_are_documented_suffice_and_none_can_be_spared(
    secured: Secured, admin: AdminClient, market: Market, tmp_path: Path
):
    assert len(RIGHTS) == 34
    async with Venue(secured.admin, tmp_path, REQUIRED) as venue:
        unread = [f"market.{stream}" for stream in ALL_STREAMS if stream not in REQUIRED]
        bindings = [binding(venue, right) for right in RIGHTS if right[1] not in unread]
        grant(admin, bindings)
        settings = secured.scram(LOG__LEVEL="debug")
        plain = {"KAFKA__SASL_MECHANISM": "PLAIN", "KAFKA__SASL_PASSWORD": PLAIN_PASSWORD}
        await each_is_missed(venue, admin, settings, bindings)

        early, late = market.parts(0.6)
        service = venue.start(**settings)
        await venue.produce(early)
        await service.wait_until("all is read", caught_up(REQUIRED))
        await service.stop()
        again = venue.start(**settings | plain | {"KAFKA__SASL_PASSWORD_FILE": ""})
        await venue.produce(late)
        await venue.wait_for_alerts(market.alerts)
        metrics = await again.get("/metrics")
        await a_lost_right_is_named(again, venue, admin, bindings)
        await again.stop()
        assert again.log("restored from snapshots")

        written = [record for name in OUTPUTS for record in await venue.records(name)]
        outputs = "\n".join([service.log_text(), again.log_text(), metrics, repr(written)])
        assert "Request to" in outputs, "the log is at its most talkative"
        assert PASSWORD not in outputs
        assert PLAIN_PASSWORD not in outputs


async def each_is_missed(
    venue: Venue, admin: AdminClient, settings: dict[str, str], bindings: list[AclBinding]
) -> None:
    """With all rights nothing is wrong; without any one of them that one is named."""
    loaded = load_settings(None, environment(**{**venue.settings, **settings}))

    async def wrong(number: int) -> tuple[str, ...]:
        # The brokers learn of changed rights a little later.
        async def found() -> tuple[tuple[str, ...]] | None:
            problems = (await inspect_topics(loaded)).problems
            return (problems,) if len(problems) == number else None

        return (await until(found, f"{number} rights are lacking"))[0]

    await wrong(0)
    for bound in bindings:
        async with without(admin, bound):
            (problem,) = await wrong(1)
        kind, operation = bound.restype.name.lower(), bound.operation.name
        assert f"may not {operation} the {kind} {bound.name} (" in problem
        assert f"User:{USER} --operation {operation.title()} --{kind} {bound.name}`" in problem
        await wrong(0)


async def a_lost_right_is_named(
    service: Service, venue: Venue, admin: AdminClient, bindings: list[AclBinding]
) -> None:
    """A right that is taken from a running service is named in its log; it goes on with it."""
    orders = venue.topic("orders")
    (taken,) = (bound for bound in bindings if bound.name == orders)

    async def lost() -> bool:
        named = f"may not READ the topic {orders} (topics.orders)"
        return any(named in line["reason"] for line in service.log("session lost, reconnecting"))

    async with without(admin, taken):
        await until(lost, "the lost right is named in the log")
    await service.wait_until("it goes on", caught_up(REQUIRED))
