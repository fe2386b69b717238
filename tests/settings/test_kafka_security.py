"""Settings of the connection to Kafka that do not go together, and secrets that are never shown."""

import pickle  # noqa: TID251 - what a process hands to its own child goes this way
from pathlib import Path

import pytest

from service.cli.main import main
from service.errors import ConfigurationError
from service.kafka.cluster.connection import client_options
from service.settings.load import effective, load, load_settings
from service.settings.secrets import Secret, read_secret
from service.settings.types import KafkaSettings, Settings, settings_hash

CANARIES = {
    "FORESHOCK_KAFKA__SASL_PASSWORD": "canary-sasl-password",
    "FORESHOCK_KAFKA__SSL_KEY_PASSWORD": "canary-key-password",
    "FORESHOCK_KAFKA__OAUTH_CLIENT_SECRET": "canary-client-secret",
}
SASL = {"FORESHOCK_KAFKA__SECURITY_PROTOCOL": "SASL_SSL"}
OAUTH = SASL | {"FORESHOCK_KAFKA__SASL_MECHANISM": "OAUTHBEARER"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def kafka(**settings: str) -> dict[str, str]:
    return {f"FORESHOCK_KAFKA__{name.upper()}": value for name, value in settings.items()}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            kafka(sasl_username="me"),
            'kafka.sasl_username has no effect: kafka.security_protocol = "PLAINTEXT" has no SASL',
        ),
        (
            kafka(bootstrap_servers="PLAINTEXT://a:9092, b:9092"),
            'leave the scheme out and write "a:9092,b:9092"; kafka.security_protocol',
        ),
        (kafka(ssl_ca_file="ca.pem"), "kafka.ssl_ca_file has no effect: kafka.security_protocol"),
        (
            kafka(security_protocol="SASL_PLAINTEXT", ssl_ca_file="ca.pem"),
            'set it to "SSL" or "SASL_SSL"',
        ),
        (SASL, "kafka.sasl_username is not set"),
        (SASL, "kafka.sasl_password_file (or kafka.sasl_password) is not set"),
        (
            SASL | kafka(sasl_username="me", sasl_password="p", sasl_password_file="f"),
            "kafka.sasl_password and kafka.sasl_password_file are both set",
        ),
        (SASL | kafka(oauth_token_file="t"), 'for a token set it to "OAUTHBEARER"'),
        (OAUTH, "kafka.oauth_token_file and kafka.oauth_token_url are not set"),
        (
            OAUTH | kafka(oauth_token_file="t", oauth_token_url="https://a/t"),
            "kafka.oauth_token_file and kafka.oauth_token_url are both set",
        ),
        (OAUTH | kafka(oauth_token_url="https://a/t"), "kafka.oauth_client_id is not set"),
        (OAUTH | kafka(oauth_token_url="https://a/t"), "kafka.oauth_client_secret_file (or kafka."),
        (OAUTH | kafka(oauth_token_file="t", sasl_username="me"), "sasl_username has no effect"),
        (OAUTH | kafka(oauth_token_file="t", oauth_scope="s"), "the token is read from a file"),
        (OAUTH | kafka(oauth_token_url="ftp://a/t"), "it must be an address beginning with https"),
        (kafka(security_protocol="SSL", ssl_key_file="k"), "without kafka.ssl_certificate_file"),
        (kafka(security_protocol="TLS"), 'it must be one of "PLAINTEXT", "SASL_PLAINTEXT"'),
        (SASL | kafka(sasl_mechanism="GSSAPI"), 'one of "OAUTHBEARER", "PLAIN", "SCRAM-SHA-256"'),
    ],
)
def test_what_does_not_go_together_is_told_by_name(variables: dict[str, str], sentence: str):
    with pytest.raises(ConfigurationError) as caught:
        load(None, variables)
    assert sentence in str(caught.value)


def test_a_secret_may_stand_in_a_file_and_is_read_anew_each_time(tmp_path: Path):
    path = tmp_path / "password"
    variables = SASL | kafka(sasl_username="me", sasl_password_file=str(path))
    settings = load_settings(None, variables)
    for password in ("first", "second with spaces "):
        path.write_text(f"{password}\n", "utf-8")
        assert client_options(settings.kafka)["sasl_plain_password"] == password


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "kafka.sasl_password_file: cannot read password: No such file or directory"),
        (b"", "kafka.sasl_password_file: password is empty"),
        (b"\n", "password is empty"),
        (b"\xff\xfe", "password is not UTF-8 text"),
        (b"x" * 70_000, "password is larger than 65536 bytes"),
    ],
)
def test_a_file_without_a_secret_is_told_by_the_setting(content: bytes | None, sentence: str):
    if content is not None:
        Path("password").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_secret("kafka.sasl_password", Secret(), "password")
    assert sentence in str(caught.value)
    assert "xxx" not in str(caught.value)


def test_a_secret_is_the_same_for_who_may_have_it_and_hidden_from_the_rest():
    secret = Secret("canary")
    assert secret.reveal() == "canary"
    assert secret == Secret("canary")
    assert secret != Secret("other")
    assert secret != "canary"
    assert pickle.loads(pickle.dumps(secret)) == secret  # noqa: S301 - our own
    settings = Settings(kafka=KafkaSettings(sasl_password=secret))
    for text in (str(secret), repr(secret), f"{secret:}", repr(settings), str([secret])):
        assert "canary" not in text


def test_the_printed_configuration_says_that_secrets_are_set_and_not_what_they_are():
    variables = {
        **SASL,
        **kafka(sasl_username="me", ssl_certificate_file="c"),
        "FORESHOCK_KAFKA__SASL_PASSWORD": CANARIES["FORESHOCK_KAFKA__SASL_PASSWORD"],
        "FORESHOCK_KAFKA__SSL_KEY_PASSWORD": CANARIES["FORESHOCK_KAFKA__SSL_KEY_PASSWORD"],
    }
    text = effective(load(None, variables))
    assert "canary" not in text
    assert "# sasl_password is set; its value is hidden" in text
    assert "FORESHOCK_KAFKA__SASL_PASSWORD" in text
    assert 'oauth_client_secret = ""' in text


def test_the_fingerprint_of_the_settings_is_made_without_secrets():
    with_secret = Settings(kafka=KafkaSettings(sasl_password=Secret("canary")))
    assert settings_hash(with_secret) == settings_hash(Settings())


@pytest.mark.parametrize(
    "toml",
    [
        "[kafka]\nsasl_password = 20261124",  # not text
        "[kafka]\nsasl_password = ['20261124']",
        "[kafka]\nsasl_pasword = '20261124'",  # misspelt
        "[kafka]\nsasl_password = '20261124",  # not TOML
        "[kafka]\nsasl_password = '20261124'\n[http]\nport = -1",  # an error elsewhere
        "[kafka]\noauth_token_url = 'https://me:20261124@a/t'",  # where no secret belongs
        "[kafka.sasl_password]\nvalue = '20261124'",
    ],
)
def test_what_is_wrong_with_a_secret_is_told_without_it(toml: str):
    Path("foreshock.toml").write_text(toml, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(None, {})
    assert "20261124" not in str(caught.value)


@pytest.mark.parametrize("command", ["check-config", "topics", "run"])
def test_no_command_tells_a_secret_whatever_goes_wrong(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    variables = CANARIES | SASL | kafka(sasl_username="me", bootstrap_servers="127.0.0.1:1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main([command]) == 2
    said = capsys.readouterr()
    assert "kafka.oauth_client_secret has no effect" in said.err
    assert "canary" not in said.out + said.err


def test_certificates_are_always_verified_with_the_name():
    options = client_options(load_settings(None, kafka(security_protocol="SSL")).kafka)
    context = options["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    assert context.minimum_version.name in {"TLSv1_2", "TLSv1_3"}
