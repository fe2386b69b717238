"""A broker with authentication: TLS, SASL, mutual TLS and access control lists.

It has three listeners on loopback. The plain-text listener is for the administrator and allows
everything. ``sasl`` accepts PLAIN, SCRAM-SHA-512 and OAUTHBEARER over TLS, ``mutual`` a client
certificate. All credentials are created at test time and valid only for the test's broker.
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from deploy.kafka.kafka import KafkaServer, free_port
from tests.authority import Authority

USER, PASSWORD = "foreshock", "scram-password-of-the-test"
PLAIN_PASSWORD = "plain-password-of-the-test"
AUDIENCE = "kafka"

_MODULES = "org.apache.kafka.common.security"
_PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual},\
CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL://localhost:{sasl},\
MUTUAL://localhost:{mutual}
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required \
user_{user}="{plain_password}";
listener.name.sasl.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config={modules}.oauthbearer.OAuthBearerLoginModule \
required;
listener.name.sasl.oauthbearer.sasl.server.callback.handler.class=\
{modules}.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.sasl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={jwks}
listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.audience={audience}
"""


class Issuer:
    """Signs tokens that the broker can verify with the public key."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65_537, 2_048)
        public = self._key.public_key().public_numbers()
        self.jwks_file = folder / "jwks.json"
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "test"}
        key |= {"n": _number(public.n), "e": _number(public.e)}
        self.jwks_file.write_text(json.dumps({"keys": [key]}))

    def token(self, subject: str = USER, seconds: float = 300.0) -> str:
        """A signed token for a subject, valid for this many seconds."""
        now = time.time()
        header = {"alg": "RS256", "kid": "test"}
        claims = {"sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + seconds, "scope": "k"}
        signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_part(signature)}"


class Secured(NamedTuple):
    """A running broker, its three addresses, its certificate authority and its token issuer."""

    server: KafkaServer
    admin: str
    sasl: str
    mutual: str
    authority: Authority
    issuer: Issuer

    def scram(self, **settings: str) -> dict[str, str]:
        """The variables for SCRAM over TLS, plus further settings."""
        password_file = self.authority.folder / "password"
        password_file.write_text(f"{PASSWORD}\n")
        return {
            "KAFKA__BOOTSTRAP_SERVERS": self.sasl,
            "KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA__SSL_CA_FILE": str(self.authority.ca_file),
            "KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA__SASL_USERNAME": USER,
            "KAFKA__SASL_PASSWORD_FILE": str(password_file),
            **settings,
        }


@contextmanager
def secured_broker(folder: Path) -> Iterator[Secured]:
    """Start the broker; stop it at the end."""
    authority, issuer = Authority(folder), Issuer(folder)
    certificate, key = authority.issue("broker", "localhost")
    (folder / "broker.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    numbers: set[int] = set()
    while len(numbers) < 4:  # free_port can return a port again until it is listened on
        numbers.add(free_port())
    ports = dict(zip(("plain", "sasl", "mutual", "controller"), numbers, strict=True))
    jwks = issuer.jwks_file.as_uri()
    properties = _PROPERTIES.format(
        **ports,
        folder=folder,
        modules=_MODULES,
        user=USER,
        plain_password=PLAIN_PASSWORD,
        jwks=jwks,
        audience=AUDIENCE,
    )
    server = KafkaServer(
        folder / "kafka",
        port=ports["plain"],
        properties=properties,
        scram_users={USER: PASSWORD},
        java_options=[f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks}"],
    )
    with server:
        yield Secured(
            server,
            admin=server.bootstrap_servers,
            sasl=f"localhost:{ports['sasl']}",
            mutual=f"localhost:{ports['mutual']}",
            authority=authority,
            issuer=issuer,
        )


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: Any) -> str:
    return _part(value.to_bytes((value.bit_length() + 7) // 8, "big"))
