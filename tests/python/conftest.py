"""The recorded day of docs/python.md, made by the command that the page shows."""

import re
import shlex
from pathlib import Path

import pytest

import foreshock
from service.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")


@pytest.fixture(scope="session")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the page, after its command."""
    (command,) = re.findall(r"^```console\nforeshock (.*?)\n```$", PAGE, re.MULTILINE)
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert main(shlex.split(command)) == 0
    return folder


@pytest.fixture(scope="session")
def result(notebook: Path) -> foreshock.Result:
    """What a replay of the day gives, without plug-ins."""
    return foreshock.replay(notebook / "day")
