"""Whose licences what the image installs has; ``make licenses`` writes the report."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALLED = sorted(
    set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
)


def report(*options: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("pip-licenses")
    command = [program, "--format", "json", *options, "--packages", *INSTALLED]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_licence_is_permitted():
    done = report()
    assert done.returncode == 0, done.stderr
    named = {re.sub(r"[-_.]+", "-", entry["Name"]).lower() for entry in json.loads(done.stdout)}
    assert named == set(INSTALLED), "each is installed here, and its licence is known"


def test_a_licence_that_is_not_permitted_fails():
    done = report("--allow-only", "MIT")
    assert done.returncode == 1
    assert "not in allow-only licenses" in done.stderr
