"""Settings: where they come from, what is refused, and that the documentation is true."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from service.describe import expected
from service.errors import ConfigurationError
from service.settings.load import effective, known_settings, load, load_settings, variable
from service.settings.secrets import encode_hidden
from service.settings.types import LimitSettings, Settings, TimeSettings, settings_hash

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def errors(toml: str = "", variables: dict[str, str] | None = None):
    Path("foreshock.toml").write_text(toml, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(None, variables or {})
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_without_a_file_everything_has_its_default():
    assert load_settings(None, {}) == Settings()


def test_a_file_gives_settings_and_leaves_the_rest():
    Path("mine.toml").write_text("[http]\nport = 9000\n[time]\nbar_seconds = 2\n", "utf-8")
    settings = load_settings(Path("mine.toml"), {})
    assert (settings.http.port, settings.time.bar_seconds) == (9000, 2.0)
    assert settings.kafka == Settings().kafka


def test_variables_win_over_the_file_and_are_read_as_the_settings_type():
    Path("foreshock.toml").write_text("[http]\nport = 9000\nhost = '::1'\n", "utf-8")
    settings = load_settings(
        None,
        {
            "FORESHOCK_HTTP__PORT": "9001",
            "FORESHOCK_DETECTION__FALSE_ALARMS_PER_DAY": "0.5",
            "FORESHOCK_TOPICS__MARGINS": "",
            "FORESHOCK_WIRE__FIELDS__ORDERS__ORDER_ID": "oid",
            "PATH": "/bin",
        },
    )
    assert (settings.http.port, settings.http.host) == (9001, "::1")
    assert settings.detection.false_alarms_per_day == 0.5
    assert settings.topics.margins == ""
    assert settings.wire.fields.orders == {"order_id": "oid"}


def test_the_file_is_the_one_asked_for_first(tmp_path: Path):
    for number, name in enumerate(["given", "named", "foreshock"], 1):
        (tmp_path / f"{name}.toml").write_text(f"[http]\nport = {number}\n", "utf-8")
    named = {"FORESHOCK_CONFIG": str(tmp_path / "named.toml")}
    assert load_settings(tmp_path / "given.toml", named).http.port == 1
    assert load_settings(None, named).http.port == 2
    assert load_settings(None, {}).http.port == 3


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "[http]\nprot = 1",
            "http.prot (foreshock.toml): unknown setting; did you mean http.port?",
        ),
        (
            "[http]\nport = 99999",
            "http.port = 99999 (foreshock.toml): it must be a whole number from 0 to 65535",
        ),
        ("[http]\nport = '80'", 'http.port = "80" (foreshock.toml): it must be a whole number'),
        ("[http]\nport = true", "http.port = true (foreshock.toml): it must be a whole number"),
        ("[time]\nbar_seconds = nan", "time.bar_seconds = nan (foreshock.toml): it must be"),
        ("[time]\nbar_seconds = 0", "it must be a number from 0.1 to 60"),
        ("[kafka]\nstart = 'now'", 'must be one of "earliest", "latest", "warmup"'),
        ("[kafka]\nbootstrap_servers = 'kafka'", "it must be host:port"),
        ("[kafka]\nbootstrap_servers = ['kafka:9092']", "it must be host:port"),
        ("[topics]\norders = ''", 'topics.orders = "" (foreshock.toml): it must be a topic name'),
        ("[topics]\ntrades = 'a b'", "it must be a topic name"),
        ("kafka = 5", "kafka (foreshock.toml): it is a section; set one of its settings"),
        (
            "colour = 5",
            "colour (foreshock.toml): unknown setting; the sections are kafka,",
        ),
        ("[colour]", "colour (foreshock.toml): unknown setting"),
        ("[log]\ncolour = 5", "unknown setting; log has level, format"),
        ("[wire.fields.orders]\noder_id = 'x'", "did you mean wire.fields.orders.order_id?"),
        ("[wire.fields.orders]\nprice = 'a.b'", "nested fields are not read"),
        ("[wire.fields.orders]\nprice = ''", "it must be the name of a top-level field"),
        (
            "[wire.fields.orders]\nprice = 'quantity'",
            'price and quantity are mapped to the same field "quantity"',
        ),
        (
            "[outputs]\nalerts = 'market.orders'",
            'outputs.alerts = "market.orders": topics.orders has the same topic',
        ),
        ("[time]\nbar_seconds = 60", "detection.warmup_bars x time.bar_seconds = 14400 seconds"),
        ("[alertmanager]\nurls = 'alertmanager:9093'", "it must be http://host:port or https://"),
        (
            "[alertmanager]\nurls = 'http://me:secret@alertmanager:9093'",
            "user and password have settings of their own",
        ),
        ("[alertmanager]\nlabels = 'venue'", "it must be name=value, several separated by commas"),
        (
            "[alertmanager]\nlabels = 'venue=north,severity=none'",
            "severity is a reserved label",
        ),
        (
            "[alertmanager]\nusername = 'me'",
            'alertmanager.username = "me": set both alertmanager.username and',
        ),
        ("[http\n", "foreshock.toml is not valid TOML: "),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_what_is_right(toml: str, sentence: str):
    assert sentence in errors(toml)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "FORESHOCK_HTTP__PORT",
            "many",
            'FORESHOCK_HTTP__PORT = "many": it must be a whole number',
        ),
        ("FORESHOCK_HTTP__PORT", "", 'FORESHOCK_HTTP__PORT = "": it must be a whole number'),
        ("FORESHOCK_TIME__BAR_SECONDS", "inf", "it must be a number from 0.1 to 60"),
        ("FORESHOCK_HTTP__PROT", "1", "did you mean FORESHOCK_HTTP__PORT?"),
        ("FORESHOCK_HTTP_PORT", "1", "did you mean FORESHOCK_HTTP__PORT?"),
        (
            "FORESHOCK_LOG",
            "x",
            "it is a section; set one of its settings, such as FORESHOCK_LOG__LEVEL",
        ),
    ],
)
def test_what_is_wrong_in_a_variable_is_named_by_the_variable(name: str, value: str, sentence: str):
    assert sentence in errors(variables={name: value})


def test_all_errors_are_told_at_once():
    text = errors("[http]\nport = -1\nprot = 1\n", {"FORESHOCK_LOG__LEVEL": "loud"})
    assert text.startswith("3 errors in the configuration:\n")
    assert len(text.splitlines()) == 4


def test_a_file_that_cannot_be_read_says_who_asked_for_it(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"none\.toml \(from --config\): No such file"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfigurationError, match=r"\(from FORESHOCK_CONFIG\): Is a directory"):
        load(None, {"FORESHOCK_CONFIG": str(tmp_path)})


def test_what_kubernetes_and_the_tests_put_into_the_environment_is_left_alone():
    variables = {
        "FORESHOCK_SERVICE_HOST": "10.0.0.1",
        "FORESHOCK_SERVICE_PORT": "9464",
        "FORESHOCK_SERVICE_PORT_HTTP": "9464",
        "FORESHOCK_PORT": "tcp://10.0.0.1:9464",
        "FORESHOCK_PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "FORESHOCK_PORT_9464_TCP_ADDR": "10.0.0.1",
        "FORESHOCK_METRICS_SERVICE_HOST": "10.0.0.1",
        "FORESHOCK_TEST_KAFKA": "yes",
    }
    assert load_settings(None, variables) == Settings()


def test_the_effective_settings_are_a_file_that_gives_the_same_settings():
    servers = ",".join(f"kafka-{n}.example:9092" for n in range(9))
    loaded = load(
        None,
        {
            "FORESHOCK_KAFKA__BOOTSTRAP_SERVERS": servers,
            "FORESHOCK_WIRE__FIELDS__TRADES__PRICE": 'p"x',
            "FORESHOCK_WIRE__TIME_UNIT": "ms",
        },
    )
    Path("again.toml").write_text(effective(loaded), "utf-8")
    assert load_settings(Path("again.toml"), {}) == loaded.settings


def test_the_effective_settings_say_where_each_is_from():
    Path("foreshock.toml").write_text("[http]\nhost = '::1'\n", "utf-8")
    lines = effective(load(None, {"FORESHOCK_HTTP__PORT": "1"})).splitlines()
    places = dict(line.split(" # ") for line in lines if " # " in line)
    places = {key.split(" = ")[0]: place for key, place in places.items()}
    assert places["host"] == "foreshock.toml"
    assert places["port"] == "FORESHOCK_HTTP__PORT"
    assert places["group_id"] == "default"


def test_the_hash_follows_what_changes_detection_and_nothing_else():
    base = settings_hash(Settings())
    assert re.fullmatch("[0-9a-f]{16}", base)
    tuned = {"FORESHOCK_HTTP__PORT": "1", "FORESHOCK_LIMITS__LABELLED_SYMBOLS": "1"}
    assert settings_hash(load_settings(None, tuned)) == base
    assert settings_hash(Settings(time=TimeSettings(bar_seconds=1))) == base
    for key, value in {
        "FORESHOCK_TIME__MAX_DISORDER_MS": "99",
        "FORESHOCK_DETECTION__WARMUP_BARS": "299",
        "FORESHOCK_LIMITS__ACCOUNTS": "9",
        "FORESHOCK_WIRE__FIELDS__ORDERS__PRICE": "px",
        "FORESHOCK_TOPICS__ORDERS": "o",
    }.items():
        assert settings_hash(load_settings(None, {key: value})) != base
    assert settings_hash(Settings(limits=LimitSettings(symbols=9))) != base


def documented():
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.*?)` \| (.*?) \| (.+?) \|$", text, re.MULTILINE)
    return {key: (default, bounds, meaning) for key, default, bounds, meaning in rows}


def test_the_documentation_lists_exactly_the_settings_with_default_and_range():
    known = {
        key: (
            msgspec.json.encode(setting.default, enc_hook=encode_hidden).decode(),
            expected(setting.type),
        )
        for key, setting in known_settings().items()
        if not key.startswith("wire.fields.")
    }
    assert {key: row[:2] for key, row in documented().items()} == known


def test_the_documentation_lists_exactly_the_fields_that_can_be_mapped():
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z]+)` \| ((?:`[a-z_]+` ?)+) \|$", text, re.MULTILINE)
    listed = [
        f"wire.fields.{stream}.{field}"
        for stream, fields in rows
        for field in re.findall("[a-z_]+", fields)
    ]
    assert listed == [key for key in known_settings() if key.startswith("wire.fields.")]


def test_the_example_file_holds_every_setting_at_its_default():
    path = ROOT / "foreshock.example.toml"
    assert load_settings(path, {}) == Settings()
    tables = tomllib.loads(path.read_text("utf-8"))
    held = {f"{section}.{name}" for section, table in tables.items() for name in table}
    assert held == {key for key in known_settings() if not key.startswith("wire.fields.")}


def test_a_variable_is_named_after_its_key():
    assert variable("kafka.group_id") == "FORESHOCK_KAFKA__GROUP_ID"


@pytest.mark.parametrize("secret", ["?token=canary", "/#canary"])
def test_a_secret_in_the_address_of_an_alertmanager_is_not_shown(secret: str):
    variables = {"FORESHOCK_ALERTMANAGER__URLS": f"http://alerts:9093{secret}"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, variables)
    assert "FORESHOCK_ALERTMANAGER__URLS" in str(caught.value)
    assert "canary" not in str(caught.value)
