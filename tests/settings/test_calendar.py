"""The calendar in the configuration: read, checked, shown, and turned into states."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.settings.assembly import calendar, parameters
from service.settings.load import effective, load, load_settings
from service.settings.types import FieldSettings, Settings, TopicSettings, WireSettings
from service.settings.types import settings_hash as fingerprint

CALENDAR = """
[[calendar]]
symbols = ["ES-*"]
state = "open"
days = ["mon", "tue"]
start = "08:00"
minutes = 540
time_zone = "Europe/Berlin"

[[calendar]]
symbols = ["ES-*"]
state = "auction"
from = 2026-07-06T06:00:00Z
until = 2026-07-06T06:10:00Z

[[calendar]]
symbols = ["BTC-*"]
expiry_in_name = "-%d%b%y"
expiry_time = "08:00"
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def loaded(text: str) -> Settings:
    Path("foreshock.toml").write_text(text, "utf-8")
    return load_settings(Path("foreshock.toml"), {})


def error(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(text)
    return str(caught.value)


def ns(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc,arg-type]


def test_sessions_follow_their_time_zone_and_the_last_entry_decides():
    its = calendar(loaded(CALENDAR)).of("ES-DEC")
    assert its.state(ns(2026, 1, 5, 6, 59)) == "closed"
    assert its.state(ns(2026, 1, 5, 7)) == "open"  # winter time
    assert its.state(ns(2026, 7, 6, 5, 59)) == "closed"
    assert its.state(ns(2026, 7, 6, 6)) == "auction"  # summer time
    assert its.state(ns(2026, 7, 6, 6, 10)) == "open"
    assert its.state(ns(2026, 7, 6, 15)) == "closed"
    assert its.expires_ns is None


def test_an_expiry_is_read_from_the_name():
    its = parameters(loaded(CALENDAR)).calendar.of("BTC-27JUN25-50000-C")
    assert its.expires_ns == ns(2025, 6, 27, 8)
    assert its.state(0) == "open"


def test_the_effective_settings_are_a_file_that_gives_the_same_calendar():
    Path("foreshock.toml").write_text(CALENDAR, "utf-8")
    first = load(Path("foreshock.toml"), {})
    assert loaded(effective(first)) == first.settings


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("", "calendar[0]: it sets nothing; give it state with its times, or expiry_in_name"),
        ('state = "halted"', "calendar[0]: it has no time"),
        ('start = "08:00"', "calendar[0].state: it is missing"),
        ('state = "trading"', 'it must be one of "auction", "closed", "halted", "open"'),
        ('expiry_time = "08:00"', "calendar[0]"),
        ('expiry_in_name = "-%d%b"', 'it must be the date in a symbol\'s name, such as "-%d%b%y"'),
        ('expiry_in_name = "-%d%B%y"', "it must be the date in a symbol's name"),
        ('reason = "holiday"', "calendar[0].reason"),
    ],
)
def test_what_is_wrong_is_said_by_its_name(entry: str, sentence: str):
    text = error(f'[[calendar]]\nsymbols = ["*"]\n{entry}\n')
    assert sentence in text.replace(" (foreshock.toml)", "")


def test_statuses_came_later_and_cost_no_saved_state():
    usual = fingerprint(Settings())
    assert usual == "517e65074a233d87"
    assert fingerprint(Settings(topics=TopicSettings(statuses="venue.states"))) == usual
    mapped = WireSettings(fields=FieldSettings(statuses={"state": "phase"}))
    assert fingerprint(Settings(wire=mapped)) == usual
    assert fingerprint(loaded(CALENDAR)) == usual
