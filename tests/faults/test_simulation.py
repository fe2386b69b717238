"""The service on a simulated machine with every kind of fault: no data is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import service.kafka.restore
from tests.faults import simulate

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.simulate", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_hundred_seeds_lose_nothing_and_repeat_nothing():
    done = run("--seeds", "200")
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3_000:]


def test_a_seed_gives_the_same_run_whenever_it_is_run():
    first, second = run("--seed", "11"), run("--seed", "11")
    assert first.stdout.count("\n") > 20
    assert first.stdout == second.stdout


def test_a_service_that_publishes_alerts_twice_is_detected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service.kafka.restore, "alert_key", lambda _: None)
    failures = (failure for seed in range(12) for failure in simulate.disturbed(seed).failures)
    assert any("published twice" in failure for failure in failures)
