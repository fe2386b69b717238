"""The command: what it teaches, what it refuses, and how it ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from argparse import Namespace
from pathlib import Path

import pytest

from service import __version__
from service.cli import commands
from service.cli.arguments import parser
from service.cli.main import main
from service.errors import OperatorError
from service.exchange.scenarios.catalogue import SCENARIOS
from service.settings.load import load_settings
from service.settings.types import OutputSettings, TopicSettings

COMMAND = Path(sys.executable).with_name("foreshock")
SUBCOMMANDS = [
    "run", "replay", "whatif", "demo", "simulate", "scorecard", "check-config", "topics",
    "asyncapi", "detectors", "feedback", "review", "audit", "killswitch", "map", "import",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    return capsys.readouterr().err


def help_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*argv, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_the_version_is_the_distributions():
    done = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"foreshock {__version__}\n"


def test_the_help_lists_every_command_and_where_to_start(capsys: pytest.CaptureFixture[str]):
    text = help_of([], capsys)
    assert re.findall(r"^    ([a-z-]+)(?: |$)", text, re.MULTILINE) == SUBCOMMANDS
    assert "start here:" in text
    assert "exit codes:" in text


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_explains_itself_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
):
    text = help_of([name], capsys)
    _, examples = re.split(r"^examples?:$", text, flags=re.MULTILINE)
    commands = re.findall(r"foreshock ([^&>\n]+)", examples)
    assert {command.split()[0] for command in commands} >= {name}
    for command in commands:
        parser().parse_args(shlex.split(command))  # what is shown can be typed
    assert max(map(len, text.splitlines())) < 110


@pytest.mark.parametrize("name", ["demo", "simulate"])
def test_the_help_lists_every_scenario(name: str, capsys: pytest.CaptureFixture[str]):
    text = help_of([name], capsys)
    assert all(f"  {scenario}" in text for scenario in SCENARIOS)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["rum"], "invalid choice: 'rum'"),
        (["replay"], "the following arguments are required: DIR"),
        (["demo", "--scenario", "storm"], "invalid choice: 'storm'"),
        (["demo", "--seconds", "0"], "'0' is not a number above zero"),
        (["demo", "--seconds", "nan"], "'nan' is not a number above zero"),
        (["demo", "--http-port", "65536"], "'65536' is not a port from 0 to 65535"),
        (["simulate", "out", "--symbols", "1.5"], "'1.5' is not a whole number above zero"),
        (["topics", "--create", "--partitions", "0"], "'0' is not a whole number above zero"),
    ],
)
def test_a_wrong_command_line_is_told_what_is_wrong(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert words in usage_error(argv, capsys)


def test_check_config_prints_settings_that_can_be_read_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FORESHOCK_HTTP__PORT", "9000")
    assert main(["check-config"]) == 0
    monkeypatch.delenv("FORESHOCK_HTTP__PORT")
    printed = capsys.readouterr().out
    assert "# FORESHOCK_HTTP__PORT" in printed
    Path("again.toml").write_text(printed, "utf-8")
    assert load_settings(Path("again.toml"), {}).http.port == 9000


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[http]\nweb_config_file = 'none.yml'", "http.web_config_file: cannot read none.yml"),
        (
            "[kafka]\nsecurity_protocol = 'SSL'\nssl_ca_file = 'none.pem'",
            "kafka.ssl_ca_file: cannot read none.pem",
        ),
    ],
)
def test_check_config_reads_the_files_that_the_settings_name(
    toml: str, sentence: str, capsys: pytest.CaptureFixture[str]
):
    Path("foreshock.toml").write_text(toml, "utf-8")
    assert main(["check-config"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", ["check-config", "run", "topics"])
def test_a_wrong_key_is_told_without_a_traceback(name: str, capsys: pytest.CaptureFixture[str]):
    Path("foreshock.toml").write_text("[http]\nprot = 1\n", "utf-8")
    assert main([name]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("foreshock: 1 error in the configuration:\n  http.prot")
    assert said.out == ""


def test_a_failure_is_a_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(_arguments: Namespace) -> int:
        raise OperatorError("the sky fell; wait until it is up again")

    monkeypatch.setattr(commands, "check_config", fail)
    assert main(["check-config"]) == 1
    assert capsys.readouterr().err == "foreshock: the sky fell; wait until it is up again\n"


def test_ctrl_c_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(_arguments: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "check_config", interrupted)
    assert main(["check-config"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_seen_enough_causes_no_traceback():
    pipeline = f"{COMMAND} check-config | true"
    done = subprocess.run(["sh", "-c", pipeline], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_module_is_the_command_too():
    done = subprocess.run(
        [sys.executable, "-m", "service", "check-config", "--config", "none.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "foreshock: cannot read the configuration file none.toml (from --config): "
        "No such file or directory\n"
    )


def test_a_help_text_waits_for_no_heavy_library():
    script = (
        "import sys\n"
        "from service.cli.arguments import parser\n"
        "parser()\n"
        "heavy = {'aiokafka', 'river', 'numpy', 'aiohttp', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_replay_of_a_directory_that_is_not_there(capsys: pytest.CaptureFixture[str]):
    assert main(["replay", "nowhere"]) == 1
    assert "nowhere is not a directory" in capsys.readouterr().err


def test_simulate_writes_streams_and_truth_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    small = ["--symbols", "1", "--duration", "40", "--events-per-second", "5"]
    provoked = ["--scenario", "cancel_burst", "--start", "10", "--length", "20"]
    assert main(["simulate", "out", *small, *provoked]) == 0
    assert "written to out" in capsys.readouterr().out
    orders = (tmp_path / "out/orders.ndjson").read_bytes().splitlines()
    assert all("order_id" in json.loads(line) for line in orders)
    (label,) = (tmp_path / "out/truth.ndjson").read_bytes().splitlines()[:1]
    assert json.loads(label)["ends_at"] - json.loads(label)["starts_at"] == 20_000_000_000
    assert main(["simulate", "out", *small]) == 1
    assert "exists already" in capsys.readouterr().err


def test_simulate_refuses_a_scenario_that_would_never_begin(capsys: pytest.CaptureFixture[str]):
    assert main(["simulate", "out", "--scenario", "cascade", "--duration", "60"]) == 2
    assert "set a longer --duration or an earlier --start" in capsys.readouterr().err
    assert not Path("out").exists()


def test_topics_without_a_broker_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FORESHOCK_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert main(["topics"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("foreshock: no Kafka broker answers at 127.0.0.1:1.")
    assert len(said.err.splitlines()) == 1


def test_topics_partitions_need_create(capsys: pytest.CaptureFixture[str]):
    assert main(["topics", "--partitions", "3"]) == 2
    assert "need --create" in capsys.readouterr().err


@pytest.mark.kafka
def test_topics_tells_what_is_missing_and_creates_it(
    kafka: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    mark = uuid.uuid4().hex[:8]
    monkeypatch.setenv("FORESHOCK_KAFKA__BOOTSTRAP_SERVERS", kafka)
    for section, names in (("TOPICS", TopicSettings), ("OUTPUTS", OutputSettings)):
        for name in names.__struct_fields__:
            monkeypatch.setenv(f"FORESHOCK_{section}__{name.upper()}", f"{name}.{mark}")
    assert main(["topics"]) == 1
    printed = capsys.readouterr().out
    assert f"problem: the topic orders.{mark} (topics.orders) does not exist" in printed
    assert main(["topics", "--create", "--partitions", "3"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [f"snapshots.{mark}", "outputs.snapshots", "3", "compact", "1048588"] in rows
    assert [f"alerts.{mark}", "outputs.alerts", "3", "delete", "400", "days", "1048588"] in rows
    assert main(["topics", "--create"]) == 0
    assert "no topic was missing" in capsys.readouterr().out
    assert main(["topics", "--create", "--partitions", "4"]) == 2
    assert "have 3 partitions" in capsys.readouterr().err


def test_a_hangup_while_the_service_starts_does_not_end_it(tmp_path: Path):
    config = tmp_path / "foreshock.toml"
    os.mkfifo(config)
    starting = subprocess.Popen(
        [sys.executable, "-m", "service", "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
    )
    with config.open("w") as file:  # opened once the service reads it
        starting.send_signal(signal.SIGHUP)
        file.write("[http]\nport = -1\n")
    _, said = starting.communicate(timeout=60)
    assert "http.port = -1" in said
    assert starting.returncode == 2
