"""Every target of the Makefile is run in a small form, so that none stops working unseen."""

import filecmp
import json
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.cli.main import main
from tests.chromium import require_chromium
from tests.commands.made import MAKEFILE, ROOT, make, recipe, targets
from tests.commands.named import exists

IN_CI = ("check", "test")
"""What ``.ci/run`` runs, complete; the parts of ``check`` with it."""

SMALL = {
    "help": [],
    "demo": ["DEMO_ARGS=--seconds 2 --speed 5 --http-port 0"],
    "simulate": ["SEEDS=1"],
    "growth": ["GROWTH_ARGS=--hours 1 --rate 2 --symbols 2"],
    "flow": ["FLOW_ARGS={recording}"],
    "models": ["MODELS_ARGS=--tiny --out {out}"],
    "fuzz": ["RUNS=40", "FUZZ_ARGS=--folder {out}"],
    "screenshots": ["SCREENSHOTS_ARGS=--out {out} --picture {out}/picture/console.png"],
    "scorecard": [
        "SCORECARD_ARGS=--recorded {recording} --one-episode --scenarios spoofing --out {out}"
    ],
    # The tests behind it are run with all others.
    "alerting": ["TEST_ARGS=--collect-only"],
    # What it starts is tested in tests/deploy/test_kafka.py.
    "kafka": ["KAFKA_ARGS=--help"],
}
"""Target: what to run it with."""

ON_KAFKA = {
    "bench": "BENCH_ARGS",
    "recovery": "RECOVERY_ARGS",
    "burst": "BURST_ARGS",
    "soak": "SOAK_ARGS",
}
"""Measurements on a broker, and the variable of their options."""

GENERATED = {
    "asyncapi": "docs/asyncapi.yaml",
    "kubernetes": "deploy/kubernetes/components/prometheus-operator/prometheusrule.yaml",
    "dashboards": "deploy/grafana/dashboards",
}
"""Targets that write files of the repository, and which."""

ELSEWHERE = {
    "run": "tests/commands/test_make_targets.py::test_make_run_hands_its_options_to_the_service",
    "chaos": "tests/kafka/broker/test_chaos.py"
    "::test_whatever_fails_everything_is_told_and_no_alert_twice",
    "licenses": "tests/commands/test_make_targets.py::test_the_licences_are_written_to_a_file",
    "format": "tests/commands/test_make_targets.py::test_formatting_changes_what_is_not_formatted",
    "clean": "tests/commands/test_make_targets.py::test_cleaning_deletes_what_can_be_made_again",
}
"""Targets that a test of their own runs."""

NOT_HERE = {
    "image": "needs a container engine and a base image from a registry",
    "image-test": "needs the image and a container engine",
    "vulnerabilities": "asks a service for what is known today: no change here decides the answer",
    "lock": "resolves again with what is published today, and rewrites the requirements",
}
"""Targets that no test can run, and why."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the targets need that change files, in another folder."""
    for name in ("deploy", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy2(ROOT / name, tmp_path)
    return tmp_path


def test_every_target_is_run_somewhere_or_says_why_not():
    parts = recipe("check").partition("##")[0].partition(":")[2].split()
    assert parts
    rows = [*IN_CI, *parts, *SMALL, *ON_KAFKA, *GENERATED, *ELSEWHERE, *NOT_HERE]
    assert sorted(rows) == sorted(targets()), "each target has one row in the tables above"


def test_ci_runs_what_it_is_said_to_run():
    script = (ROOT / ".ci" / "run").read_text()
    runs = re.findall(r"^make (\w+)(?: TEST_ARGS=(\"[^\"]*\"|\S+))?", script, re.MULTILINE)
    assert {target for target, _ in runs} == set(IN_CI)
    tests = set()
    for target, arguments in runs:
        if target == "test":
            # How processes share the tests does not change which are run.
            options = arguments.strip('"').split()
            choice = [a for a in options if not a.startswith(("--num", "--dist", "$shared"))]
            tests.add(" ".join(choice))
    assert tests in ({""}, {"tests/kafka", "--ignore=tests/kafka"}), "together they run all"


@pytest.mark.parametrize("target", ELSEWHERE)
def test_the_named_test_is_there_and_runs_the_target(target: str):
    assert f'make("{target}"' in exists(ELSEWHERE[target])


@pytest.mark.parametrize("target", NOT_HERE)
def test_a_target_that_cannot_be_run_here_has_programs_that_are_there(target: str):
    commands = make(target, "--dry-run").stdout
    assert commands
    for path in re.findall(r"(?:^|\s)((?:deploy|tests)/[\w./-]+)", commands):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("target", SMALL)
def test_the_small_form_works(target: str, tmp_path: Path):
    names = {"out": tmp_path / "out", "recording": tmp_path / "recording"}
    if target == "screenshots":
        require_chromium()
    if target == "fuzz":
        pytest.importorskip("atheris", reason="atheris is for Linux on x86-64")
    if any("{recording}" in argument for argument in SMALL[target]):
        size = ["--symbols", "1", "--duration", "900", "--events-per-second", "2"]
        assert main(["simulate", str(names["recording"]), *size]) == 0
    arguments = [argument.format(**names) for argument in SMALL[target]]
    # A browser's socket has a path of at most a hundred characters.
    with tempfile.TemporaryDirectory() as short:
        done = make(target, *arguments, TMPDIR=short)
    assert done.stdout
    if any("{out}" in argument for argument in SMALL[target]):
        assert list(names["out"].iterdir())


def test_one_seed_of_the_simulated_faults_is_shown_with_its_trace():
    assert "seed 3 passed" in make("simulate", "SEED=3").stdout


def test_the_help_names_every_target_with_a_text():
    named = re.findall(r"^  make ([a-z-]+)", make("help").stdout, re.MULTILINE)
    assert named == re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)


@pytest.mark.kafka
def test_the_measurements_on_kafka_work(kafka: str, tmp_path: Path):
    """Side by side: they mostly wait, and their figures mean nothing at this size."""
    options = f"--tiny --kafka {kafka} --out {tmp_path}"

    def measure(target: str) -> None:
        make(target, f"{ON_KAFKA[target]}={options}")
        assert json.loads((tmp_path / f"{target}.json").read_bytes())

    with ThreadPoolExecutor(len(ON_KAFKA)) as threads:
        list(threads.map(measure, ON_KAFKA))
    bench = json.loads((tmp_path / "bench.json").read_bytes())
    assert bench["risk"]["positions"] > 0
    assert bench["risk"]["mean_ms_per_second"] > 0
    assert bench["contagion"]["positions"] > 0
    assert bench["contagion"]["radius"] > 0


@pytest.mark.parametrize("target", GENERATED)
def test_what_is_generated_is_what_is_committed(target: str, copy: Path):
    path = GENERATED[target]
    for file in [copy / path] if (copy / path).is_file() else (copy / path).glob("*.json"):
        file.write_text("")
    make(target, folder=copy)
    if (ROOT / path).is_file():
        assert (copy / path).read_text() == (ROOT / path).read_text()
    else:
        names = [file.name for file in (ROOT / path).glob("*.json")]
        assert filecmp.cmpfiles(ROOT / path, copy / path, names, shallow=False)[0] == names


def test_make_run_hands_its_options_to_the_service(tmp_path: Path):
    config = tmp_path / "wrong.toml"
    config.write_text("[http]\nport = -1\n")
    said = make("run", f"RUN_ARGS=--config {config}", code=2).stderr
    assert "http.port = -1" in said


def test_the_licences_are_written_to_a_file(copy: Path):
    make("licenses", folder=copy)
    assert "| aiokafka " in (copy / "build" / "licenses.md").read_text()


def test_formatting_changes_what_is_not_formatted(copy: Path):
    untidy = copy / "untidy.py"
    untidy.write_text('"""A file."""\nimport os\nprint( "a" )\n')
    make("format", folder=copy, code=2)  # printing is not for ruff to repair
    assert 'print("a")' in untidy.read_text()
    untidy.write_text('"""A file."""\n\nx = [ 1 ]\n')
    make("format", folder=copy)
    assert "x = [1]" in untidy.read_text()


def test_cleaning_deletes_what_can_be_made_again(copy: Path):
    for name in ("build", ".venv", ".kafka", ".mypy_cache"):
        (copy / name).mkdir()
    make("clean", folder=copy)
    assert {path.name for path in copy.iterdir()} >= {"docs", "deploy", "Makefile"}
    assert not {path.name for path in copy.iterdir()} & {"build", ".venv", ".kafka", ".mypy_cache"}
