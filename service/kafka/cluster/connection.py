"""How every client connects to Kafka, and why a connection fails."""

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
from service.settings.secrets import read_secret
from service.settings.types import KafkaSettings
from service.tls import client_context

_NOT_THE_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_WRONG_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the options of every Kafka client. Each call reads the files that the settings name.

    Raises
    ------
    ConfigurationError
        One of these files cannot be read, or has the wrong content.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "client_id": kafka.client_id,
        "request_timeout_ms": round(kafka.request_timeout_seconds * 1e3),
    }
    return options | security_options(kafka)


def security_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the options for encryption and authentication. Raises as ``client_options`` does."""
    options: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    if kafka.security_protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _tls(kafka)
    if kafka.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        if kafka.sasl_mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = provider(kafka)
        else:
            password = read_secret(
                "kafka.sasl_password", kafka.sasl_password, kafka.sasl_password_file
            )
            options["sasl_plain_username"] = kafka.sasl_username
            options["sasl_plain_password"] = password.reveal()
    return options


def _tls(kafka: KafkaSettings) -> ssl.SSLContext:
    """Return the TLS context. It always verifies the brokers' certificates and names.

    It presents a client certificate if one is set.
    """
    context = client_context("kafka.ssl_ca_file", kafka.ssl_ca_file)
    if not kafka.ssl_certificate_file:
        return context
    password = read_secret(
        "kafka.ssl_key_password", kafka.ssl_key_password, kafka.ssl_key_password_file
    ).reveal()
    certificate, key = kafka.ssl_certificate_file, kafka.ssl_key_file or None
    try:
        # A function: OpenSSL must never ask for the password on the terminal.
        context.load_cert_chain(certificate, key, lambda: password)
    except ssl.SSLError as error:
        # OpenSSL reports a wrong password as a failure to decrypt, or without a reason.
        reason = error.reason or "it cannot be decrypted"
        raise ConfigurationError(
            f"kafka.ssl_certificate_file, kafka.ssl_key_file: {certificate}"
            f"{f' and {key}' if key else ''} are not a certificate and its key in PEM format, or "
            f"kafka.ssl_key_password(_file) is not the password of the key ({reason})"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"kafka.ssl_certificate_file, kafka.ssl_key_file: cannot read {certificate}"
            f"{f' or {key}' if key else ''}: {error.strerror}"
        ) from None
    return context


async def diagnose(kafka: KafkaSettings, timeout_seconds: float) -> str | None:
    """Connect to the brokers again, one after the other, and return what fails.

    Kafka's clients report only that they reached no broker.

    Returns
    -------
    str or None
        The problem with the first broker that was reached at all, in a sentence that names the
        settings. None: no broker was reached, or the connection works now.
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
            if not metadata.brokers:  # a refused token; aiokafka does not report it
                return _refused(kafka, f"{host}:{port}")
        except (KafkaError, OSError, TimeoutError) as error:
            if sentence := _sentence(kafka, f"{host}:{port}", error):
                return sentence
    return None


def _sentence(  # noqa: PLR0911 - one return per kind
    kafka: KafkaSettings, broker: str, error: BaseException
) -> str | None:
    """Return the problem and the setting that fixes it; None if the broker was not reached."""
    match error:
        case TokenError():
            return str(error.args[0])
        case SaslAuthenticationFailed():
            return _refused(kafka, broker)
        case UnsupportedSaslMechanismError():
            return (
                f"the broker at {broker} does not support kafka.sasl_mechanism = "
                f'"{kafka.sasl_mechanism}"'
            )
        case IllegalSaslStateError():
            return f"the broker at {broker} does not use SASL; {_protocol(kafka)}"
        case ssl.SSLCertVerificationError():
            return _certificate(broker, error)
        case ssl.SSLError():
            return _handshake(kafka, broker, error)
        case KafkaConnectionError() if isinstance(error.__cause__, ssl.SSLError):
            return _handshake(kafka, broker, error.__cause__)
        case KafkaConnectionError() | ConnectionResetError():
            return (
                f"the broker at {broker} closes the connection without a reason: it may require "
                f"TLS or SASL, or use neither; {_protocol(kafka)}"
            )
    return None


def _certificate(broker: str, error: ssl.SSLCertVerificationError) -> str:
    name = broker.rpartition(":")[0]
    if error.verify_code in _NOT_THE_NAME:
        return (
            f"the certificate of the broker at {broker} is not for the name {name}: "
            "kafka.bootstrap_servers, and the addresses that the brokers advertise, must be names "
            "in their certificates"
        )
    if error.verify_code in _WRONG_TIME:
        return (
            f"the certificate of the broker at {broker} is not valid now: {error.verify_message}; "
            "renew it, or correct this machine's clock"
        )
    return (
        f"the certificate of the broker at {broker} is not trusted: {error.verify_message}; "
        "set kafka.ssl_ca_file to the certificate of the authority that signed it"
    )


def _handshake(kafka: KafkaSettings, broker: str, error: ssl.SSLError) -> str:
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        finding = (
            "does not trust the client certificate in" if kafka.ssl_certificate_file else "requires"
        )
        remedy = "" if kafka.ssl_certificate_file else "a client certificate: set "
        return (
            f"the broker at {broker} {finding} {remedy}kafka.ssl_certificate_file and "
            f"kafka.ssl_key_file ({reason})"
        )
    return f"the TLS handshake with the broker at {broker} failed ({reason}); {_protocol(kafka)}"


def _protocol(kafka: KafkaSettings) -> str:
    return f'check that kafka.security_protocol = "{kafka.security_protocol}" fits this port'


def _refused(kafka: KafkaSettings, broker: str) -> str:
    sentence = f"the broker at {broker} rejects the credentials; check"
    if kafka.sasl_mechanism == "OAUTHBEARER":
        source = "oauth_token_file" if kafka.oauth_token_file else "oauth_token_url"
        return f"{sentence} the token of kafka.{source}: its audience and its expiry"
    password = "sasl_password_file" if kafka.sasl_password_file else "sasl_password"
    return f'{sentence} kafka.sasl_username ("{kafka.sasl_username}") and kafka.{password}'
