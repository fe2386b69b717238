"""Files that cannot be read or written: each command says which, and what to do."""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli.main import main
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short recording."""
    directory = tmp_path_factory.mktemp("recording") / "files"
    simulate_to_directory(
        directory,
        scenario=scenario("calm"),
        seed=1,
        symbols=2,
        duration_seconds=60.0,
        events_per_second=5.0,
    )
    return directory


@pytest.fixture
def copy(recording: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(recording, tmp_path / "copy"))


def complaint(argv: list[str | Path], capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    """Run the command; the one line that it ends with."""
    assert main([str(its) for its in argv]) == code
    said = capsys.readouterr().err.strip()
    assert said.startswith("foreshock: ")
    assert len(said.splitlines()) == 1
    return said


def no_json(orders: Path) -> None:
    orders.write_text(orders.read_text() + "no JSON\n")


def foreign(orders: Path) -> None:
    orders.write_text('{"level": "info"}\n')


def binary(orders: Path) -> None:
    orders.write_bytes(bytes(range(256)) * 10)


def empty(orders: Path) -> None:
    orders.write_text("")


def truncated(orders: Path) -> None:
    packed = gzip.compress(orders.read_bytes())
    orders.with_suffix(".ndjson.gz").write_bytes(packed[: len(packed) // 2])
    orders.unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (no_json, "is not an event of orders: not JSON"),
        (foreign, "line 1 (without blank lines) is not an event of orders: ts_event is missing"),
        (binary, "is not an event of orders"),
        (empty, "has orders on both sides for long enough"),
        (truncated, "orders.ndjson.gz is damaged near byte"),
    ],
)
def test_a_scorecard_of_a_damaged_recording_names_the_file_and_the_line(
    copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    words: str,
):
    damage(copy / "orders.ndjson")
    argv: list[str | Path] = ["scorecard", "--recorded", copy, "--out", tmp_path / "out"]
    said = complaint([*argv, "--seeds", "1"], capsys)
    assert words in said
    assert str(copy) in said


@pytest.mark.parametrize("option", ["--signals", "--summary", "--report"])
def test_a_full_disk_is_told_by_the_option(
    recording: Path, capsys: pytest.CaptureFixture[str], option: str
):
    said = complaint(["replay", recording, "--quiet", option, "/dev/full"], capsys)
    assert f"{option} /dev/full: cannot write: No space left on device; free some space" in said


@pytest.mark.parametrize("option", ["--alerts", "--signals", "--summary", "--report"])
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
):
    nowhere = tmp_path / "nowhere" / "file"
    said = complaint(["replay", recording, option, nowhere], capsys)
    assert f"{option} {nowhere}: cannot write: No such file" in said
    said = complaint(["replay", recording, option, tmp_path], capsys)
    assert "name a file, not a directory" in said


@pytest.mark.parametrize("argv", [["scorecard", "--out", "/dev/full"], ["simulate", "/dev/full"]])
def test_a_directory_that_cannot_be_made_is_told_before_the_work(
    argv: list[str | Path], capsys: pytest.CaptureFixture[str]
):
    said = complaint(argv, capsys)
    assert "/dev/full: cannot write: File exists; name a directory" in said


def test_a_configuration_without_end_is_refused(capsys: pytest.CaptureFixture[str]):
    said = complaint(["check-config", "--config", "/dev/zero"], capsys, code=2)
    assert "/dev/zero is larger than" in said


@pytest.mark.parametrize("command", ["topics", "run", "check-config", "asyncapi", "replay"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[http\n", "is not valid TOML: Expected ']' at the end of a table declaration"),
        (bytes(range(128, 256)), "is not valid TOML"),
        (b'[http]\nport = "all"\n', "http.port"),
        (None, "cannot read the configuration file"),
    ],
)
def test_a_configuration_that_is_none_is_told_by_its_name(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    content: bytes | None,
    words: str,
):
    config = tmp_path / "foreshock.toml"
    if content is None:
        config.mkdir()
    else:
        config.write_bytes(content)
    directory = [str(tmp_path)] if command == "replay" else []
    assert main([command, *directory, "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("foreshock: ")
    assert words in said
    assert str(config) in said


WEB_FILES: dict[str, tuple[bytes | None, str]] = {
    "not there": (None, "No such file"),
    "empty": (b"", "it must have the sections tls_server_config, basic_auth_users or both"),
    "truncated in a section": (
        b"tls_server_config:\n  cert_file: web.crt\n",
        "key_file: it is mis",
    ),
    "truncated in a line": (b'tls_server_config: {cert_file: "we', "is not valid YAML (line 1)"),
    "binary": (bytes(range(256)), "is not UTF-8 text"),
    "another file": (b"groups:\n- name: a\n", "groups: it is not supported; there are tls_ser"),
}


@pytest.mark.parametrize("kind", WEB_FILES)
def test_a_web_configuration_that_is_none_is_told_by_its_setting(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    content, words = WEB_FILES[kind]
    web = tmp_path / "web.yml"
    if content is not None:
        web.write_bytes(content)
    monkeypatch.setenv("FORESHOCK_HTTP__WEB_CONFIG_FILE", str(web))
    assert main(["check-config", "--config", "/dev/null"]) == 2
    said = capsys.readouterr().err
    assert "foreshock: http.web_config_file: " in said
    assert str(web) in said
    assert words in said


def test_the_service_does_not_start_without_its_web_configuration(tmp_path: Path):
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users:\n")
    done = subprocess.run(
        [sys.executable, "-m", "service", "run", "--config", "/dev/null"],
        env={**os.environ, "FORESHOCK_HTTP__WEB_CONFIG_FILE": str(web)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-2:]
    assert last[0].startswith(f"foreshock: http.web_config_file: {web} cannot be used:")
    assert (
        last[1] == "  basic_auth_users: it is empty; complete it, or remove it to serve without it"
    )


def test_a_web_configuration_without_end_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FORESHOCK_HTTP__WEB_CONFIG_FILE", "/dev/zero")
    said = complaint(["check-config", "--config", "/dev/null"], capsys, code=2)
    assert "http.web_config_file: /dev/zero is larger than" in said


def test_a_demo_without_a_place_for_its_log_says_which_variable_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    said = complaint(["demo", "--seconds", "1", "--http-port", "0"], capsys)
    assert "cannot write the demo's log: No such file or directory; name a directory" in said
    assert said.endswith("TMPDIR")


@pytest.mark.parametrize("command", [["check-config"], ["asyncapi"], ["demo", "--seconds", "1"]])
def test_a_full_disk_behind_standard_output_is_a_sentence(command: list[str]):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "service", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "foreshock: cannot write the output: No space left on device\n"
