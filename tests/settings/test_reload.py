"""A configuration that changes while the service runs: applied, told of, or refused."""

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from service.settings.differences import differences
from service.settings.load import known_settings, load_settings
from service.settings.reload import Reloader, Source, applicable
from service.settings.secrets import Secret
from service.settings.types import FieldSettings, KafkaSettings, Settings
from tests.settings.test_load import documented

WINDOW = """[[maintenance]]
symbols = ["BTC-*"]
reason = "upgrade"
days = ["sat"]
start = "23:00"
minutes = 60
"""
BUDGET = "[detection]\nfalse_alarms_per_day = 0.5\n"
RELOADED = {
    "detection.false_alarms_per_day",
    "feed.frozen_seconds",
    "feed.symbol_frozen_seconds",
    "feed.delay_rise_seconds",
    "feed.clock_skew_seconds",
    "market.min_symbols",
    "market.window_seconds",
}


def settings(toml: str, folder: Path, **variables: str) -> Settings:
    path = folder / "settings.toml"
    path.write_text(toml, "utf-8")
    return load_settings(path, variables)


# What can change, and how it is told.


def other(key: str) -> Settings:
    """Settings of which this one alone differs from the default."""
    section, _, name = key.partition(".")
    if key.startswith("wire.fields."):
        _, _, stream, field = key.split(".")
        name, value = "fields", FieldSettings(**{stream: {field: "another"}})
    else:
        value = Secret("another") if known_settings()[key].type is Secret else "another"
    default = Settings()
    return replace(default, **{section: replace(getattr(default, section), **{name: value})})


@pytest.mark.parametrize("key", known_settings())
def test_a_setting_either_changes_or_waits_for_a_restart_and_is_told_by_its_key(key: str):
    wanted = other(key)
    running = applicable(Settings(), wanted)
    changes, waiting = differences(Settings(), running), differences(running, wanted)
    told, none = (changes, waiting) if key in RELOADED else (waiting, changes)
    assert none == []
    assert [line.partition(": ")[0] for line in told] == [key]


def test_the_documentation_marks_what_changes_without_a_restart():
    assert {key for key, row in documented().items() if "(reloaded)" in row[2]} == RELOADED


def test_entries_are_told_by_their_place_with_what_they_were_and_become(tmp_path: Path):
    before = settings(WINDOW, tmp_path)
    quieter = '[[overrides]]\nsymbols = ["*"]\nonly = "rise"\n'
    after = settings(quieter + WINDOW.replace("60", "90") + WINDOW, tmp_path)
    window = '{symbols = ["BTC-*"], reason = "upgrade", days = ["sat"], start = "23:00", minutes = '
    assert differences(before, after) == [
        'overrides[0]: none -> {symbols = ["*"], only = "rise"}',
        f"maintenance[0]: none -> {window}90}}",
    ]
    assert differences(after, before)[1] == f"maintenance[0]: {window}90}} -> none"
    changed = settings(WINDOW.replace("60", "90"), tmp_path)
    assert differences(before, changed) == [f"maintenance[0]: {window}60}} -> {window}90}}"]


def test_secrets_are_not_told():
    before, after = (
        Settings(kafka=KafkaSettings(sasl_password=Secret(word))) for word in ("tiger", "lion")
    )
    assert differences(before, after) == ["kafka.sasl_password: (secret) -> (secret)"]
    assert differences(Settings(), after) == ['kafka.sasl_password: "" -> (secret)']


def test_a_mapped_field_waits(tmp_path: Path):
    mapped = settings('[wire.fields.orders]\nprice = "px"\n', tmp_path)
    assert differences(Settings(), mapped) == ['wire.fields.orders.price: none -> "px"']
    assert applicable(Settings(), mapped) == Settings()


# A running reloader and a file.


class Running:
    """A reloader at work on a file, and what came of it."""

    def __init__(self, path: Path | None, **variables: str) -> None:
        source = Source(path, variables)
        self.reloader = Reloader(load_settings(path, variables), source)
        self.applied: list[Settings] = []

    async def apply(self, its: Settings) -> None:
        self.applied.append(its)

    def metric(self, name: str) -> float:
        registry = CollectorRegistry()
        registry.register(self.reloader)
        value = registry.get_sample_value(f"foreshock_config_{name}")
        assert value is not None
        return value


WATCHING = "[reload]\nwatch_seconds = 0.01\n"


@asynccontextmanager
async def running(path: Path | None, **variables: str):
    its = Running(path, **variables)
    task = asyncio.create_task(its.reloader.run(its.apply))
    with capture_logs() as logs:
        its.logs = logs
        try:
            yield its
        finally:
            assert not task.done()
            task.cancel()


def write(path: Path, content: str | bytes | None) -> None:
    """Write a file, or remove it."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def told(its: Running, event: str) -> dict:
    """Wait for a line of the log."""
    await until(lambda: any(event in line["event"] for line in its.logs))
    return next(line for line in its.logs if event in line["event"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "foreshock.toml"
    write(path, WATCHING)
    return path


async def test_a_changed_file_is_applied_and_told(path: Path):
    async with running(path) as its:
        write(path, WATCHING + BUDGET)
        line = await told(its, "configuration reloaded")
    assert line["changes"] == ["detection.false_alarms_per_day: 1.0 -> 0.5"]
    assert line["file"] == str(path)
    assert [s.detection.false_alarms_per_day for s in its.applied] == [0.5]
    assert its.metric("last_reload_successful") == 1


async def test_a_file_that_was_replaced_is_read_whatever_its_time_says(path: Path):
    other = path.with_name("other")
    write(other, WATCHING + BUDGET)
    shutil.copystat(path, other)
    async with running(path) as its:
        other.replace(path)
        await until(lambda: its.applied)


async def test_kubernetes_way_of_changing_a_mounted_file_is_seen(tmp_path: Path):
    for version, toml in (("..1", WATCHING), ("..2", WATCHING + WINDOW)):
        (tmp_path / version).mkdir()
        write(tmp_path / version / "foreshock.toml", toml)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "foreshock.toml").symlink_to("..data/foreshock.toml")
    async with running(tmp_path / "foreshock.toml") as its:
        await asyncio.sleep(0.05)
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        await until(lambda: its.applied)
    assert [len(s.maintenance) for s in its.applied] == [1]


async def test_a_file_changed_since_it_was_read_at_the_start_is_read_again(path: Path):
    its = Running(path)
    write(path, WATCHING + BUDGET)
    task = asyncio.create_task(its.reloader.run(its.apply))
    await until(lambda: its.applied)
    task.cancel()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (BUDGET + "[http]\nport = -1", "http.port = -1"),
        (BUDGET + WINDOW + "day = 1", "maintenance[0].day"),
        ("[detection", "is not valid TOML"),
        (f"a = {'[' * 100_000}", "cannot read the file: RecursionError"),
        (b"\xff\xfe", "is not valid TOML"),
        (None, "does not exist any more"),
        ("", "there is no setting in"),
        ("# [detection]\n\n", "there is no setting in"),
    ],
)
async def test_a_bad_file_changes_nothing_says_why_and_a_good_one_mends_it(
    path: Path, bad: str | bytes | None, reason: str
):
    async with running(path) as its:
        succeeded_at = its.metric("last_reload_success_timestamp_seconds")
        write(path, bad)
        line = await told(its, "configuration not reloaded")
        assert reason in line["reason"]
        assert line["log_level"] == "error"
        assert its.applied == []
        assert its.metric("last_reload_successful") == 0
        write(path, WATCHING)
        await told(its, "configuration reloaded")
    assert its.applied == []
    assert its.metric("last_reload_successful") == 1
    assert its.metric("last_reload_success_timestamp_seconds") >= succeeded_at
    assert len([line for line in its.logs if "not reloaded" in line["event"]]) == 1


async def test_a_pipe_in_place_of_the_file_is_refused_and_nobody_waits_for_its_writer(path: Path):
    async with running(path) as its:
        pipe = path.with_name("pipe")
        os.mkfifo(pipe)
        pipe.replace(path)
        line = await told(its, "configuration not reloaded")
        assert "is not a regular file" in line["reason"]
    assert its.applied == []


async def test_an_empty_file_is_no_mistake_where_it_changes_nothing(path: Path):
    write(path, "")
    async with running(path, FORESHOCK_RELOAD__WATCH_SECONDS="0.01") as its:
        write(path, "# nothing yet\n")
        its.reloader.ask()
        assert (await told(its, "configuration reloaded"))["changes"] == []


async def test_what_needs_a_restart_is_named_and_the_rest_is_applied(path: Path):
    async with running(path) as its:
        write(path, WATCHING + BUDGET + "[http]\nport = 1\n")
        line = await told(its, "settings need a restart")
        assert line["changes"] == ["http.port: 9464 -> 1"]
        assert line["log_level"] == "warning"
        assert [s.http.port for s in its.applied] == [9464]
        assert its.applied[0].detection.false_alarms_per_day == 0.5
        assert its.metric("restart_required_settings") == 1
        write(path, WATCHING + BUDGET)
        await until(lambda: its.metric("restart_required_settings") == 0)


async def test_a_file_that_says_the_same_is_not_told(path: Path):
    async with running(path) as its:
        write(path, WATCHING + "# the same\n")
        await asyncio.sleep(0.1)
        write(path, WATCHING + BUDGET)
        await until(lambda: its.applied)
    assert [line["event"] for line in its.logs] == ["configuration reloaded"]


async def test_a_variable_still_wins_over_the_file(path: Path):
    async with running(path, FORESHOCK_DETECTION__FALSE_ALARMS_PER_DAY="3") as its:
        write(path, WATCHING + BUDGET + WINDOW)
        await until(lambda: its.applied)
    assert its.applied[0].detection.false_alarms_per_day == 3.0


async def test_without_watching_only_who_asks_has_it_read(path: Path):
    write(path, "[reload]\nwatch_seconds = 0\n")
    async with running(path) as its:
        write(path, "[reload]\nwatch_seconds = 0\n" + BUDGET)
        await asyncio.sleep(0.1)
        assert its.applied == []
        its.reloader.ask()
        await until(lambda: its.applied)
        its.logs.clear()
        its.reloader.ask()
        assert (await told(its, "configuration reloaded"))["changes"] == []


async def test_asking_without_any_file_reads_the_variables_again():
    async with running(None) as its:
        its.reloader.ask()
        assert (await told(its, "configuration reloaded"))["file"] is None
    assert its.applied == []
