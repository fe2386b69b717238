"""Checks which settings of the Kafka connection go together, before the service connects."""

from collections.abc import Iterator

from service.settings.types import KafkaSettings

_SSL = ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file")
_KEY_PASSWORD = ("ssl_key_password", "ssl_key_password_file")
_PASSWORD = ("sasl_username", "sasl_password", "sasl_password_file")
_CLIENT = ("oauth_client_id", "oauth_client_secret", "oauth_client_secret_file")
_OAUTH = ("oauth_token_file", "oauth_token_url", "oauth_scope", "oauth_ca_file", *_CLIENT)


def contradictions(kafka: KafkaSettings) -> Iterator[str]:
    """Yield a sentence for each setting that is missing, set twice or without effect.

    No sentence contains a secret.
    """
    protocol = kafka.security_protocol
    if "://" in kafka.bootstrap_servers:
        plain = ",".join(
            server.strip().rpartition("://")[2] for server in kafka.bootstrap_servers.split(",")
        )
        yield (
            f'kafka.bootstrap_servers = "{kafka.bootstrap_servers}": leave the scheme out and '
            f'write "{plain}"; kafka.security_protocol ("{protocol}") says how to connect'
        )
    for secret in ("ssl_key_password", "sasl_password", "oauth_client_secret"):
        if getattr(kafka, secret) and getattr(kafka, f"{secret}_file"):
            yield f"kafka.{secret} and kafka.{secret}_file are both set; set one of them"
    if protocol not in ("SSL", "SASL_SSL"):
        yield from _without_effect(
            kafka,
            (*_SSL, *_KEY_PASSWORD),
            f'kafka.security_protocol = "{protocol}" has no TLS; set it to "SSL" or "SASL_SSL"',
        )
    else:
        yield from _tls_errors(kafka)
    if protocol not in ("SASL_PLAINTEXT", "SASL_SSL"):
        yield from _without_effect(
            kafka,
            (*_PASSWORD, *_OAUTH),
            f'kafka.security_protocol = "{protocol}" has no SASL; set it to "SASL_SSL"',
        )
    elif kafka.sasl_mechanism == "OAUTHBEARER":
        yield from _without_effect(
            kafka, _PASSWORD, 'kafka.sasl_mechanism = "OAUTHBEARER" uses a token'
        )
        yield from _oauth_errors(kafka)
    else:
        yield from _without_effect(
            kafka,
            _OAUTH,
            f'kafka.sasl_mechanism = "{kafka.sasl_mechanism}" uses a user name and a password; for '
            'a token set it to "OAUTHBEARER"',
        )
        yield from _password_errors(kafka)


def _tls_errors(kafka: KafkaSettings) -> Iterator[str]:
    if kafka.ssl_key_file and not kafka.ssl_certificate_file:
        yield "kafka.ssl_key_file is set without kafka.ssl_certificate_file; set both"
    if not kafka.ssl_certificate_file:
        yield from _without_effect(
            kafka, _KEY_PASSWORD, "there is no key without kafka.ssl_certificate_file"
        )


def _password_errors(kafka: KafkaSettings) -> Iterator[str]:
    needs = f'kafka.sasl_mechanism = "{kafka.sasl_mechanism}" needs'
    if not kafka.sasl_username:
        yield f"kafka.sasl_username is not set; {needs} a user name"
    if not (kafka.sasl_password or kafka.sasl_password_file):
        yield f"kafka.sasl_password_file (or kafka.sasl_password) is not set; {needs} a password"


def _oauth_errors(kafka: KafkaSettings) -> Iterator[str]:
    if bool(kafka.oauth_token_file) == bool(kafka.oauth_token_url):
        state = "are both set" if kafka.oauth_token_url else "are not set"
        yield (
            f"kafka.oauth_token_file and kafka.oauth_token_url {state}; "
            'kafka.sasl_mechanism = "OAUTHBEARER" needs one of them'
        )
    elif kafka.oauth_token_file:
        yield from _without_effect(
            kafka, ("oauth_scope", "oauth_ca_file", *_CLIENT), "the token is read from a file"
        )
    else:
        if not kafka.oauth_client_id:
            yield "kafka.oauth_client_id is not set; kafka.oauth_token_url needs it"
        if not (kafka.oauth_client_secret or kafka.oauth_client_secret_file):
            yield (
                "kafka.oauth_client_secret_file (or kafka.oauth_client_secret) is not set; "
                "kafka.oauth_token_url needs it"
            )


def _without_effect(kafka: KafkaSettings, names: tuple[str, ...], reason: str) -> Iterator[str]:
    for name in names:
        if getattr(kafka, name):
            yield f"kafka.{name} has no effect: {reason}"
