"""The jobs that audit a staging environment: they parse, and say what the script understands."""

import os
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings.load import known_settings, variable

CI = Path(__file__).parents[2] / "deploy" / "ci"
SCRIPT = CI / "audit.sh"
GITHUB: dict[Any, Any] = yaml.safe_load((CI / "github.yaml").read_text())
GITLAB: dict[str, Any] = yaml.safe_load((CI / "gitlab.yaml").read_text())


def run(tmp_path: Path, *words: str, code: int = 0, **variables: str) -> tuple[int, list[str]]:
    """Run the script with a `foreshock` that writes its arguments down; return code and these."""
    told = tmp_path / "told"
    command = tmp_path / "foreshock"
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(told))}\nexit {code}\n')
    command.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPT, *words], cwd=tmp_path, env={"PATH": path, **variables}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, told.read_text().splitlines() if told.exists() else [done.stderr]


def test_the_script_audits_the_last_hour_and_ends_as_the_audit_does(tmp_path: Path):
    code, told = run(tmp_path, "venue.toml", code=1)
    assert code == 1
    assert told[:3] == ["audit", "--kafka", "--from"]
    since, until = told[3], told[5]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", since)
    assert since < until
    assert ("--claims", "venue.toml") in pairwise(told)
    assert ("--junit", "audit/audit.xml") in pairwise(told)
    assert (tmp_path / "audit").is_dir()


def test_a_span_and_a_folder_can_be_named_and_claims_must(tmp_path: Path):
    span = {"AUDIT_FROM": "2026-01-31T08:00Z", "AUDIT_TO": "2026-01-31T09:00Z"}
    code, told = run(tmp_path, "venue.toml", "results", **span)
    assert code == 0
    assert told[3:6:2] == list(span.values())
    assert "results/audit.html" in told
    code, told = run(tmp_path, "venue.toml", AUDIT_FROM="")
    assert told[3]  # an empty input of a workflow is none
    (tmp_path / "told").unlink()
    code, told = run(tmp_path)
    assert code != 0
    assert "name the file with the claims" in told[0]


def test_the_jobs_run_the_script_and_publish_what_it_writes():
    steps = GITHUB["jobs"]["audit"]["steps"]
    (audit,) = [step for step in steps if step.get("name") == "Audit"]
    words = shlex.split(audit["run"])
    assert words[-3:] == ["audit.sh", "venue.toml", "audit"]
    passed = {word for flag, word in pairwise(words) if flag == "--env"}
    assert passed == set(audit["env"]) - {"AUDIT_IMAGE"}
    reports = [s["with"]["report_paths"] for s in steps if "report_paths" in s.get("with", {})]
    assert reports == ["audit/audit.xml"]
    for step in steps[2:]:  # also after a check that fails
        assert step["if"] == "${{ !cancelled() }}"
    assert GITHUB[True].keys() == {"schedule", "workflow_dispatch"}  # YAML reads `on` as true

    job = GITLAB["audit"]
    assert job["script"] == ["bash audit.sh venue.toml audit"]
    assert job["artifacts"]["reports"]["junit"] == "audit/audit.xml"
    assert job["artifacts"]["when"] == "always"


@pytest.mark.parametrize(
    "variables",
    [GITHUB["jobs"]["audit"]["steps"][1]["env"], GITLAB["audit"]["variables"]],
    ids=["github", "gitlab"],
)
def test_the_jobs_set_settings_that_exist_and_hold_no_secret(variables: dict[str, str]):
    known = {variable(key) for key in known_settings()}
    own = {name for name in variables if name.startswith("FORESHOCK_")}
    assert own <= known
    assert variables["FORESHOCK_KAFKA__SASL_PASSWORD"].startswith("$")
