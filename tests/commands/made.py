"""``make`` as the tests run it: with the interpreter of the tests, and without setting it up."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def make_command(target: str, *arguments: str) -> list[str]:
    """The command line; its ``.venv`` is never made again."""
    programs = f"BIN={Path(sys.executable).parent}"
    return ["make", "--no-print-directory", "-o", ".venv/.ready", programs, target, *arguments]


def make_environment(**variables: str) -> dict[str, str]:
    """The environment without settings, and without what an outer make hands on."""
    outer = ("FORESHOCK_", "MAKE", "MFLAGS")
    return {k: v for k, v in os.environ.items() if not k.startswith(outer)} | variables


def make(
    target: str, *arguments: str, folder: Path = ROOT, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a target to its end, which must have this exit code."""
    done = subprocess.run(
        make_command(target, *arguments),
        cwd=folder,
        env=make_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"make {target}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done


def targets() -> set[str]:
    """Every target of the Makefile that a person names."""
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    return set(phony.split()) | set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))


def recipe(target: str) -> str:
    """The lines of a target, its own first."""
    found = re.search(rf"^{target}:.*\n(?:\t.*\n)*", MAKEFILE, re.MULTILINE)
    assert found is not None, target
    return found[0]
