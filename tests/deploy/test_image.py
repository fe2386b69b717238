"""The image's recipe; ``make image-test`` runs what it makes."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "Dockerfile").read_text()
FINAL = RECIPE[RECIPE.rindex("\nFROM ") :]


def instructions(name: str, text: str = RECIPE) -> list[str]:
    """The arguments of every such instruction, comments left out and continued lines joined."""
    joined = re.sub(r"(?m)^ *#.*\n", "", text).replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", joined, flags=re.MULTILINE)


def test_both_stages_use_the_base_that_the_build_argument_names():
    assert instructions("ARG")[0] == "BASE_IMAGE=python:3.11-slim-bookworm"
    assert instructions("FROM") == ["${BASE_IMAGE} AS builder", "${BASE_IMAGE}"]


def test_it_runs_as_an_ordinary_user_known_by_number():
    user, group = map(int, instructions("USER", FINAL)[-1].split(":"))
    assert user >= 1000
    assert group >= 1000


def test_the_address_that_is_served_on_is_set():
    assert "FORESHOCK_HTTP__HOST=0.0.0.0" in instructions("ENV", FINAL)[-1]


def test_no_secret_stays_in_a_layer():
    secrets = re.findall(r"--mount=(type=secret\S*)", RECIPE)
    assert len(secrets) == 2
    assert not re.search(r"(?i)^(ARG|ENV) .*(password|token|secret)", RECIPE, re.MULTILINE)


def test_the_final_stage_runs_nothing_and_starts_without_a_shell():
    assert instructions("RUN", FINAL) == []
    assert instructions("ENTRYPOINT", FINAL) == ['["foreshock"]']
    assert instructions("CMD", FINAL)[-1] == '["run"]'
    assert '["python3", "-m", "service.web.probe"]' in instructions("HEALTHCHECK", FINAL)[-1]


def test_what_is_installed_is_pinned_by_hash():
    installs = [
        part for run in instructions("RUN") for part in run.split("&&") if "install" in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)


def test_only_what_the_image_is_made_of_reaches_the_build():
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns
    copied = {
        path
        for copy in instructions("COPY", RECIPE.replace(FINAL, ""))
        for path in copy.split()[:-1]
    }
    assert {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")} == copied
