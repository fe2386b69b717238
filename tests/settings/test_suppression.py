"""Overrides and maintenance windows from the file to what comes out."""

import json
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from detectors.incidents.suppression import WEEK_NS, Override
from service.cli.main import main
from service.errors import ConfigurationError
from service.kafka.counters import ConsumerCounters
from service.outputs.publisher import Published
from service.settings.assembly import parameters, suppression
from service.settings.load import effective, load, load_settings
from service.settings.types import Settings, settings_hash
from service.web.metrics import ForeshockCollector
from service.web.view import View

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000
MONDAY = 1_767_571_200 * SECOND  # 2026-01-05T00:00:00Z
HOUR = 3_600 * SECOND
DAY = 24 * HOUR

BOTH = """
[[overrides]]
symbols = ["DOGE-*", "SHIB-PERP"]
detectors = ["thin_book"]
min_relative_deviation = 0.5
only = "fall"

[[overrides]]
symbols = ["BTC-PERP"]
false_alarms_per_day = 3

[[maintenance]]
symbols = ["*"]
reason = 'the "big" upgrade'
from = 2026-01-05T01:00:00+01:00
until = "2026-01-05T02:00:00Z"

[[maintenance]]
symbols = ["BTC-*"]
detectors = ["cancel_burst", "thin_book"]
reason = "weekly restart"
days = ["sat", "sun"]
start = "23:30"
minutes = 90
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def loaded(toml: str):
    Path("foreshock.toml").write_text(toml, "utf-8")
    return load(None, {})


def errors(toml: str, variables: dict[str, str] | None = None):
    Path("foreshock.toml").write_text(toml, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(None, variables or {})
    return str(caught.value)


def test_a_file_gives_rules_and_windows():
    its = parameters(loaded(BOTH).settings).suppression
    assert its.overrides == (
        Override(
            symbols=("DOGE-*", "SHIB-PERP"),
            detectors=("thin_book",),
            min_relative_deviation=0.5,
            only="fall",
        ),
        Override(symbols=("BTC-PERP",), false_alarms_per_day=3.0),
    )
    once, weekly = its.windows
    assert (once.begins_ns, once.length_ns, once.weekly) == ((MONDAY,), 2 * HOUR, False)
    assert (weekly.symbols, weekly.detectors) == (("BTC-*",), ("cancel_burst", "thin_book"))
    assert weekly.weekly


def test_a_weekly_window_is_on_the_days_that_it_names():
    (_, weekly) = suppression(loaded(BOTH).settings).windows
    for week in (-3, 0, 40):
        saturday = MONDAY + week * WEEK_NS + 5 * DAY
        begin, end = saturday + DAY - HOUR // 2, saturday + DAY + HOUR
        for shift in (0, DAY):  # and Sunday, into the next week
            covered = [weekly.covers(at + shift) for at in (begin - 1, begin, end - 1, end)]
            assert covered == [False, True, True, False]
        assert not weekly.covers(begin - DAY)


ZONED = """
[[maintenance]]
symbols = ["*"]
reason = "restart"
days = ["sun"]
start = "01:30"
minutes = 120
time_zone = "Europe/Berlin"
"""


@pytest.mark.parametrize(
    ("begins", "offset_hours"),
    [
        ("2026-01-11T01:30", 1),  # winter
        ("2026-07-12T01:30", 2),  # summer
        ("2026-03-29T01:30", 1),  # the clocks go forward while it lasts
        ("2026-10-25T01:30", 2),  # and back
    ],
)
def test_a_weekly_window_follows_its_time_zone(begins, offset_hours):
    (window,) = suppression(loaded(ZONED).settings).windows
    local = datetime.fromisoformat(begins + "+00:00")
    begin = int(local.timestamp()) * SECOND - offset_hours * HOUR
    covered = [window.covers(at) for at in (begin - 1, begin, begin + 2 * HOUR - 1)]
    assert covered == [False, True, True]
    assert not window.covers(begin + 2 * HOUR)
    assert not window.covers(begin + DAY)


def test_a_window_whose_begin_the_clocks_skip_begins_at_the_change():
    (window,) = suppression(loaded(ZONED.replace("01:30", "02:30")).settings).windows
    change = int(datetime.fromisoformat("2026-03-29T01:00+00:00").timestamp()) * SECOND
    assert [window.covers(at) for at in (change - 1, change)] == [False, True]


def test_without_them_nothing_is_suppressed():
    assert parameters(load_settings(None, {})).suppression.overrides == ()
    assert loaded("overrides = []\nmaintenance = []\n").settings == Settings()


WINDOW = '[[maintenance]]\nsymbols = ["*"]\nreason = "x"\n'
RULE = '[[overrides]]\nsymbols = ["*"]\n'
ONCE = "from = 2026-01-05T01:00:00Z\n"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            RULE,
            (
                "overrides[0]: it sets nothing; set min_relative_deviation, only "
                "or false_alarms_per_day"
            ),
        ),
        (
            RULE + 'only = "up"',
            'overrides[0].only = "up": it must be one of "either", "fall", "rise"',
        ),
        (
            RULE + "min_relative_deviation = -0.1",
            "overrides[0].min_relative_deviation = -0.1: it must be a number from 0 to 1000",
        ),
        (RULE + "min_relative_deviation = nan", "it must be a number from 0 to 1000"),
        (RULE + "false_alarms_per_day = true", "it must be a number from 0.001 to 1000"),
        (
            RULE + 'false_alarms_per_day = 2\ndetectors = ["thin_book"]',
            "overrides[0].false_alarms_per_day: all detectors of a symbol share its budget",
        ),
        (
            RULE + 'only = "rise"\n' + RULE + 'only = "rise"\ndetector = ["thin_book"]',
            ("overrides[1].detector: unknown setting; did you mean overrides[1].detectors?"),
        ),
        (RULE + "colour = 1", "unknown setting; it has symbols, detectors, min_rel"),
        (
            '[[overrides]]\nonly = "rise"',
            "overrides[0].symbols: it is missing; it must be a list of symbols",
        ),
        (
            '[[overrides]]\nsymbols = [""]\nonly = "rise"',
            'overrides[0].symbols = [""]: it must be a list of symbols or pattern',
        ),
        (
            '[[overrides]]\nsymbols = []\nonly = "rise"',
            "overrides[0].symbols = []",
        ),
        (
            '[[overrides]]\nsymbols = "BTC-*"\nonly = "rise"',
            'overrides[0].symbols = "BTC-*": it must be a list of symbols',
        ),
        (
            RULE + 'only = "rise"\ndetectors = ["thin_bok"]',
            'overrides[0].detectors: unknown detector "thin_bok"; did you mean "thin_book"?',
        ),
        (
            WINDOW + ONCE + 'until = 2026-01-06T00:00:00Z\ndetectors = ["zzz"]',
            'unknown detector "zzz"; there are cancel_burst, leverage_jump, thin_book',
        ),
        (RULE + 'only = "rise"\ndetectors = []', "leave it out for all"),
        *(
            (
                RULE + f'only = "rise"\ndetectors = ["thin_book", "{name}"]',
                (
                    f'overrides[0].detectors: "{name}" compares nothing with what is usual, so an '
                    "override cannot change it; hold it back with [[maintenance]]"
                ),
            )
            for name in ("feed_integrity", "cascade", "contagion")
        ),
        (
            "[overrides]\nsymbols = ['*']\nonly = 'rise'",
            "overrides: it must be a list of tables; write [[overrides]] above each",
        ),
        ("maintenance = 'never'", "it must be a list of tables; write [[maintenance]] above each"),
        (
            '[[maintenance]]\nsymbols = ["*"]\n' + ONCE + "until = 2026-01-06T00:00:00Z",
            "maintenance[0].reason: it is missing; it must be text of 1 to 200",
        ),
        (
            WINDOW,
            "maintenance[0]: it has no time; set from and until, or days, start and minutes",
        ),
        (
            WINDOW + ONCE + 'days = ["mon"]',
            (
                "maintenance[0]: it has both from and days; a window is either one-time "
                "(from, until) or weekly (days, start, minutes)"
            ),
        ),
        (
            WINDOW + ONCE,
            "maintenance[0].until: it is missing; a one-time window needs from, until",
        ),
        (
            WINDOW + 'days = ["mon"]\nstart = "00:00"',
            ("maintenance[0].minutes: it is missing; a weekly window needs days, start, minutes"),
        ),
        (
            WINDOW + ONCE + "until = 2026-01-05T02:00:00+01:00",
            (
                "maintenance[0].until = 2026-01-05T02:00:00+01:00: it must be after "
                "from = 2026-01-05T01:00:00+00:00"
            ),
        ),
        (
            WINDOW + "from = 2026-01-05T01:00:00\nuntil = 2026-01-06T00:00:00Z",
            (
                "maintenance[0].from = 2026-01-05T01:00:00: it must be a time with "
                "its offset, such as 2026-03-07T22:00:00Z"
            ),
        ),
        (WINDOW + "from = 'soon'\nuntil = 2026-01-06", "maintenance[0].until = 2026-01-06: "),
        (
            WINDOW + 'days = ["Sat"]\nstart = "24:00"\nminutes = 0',
            'maintenance[0].days = ["Sat"]: it must be a list of days out of',
        ),
        (
            WINDOW + 'days = ["mon"]\nstart = "01:00"\nminutes = 5\ntime_zone = "Europe/Berlim"',
            'time_zone = "Europe/Berlim": no such time zone; did you mean "Europe/Berlin"?',
        ),
        (
            WINDOW + ONCE + 'until = 2026-01-05T02:00:00Z\ntime_zone = "Europe/Berlin"',
            "maintenance[0].time_zone: from and until have an offset of their own",
        ),
        (
            WINDOW + 'days = ["sat"]\nstart = "24:00"\nminutes = 60',
            'maintenance[0].start = "24:00": it must be a time of day',
        ),
        (
            WINDOW + 'days = ["sat"]\nstart = "23:00"\nminutes = 10081',
            "it must be a whole number from 1 to 10080",
        ),
    ],
)
def test_what_is_wrong_in_an_entry_is_named_with_what_is_right(toml: str, sentence: str):
    assert sentence in errors(toml).replace(" (foreshock.toml)", "")


def test_an_error_says_in_which_file_the_entry_is():
    assert 'overrides[0].only = "up" (foreshock.toml): it must be' in errors(RULE + 'only = "up"')


def test_all_entries_errors_are_told_at_once_beside_the_others():
    text = errors("[http]\nport = -1\n" + RULE + WINDOW + 'days = ["Sat"]\nstart = "1:00"\n')
    assert text.startswith("4 errors in the configuration:\n")


@pytest.mark.parametrize(
    "name", ["FORESHOCK_MAINTENANCE", "FORESHOCK_MAINTENANCE__0__REASON", "FORESHOCK_OVERRIDES"]
)
def test_a_variable_does_not_reach_into_a_list_and_says_so(name: str):
    text = errors("", {name: "x"})
    assert f"{name}: " in text
    assert "is a list of tables; set it in a file, as [[" in text


def test_the_effective_settings_are_a_file_that_gives_the_same_lists():
    first = loaded(BOTH)
    printed = effective(first)
    assert "[[maintenance]] # foreshock.toml" in printed
    Path("again.toml").write_text(printed, "utf-8")
    assert load_settings(Path("again.toml"), {}) == first.settings
    assert suppression(load_settings(Path("again.toml"), {})) == suppression(first.settings)


def test_check_config_shows_them(capsys: pytest.CaptureFixture[str]):
    Path("foreshock.toml").write_text(BOTH, "utf-8")
    assert main(["check-config"]) == 0
    tables = tomllib.loads(capsys.readouterr().out)
    assert [entry["reason"] for entry in tables["maintenance"]] == [
        'the "big" upgrade',
        "weekly restart",
    ]
    assert tables["overrides"][1] == {"symbols": ["BTC-PERP"], "false_alarms_per_day": 3.0}


def test_what_was_learned_outlives_a_change_of_them():
    assert settings_hash(loaded(BOTH).settings) == settings_hash(Settings())


# From a simulated burst of cancels to what comes out.


@pytest.fixture(scope="module")
def burst(tmp_path_factory: pytest.TempPathFactory):
    """Half an hour from midnight on a Thursday; makers leave for two minutes at 00:15."""
    directory = tmp_path_factory.mktemp("burst")
    scenario = ["--scenario", "cancel_burst", "--seed", "1", "--symbols", "1"]
    assert main(["simulate", str(directory), *scenario, "--duration", "1800"]) == 0
    return directory


def replay(directory: Path, toml: str):
    Path("replay.toml").write_text(toml, "utf-8")
    arguments = ["--config", "replay.toml", "--alerts", "alerts", "--signals", "signals"]
    assert main(["replay", str(directory), *arguments, "--summary", "summary", "--quiet"]) == 0
    alerts, signals = (
        [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]
        for name in ("alerts", "signals")
    )
    return alerts, signals, json.loads(Path("summary").read_text("utf-8"))


def alarms(signals: list[dict]):
    """Each alarm on the signals topic: when, whose, and why it was suppressed."""
    return [
        (signal["ts_event"], name, reading["suppressed"])
        for signal in signals
        for name, reading in signal["detectors"].items()
        if reading["alarm"]
    ]


@pytest.mark.parametrize(
    "when",
    [
        'days = ["thu"]\nstart = "00:00"\nminutes = 30',
        'days = ["wed"]\nstart = "23:50"\nminutes = 40',
        'from = 2026-01-01T00:00:00Z\nuntil = "2026-01-01T02:30:00+02:00"',
    ],
)
def test_in_a_window_a_burst_is_no_alert_and_its_signals_are_marked(burst: Path, when: str):
    plain_alerts, plain_signals, plain_summary = replay(burst, "")
    assert plain_alerts, "the burst must be an alert without the window"
    assert plain_summary["suppressed_alarms"] == []
    alerts, signals, summary = replay(
        burst, f'[[maintenance]]\nsymbols = ["BTC-*"]\nreason = "planned upgrade"\n{when}'
    )
    assert alerts == []
    marked = alarms(signals)
    assert {why for *_, why in marked} == {"maintenance: planned upgrade"}
    assert [alarm[:2] for alarm in marked] == [alarm[:2] for alarm in alarms(plain_signals)]
    assert {s["reason_kind"] for s in summary["suppressed_alarms"]} == {"maintenance"}
    assert sum(s["count"] for s in summary["suppressed_alarms"]) == len(marked)
    assert summary["incidents"] == []


def test_another_symbols_or_weeks_or_days_window_changes_nothing(burst: Path):
    elsewhere = ['symbols = ["ETH-*"]\ndays = ["thu"]', 'symbols = ["*"]\ndays = ["fri", "wed"]']
    toml = "".join(
        f'[[maintenance]]\nreason = "x"\nstart = "00:00"\nminutes = 30\n{its}\n'
        for its in elsewhere
    )
    toml += (
        '[[maintenance]]\nreason = "x"\nsymbols = ["*"]\n' + ONCE + "until = 2026-01-08T01:00:00Z"
    )
    assert replay(burst, toml)[:2] == replay(burst, "")[:2]


def test_only_what_a_rule_lets_through_is_an_alert(burst: Path):
    # The larger budget brings alarms of either direction.
    toml = '[[overrides]]\nsymbols = ["*"]\nonly = "rise"\nfalse_alarms_per_day = 500\n'
    alerts, signals, summary = replay(burst, toml)
    let_through = {at for at, _, why in alarms(signals) if why is None}
    assert {why for *_, why in alarms(signals)} == {None, "not a rise"}
    # Later records of an incident tell of the market, with or without an alarm in their bar.
    opened = [a for a in alerts if a["reason"] == "opened"]
    assert {a["ts_event"] for a in opened} <= let_through
    assert {a["alert_id"] for a in alerts} == {a["alert_id"] for a in opened}
    assert {s["reason_kind"] for s in summary["suppressed_alarms"]} == {"direction"}


def test_a_symbols_own_budget_is_the_one_that_its_alarms_are_held_to(burst: Path):
    toml = '[[overrides]]\nsymbols = ["BTC-*"]\nfalse_alarms_per_day = 500\n'
    _, signals, summary = replay(burst, toml)
    assert summary["false_alarms_per_day"] == 500.0
    assert len(alarms(signals)) > len(alarms(replay(burst, "")[1]))


def test_a_replays_summary_tells_a_person_how_many_were_suppressed(
    burst: Path, capsys: pytest.CaptureFixture[str]
):
    Path("foreshock.toml").write_text(
        WINDOW + 'days = ["thu"]\nstart = "00:00"\nminutes = 30\n', "utf-8"
    )
    assert main(["replay", str(burst)]) == 0
    printed = capsys.readouterr().out
    assert "suppressed alarms" in printed
    assert "thin_book maintenance" in printed


def test_suppressed_alarms_are_counted_by_detector_and_kind_from_the_start():
    counters = ConsumerCounters()
    counters.tally.market.suppressed_alarms["thin_book", "maintenance"] = 7
    view = View(counters, Published(), {}, {}, connected=True)
    registry = CollectorRegistry()
    registry.register(ForeshockCollector(Settings(), lambda: view))
    text = generate_latest(registry).decode()
    name = "foreshock_suppressed_alarms_total"
    assert f'{name}{{detector="thin_book",reason_kind="maintenance"}} 7.0' in text
    assert f'{name}{{detector="cancel_burst",reason_kind="direction"}} 0.0' in text
    assert f'{name}{{detector="cancel_burst",reason_kind="min_relative_deviation"}} 0.0' in text


# What the documentation says.


def test_the_examples_are_valid():
    example = (ROOT / "foreshock.example.toml").read_text("utf-8")
    _, begin, lists = example.partition("# [[overrides]]")
    commented = [line for line in (begin + lists).splitlines() if not line.endswith(":")]
    entries = [line.removeprefix("#").removeprefix(" ") for line in commented]
    settings = loaded("\n".join(entries)).settings
    assert settings.overrides
    assert {entry.days is None for entry in settings.maintenance} == {True, False}
