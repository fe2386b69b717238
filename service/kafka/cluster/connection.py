"""How every client connects to Kafka, and in words why one could not."""

import asyncio
import ssl
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from service.errors import ConfigurationError
from service.kafka.cluster.oauth import TokenError, provider
from service.settings.secrets import given
from service.settings.types import KafkaSettings
from service.tls import client_context

_NOT_THE_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_WRONG_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """What every client of Kafka is made with. Files that the settings name are read anew.

    Raises
    ------
    ConfigurationError
        One of those files cannot be read, or does not hold what it should.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "client_id": kafka.client_id,
        "request_timeout_ms": round(kafka.request_timeout_seconds * 1e3),
    }
    return options | security_options(kafka)


def security_options(kafka: KafkaSettings) -> dict[str, Any]:
    """The part of ``client_options`` that encrypts and authenticates. Raises what that does."""
    options: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    if kafka.security_protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _tls(kafka)
    if kafka.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        if kafka.sasl_mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = provider(kafka)
        else:
            password = given("kafka.sasl_password", kafka.sasl_password, kafka.sasl_password_file)
            options["sasl_plain_username"] = kafka.sasl_username
            options["sasl_plain_password"] = password.reveal()
    return options


def _tls(kafka: KafkaSettings) -> ssl.SSLContext:
    """The brokers' certificates and names are always verified; ours is shown where there is one."""
    context = client_context("kafka.ssl_ca_file", kafka.ssl_ca_file)
    if not kafka.ssl_certificate_file:
        return context
    password = given(
        "kafka.ssl_key_password", kafka.ssl_key_password, kafka.ssl_key_password_file
    ).reveal()
    certificate, key = kafka.ssl_certificate_file, kafka.ssl_key_file or None
    try:
        # A function: a key with a password must never ask for it on the terminal.
        context.load_cert_chain(certificate, key, lambda: password)
    except ssl.SSLError as error:
        # A wrong password is told as a failure to decrypt, or as nothing at all.
        reason = error.reason or "it cannot be decrypted"
        raise ConfigurationError(
            f"kafka.ssl_certificate_file, kafka.ssl_key_file: {certificate}"
            f"{f' and {key}' if key else ''} are not a certificate and its key in PEM, or "
            f"kafka.ssl_key_password(_file) is not the key's password ({reason})"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"kafka.ssl_certificate_file, kafka.ssl_key_file: cannot read {certificate}"
            f"{f' or {key}' if key else ''}: {error.strerror}"
        ) from None
    return context


async def why_not(kafka: KafkaSettings, timeout_seconds: float) -> str | None:
    """Connect to the brokers once more, one after the other, and tell what goes wrong.

    Kafka's clients only say that they reached none.

    Returns
    -------
    str or None
        What is wrong with the first broker that was reached at all, in a sentence that names the
        settings. None: none was reached, or now all is well.
    """
    options = client_options(kafka) | {"request_timeout_ms": round(timeout_seconds * 1e3)}
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            async with asyncio.timeout(timeout_seconds):
                connection = await create_conn(host, port, **options)
                try:
                    metadata = await connection.send(MetadataRequest([]))
                finally:
                    connection.close()
            if not metadata.brokers:  # how a token comes to nothing: aiokafka takes no notice of it
                return _refused(kafka, f"{host}:{port}")
        except (KafkaError, OSError, TimeoutError) as error:
            if sentence := _sentence(kafka, f"{host}:{port}", error):
                return sentence
    return None


def _sentence(  # noqa: PLR0911 - one return a kind
    kafka: KafkaSettings, broker: str, error: BaseException
) -> str | None:
    """What went wrong, and the setting that mends it; None if the broker is not there at all."""
    match error:
        case TokenError():
            return str(error.args[0])
        case SaslAuthenticationFailed():
            return _refused(kafka, broker)
        case UnsupportedSaslMechanismError():
            return (
                f"the broker at {broker} does not take kafka.sasl_mechanism = "
                f'"{kafka.sasl_mechanism}"'
            )
        case IllegalSaslStateError():
            return f"the broker at {broker} wants no SASL; {_protocol(kafka)}"
        case ssl.SSLCertVerificationError():
            return _certificate(broker, error)
        case ssl.SSLError():
            return _handshake(kafka, broker, error)
        case KafkaConnectionError() if isinstance(error.__cause__, ssl.SSLError):
            return _handshake(kafka, broker, error.__cause__)
        case KafkaConnectionError() | ConnectionResetError():
            return (
                f"the broker at {broker} closes the connection without a word: it may want TLS or "
                f"SASL, or want none; {_protocol(kafka)}"
            )
    return None


def _certificate(broker: str, error: ssl.SSLCertVerificationError) -> str:
    name = broker.rpartition(":")[0]
    if error.verify_code in _NOT_THE_NAME:
        return (
            f"the certificate of the broker at {broker} is not for the name {name}: "
            "kafka.bootstrap_servers, and the addresses that the brokers advertise, must be names "
            "that stand in their certificates"
        )
    if error.verify_code in _WRONG_TIME:
        return (
            f"the certificate of the broker at {broker} is not valid now: {error.verify_message}; "
            "renew it, or set this machine's clock"
        )
    return (
        f"the certificate of the broker at {broker} is not to be trusted: {error.verify_message}; "
        "kafka.ssl_ca_file names the authority that signed it"
    )


def _handshake(kafka: KafkaSettings, broker: str, error: ssl.SSLError) -> str:
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        given = "does not trust the one in" if kafka.ssl_certificate_file else "wants"
        what = "" if kafka.ssl_certificate_file else "a certificate of ours: set "
        return (
            f"the broker at {broker} {given} {what}kafka.ssl_certificate_file and "
            f"kafka.ssl_key_file ({reason})"
        )
    return f"no TLS with the broker at {broker} ({reason}); {_protocol(kafka)}"


def _protocol(kafka: KafkaSettings) -> str:
    return f'kafka.security_protocol is "{kafka.security_protocol}": is it that of this port?'


def _refused(kafka: KafkaSettings, broker: str) -> str:
    sentence = f"the broker at {broker} refuses who we are; check"
    if kafka.sasl_mechanism == "OAUTHBEARER":
        source = "oauth_token_file" if kafka.oauth_token_file else "oauth_token_url"
        return f"{sentence} the token of kafka.{source}: for whom it is, and when it expires"
    password = "sasl_password_file" if kafka.sasl_password_file else "sasl_password"
    return f'{sentence} kafka.sasl_username ("{kafka.sasl_username}") and kafka.{password}'
