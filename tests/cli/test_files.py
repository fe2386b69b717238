"""Files that cannot be read or written: each command says which, and what to do."""

import gzip
import shutil
import subprocess
import sys
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


@pytest.mark.parametrize("command", ["check-config", "asyncapi"])
def test_a_full_disk_behind_standard_output_is_a_sentence(command: str):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "service", command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "foreshock: cannot write the output: No space left on device\n"
