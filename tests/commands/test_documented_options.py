"""The options of programs that the documentation shows are options of what is run."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.test_documentation import PAGES, code
from tests.commands.made import ROOT, make, recipe

NOT_OURS = ("TEST_ARGS",)
"""Options of pytest."""


def of_make() -> Iterator[tuple[str, str, str]]:
    """Target, variable and value of what is shown, also of ``BURST_ARGS="--rate 6000"`` alone."""
    for shown in (shown for page in PAGES for shown in code(page)):
        if re.match(r"make [a-z-]+ [A-Z_]+=|[A-Z]+_ARGS=", shown):
            words = shlex.split(shown, comments=True)
            variables = [word.partition("=") for word in words if re.match(r"[A-Z_]+=", word)]
            target = words[1] if words[0] == "make" else shown.partition("_")[0].lower()
            yield from ((target, name, value) for name, _, value in variables)


SHOWN = sorted(set(of_make()))
PROGRAMS = sorted(
    {
        (found[1], found[2])
        for page in PAGES
        for shown in code(page)
        if (found := re.match(r"python3? (\S+\.py)(.*)", shown))
    }
)
"""Programs that are shown, each with its arguments."""


def test_what_is_shown_is_found():
    named = {name for _, name, _ in SHOWN}
    assert named >= {"BENCH_ARGS", "BURST_ARGS", "CHAOS_ARGS", "SEEDS", "RUNS", "MINUTES"}
    assert PROGRAMS


@pytest.mark.parametrize(("target", "name"), sorted({shown[:2] for shown in SHOWN}))
def test_a_variable_that_is_shown_is_one_of_its_target(target: str, name: str):
    assert re.search(rf"[ (]{name}\)|,{name}\)|\({name}[),]", recipe(target))


@pytest.mark.parametrize(
    ("target", "name"), sorted({shown[:2] for shown in SHOWN if shown[1].endswith("_ARGS")})
)
def test_the_options_that_are_shown_are_those_of_the_target(target: str, name: str):
    if name in NOT_OURS:
        return
    told = make(target, f"{name}=--help").stdout
    for value in (value for *shown, value in SHOWN if shown == [target, name]):
        for option in re.findall(r"--[a-z-]+", value):
            assert re.search(rf"{option}\b", told), f"make {target} {name}={value}"


@pytest.mark.parametrize(("program", "arguments"), PROGRAMS)
def test_a_program_that_is_shown_has_the_options_that_are_shown(program: str, arguments: str):
    source = (ROOT / program).read_text("utf-8")
    if "argparse" not in source:
        assert "--" not in arguments
        return
    command = [sys.executable, program, "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for option in re.findall(r"--[a-z-]+", arguments):
        assert re.search(rf"{option}\b", told), f"{program} {arguments}"
