"""Detectors of one's own: found, watched, judged, and left out without harm when they break."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

import foreshock
from detectors.catalogue import CATALOGUE
from detectors.closing import Columns
from detectors.counts import Counts
from detectors.market_data.events import Order
from detectors.parameters import Parameters
from detectors.plug_in import PlugIn, detector_of
from detectors.state import SymbolState, capture, revive
from detectors.symbol import SymbolMonitor
from service.cli.main import main
from service.plug_ins import plug_ins
from service.settings.load import load_settings
from tests.plug_in_packages import install

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plug-ins.md").read_text("utf-8")
SPIKE = 265
"""The bars that are learned before the spike: after the warm-up, before the episode."""


class Scripted:
    """An estimator whose score in a bar is that of its script; it spoils what it is given."""

    def __init__(self, script: Any) -> None:
        self.bars = 0
        self.script = script

    def learn_one(self, x: dict[str, float]) -> None:
        x.clear()
        self.bars += 1

    def score_one(self, x: dict[str, float]) -> Any:
        x.clear()
        return self.script(self.bars)


def scripted(script: Any, **more: Any) -> PlugIn:
    return PlugIn(
        features=("activity.events", "thin_book.spread"),
        model=lambda: Scripted(script),
        headline="a script says so",
        **({"learning_bars": 10} | more),
    )


def after(bars: int, value: Any) -> PlugIn:
    """Scores of 0.5, and another one after so many bars."""
    return scripted(lambda number: 0.5 if number < bars else value)


PLUG_INS = {
    "raises": scripted(lambda number: 1 // (100 - number)),
    "says_text": after(100, "0.5"),
    "says_nothing": after(100, None),
    "says_nan": after(100, float("nan")),
    "says_yes": after(100, True),
    "exits": scripted(lambda number: sys.exit() if number == 100 else 0.5),
    "spike": scripted(lambda number: 9.0 if number == SPIKE else 0.5),
}


@pytest.fixture(scope="module")
def plugged(notebook) -> foreshock.Result:
    return foreshock.replay(notebook / "day", detectors=PLUG_INS)


def quoted(monitor: SymbolMonitor, bars: int) -> None:
    """Bars with a new order on each side."""
    for i in range(bars):
        at = 1_767_225_600_000_000_000 + i * 10**9
        for side, price in (("buy", 99.0), ("sell", 101.0)):
            its = {"order_id": f"{side}{i}", "side": side, "price": price, "quantity": 1.0}
            monitor.apply(Order(ts_event=at, symbol=monitor.symbol, **its))
        monitor.close_bar(at + 10**9)


def statuses(result: foreshock.Result, name: str) -> list[str]:
    return [signal.detectors[name].status for signal in result.signals]


def test_a_plug_in_is_judged_by_its_own_tail_and_names_its_incident(plugged):
    seen = [status for status, _ in groupby(statuses(plugged, "spike"))]
    assert seen == ["no_input", "warming_up", "scoring"]
    (alert, *_) = [its for its in plugged.alerts if its.detector == "spike"]
    assert "a script says so: its score is 9" in alert.summary
    assert alert.runbook == "docs/runbook.md#a-detector-of-your-own"
    assert "## A detector of your own\n" in (ROOT / "docs/runbook.md").read_text("utf-8")
    assert [(its.detector, its.feature, its.value) for its in alert.evidence] == [
        ("spike", "score", 9.0)
    ]
    (bar,) = [its for its in plugged.signals if its.detectors["spike"].alarm]
    assert bar.ts_event == alert.starts_at


def test_plug_ins_that_break_are_left_out_and_nothing_else_changes(plugged, result):
    for name in PLUG_INS.keys() - {"spike"}:
        seen = statuses(plugged, name)
        assert "warming_up" in seen[:160], name
        assert set(seen[200:]) == {"no_input"}, name
    for alone, beside in zip(result.signals, plugged.signals, strict=True):
        for name, reading in alone.detectors.items():
            assert beside.detectors[name].features == reading.features
            assert beside.detectors[name].status == reading.status


def test_the_same_day_gives_the_same_twice_and_tells_once_what_breaks(notebook, plugged):
    with capture_logs() as logged:
        assert foreshock.replay(notebook / "day", detectors=PLUG_INS) == plugged
    told = {its["plugin"]: its["reason"] for its in logged}
    assert len(logged) == len(told)
    assert {its["event"] for its in logged} == {
        "a plug-in is left out for some symbols until a restart"
    }
    assert told == {
        "raises": "exception",
        "exits": "exception",
        "says_text": "wrong_type",
        "says_nothing": "wrong_type",
        "says_yes": "wrong_type",
        "says_nan": "not_finite",
    }


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("thin_book", {}, "another detector has this name"),
        ("Own", {}, "small letters"),
        ("own", {"features": ("thin_book.width",)}, r"thin_book.width'; there are cancel_burst\."),
        ("own", {"features": "thin_book.spread"}, "must be a list"),
        ("own", {"model": lambda: 3}, "it has no learn_one"),
        ("own", {"model": 3}, "must return a new estimator"),
        ("own", {"version": 0}, "version = 0; it must be an integer from 1"),
        ("own", {"unit": 0.0}, "unit = 0; it must be above 0"),
        ("own", {"floor": float("nan")}, "floor = nan"),
        ("own", {"headline": ""}, "headline"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_told_with_its_field(name, change, said):
    own = msgspec.structs.replace(PLUG_INS["spike"], **change)
    with pytest.raises(ValueError, match=said):
        foreshock.Watcher("S", detectors={name: own})


def test_an_estimator_is_relearned_after_a_restart_and_the_others_continue():
    detectors = (*CATALOGUE, detector_of("own", scripted(lambda _: 0.5, learning_bars=0)))
    monitor = SymbolMonitor("S", Parameters(), detectors, Counts())
    quoted(monitor, 70)
    learned = {its.detector.name: its.bars for its in monitor.scorers}
    assert learned["own"] == learned["thin_book"] > 0
    saved = msgspec.json.encode(capture(monitor, None))
    again = revive(
        "S", msgspec.json.decode(saved, type=SymbolState), Parameters(), detectors, Counts()
    )
    relearned = {its.detector.name: its.bars for its in again.scorers}
    assert relearned == learned | {"own": 0}


def test_a_symbol_that_takes_the_place_of_another_gets_an_estimator_of_its_own():
    made: list[Scripted] = []

    def model() -> Scripted:
        made.append(Scripted(float))
        return made[-1]

    own = detector_of("own", msgspec.structs.replace(PLUG_INS["spike"], model=model))
    columns = Columns(Parameters(), (*CATALOGUE, own))
    for symbol in ("A", "B"):
        monitor = SymbolMonitor(symbol, Parameters(), (*CATALOGUE, own), Counts(), columns)
        assert monitor.row == 0
        quoted(monitor, 70)
        monitor.release()
    assert len(made) == 2
    assert made[0].bars == made[1].bars > 0


# Packages.


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Installs packages for this process, see `install`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    plug_ins.cache_clear()
    yield partial(install, tmp_path)
    plug_ins.cache_clear()


def test_each_plug_in_that_cannot_be_loaded_is_named_with_its_reason(packages):
    points = {"fine": "FINE", "feature": "NO_FEATURE", "model": "NO_MODEL", "three": "NO_PLUG_IN"}
    packages("aa_good", points | {"thin_book": "FINE", "twice": "FINE"})
    packages("aa_bad", {"bad": "X", "leaves": "X", "twice": "X"}, "raise ImportError('no such')")
    packages("aa_exits", {"exits": "X"}, "import sys\nsys.exit(3)")
    names = (*points, "thin_book", "twice", "bad", "exits", "missing")
    found = plug_ins(names)
    assert [its.name for its in found.detectors] == ["fine"]
    assert found.packages == {"fine": ("aa_good", "1.2")}
    assert {its.name: its.reason for its in found.left_out} == {
        "feature": "unknown_feature",
        "model": "import_error",
        "three": "wrong_type",
        "thin_book": "name_taken",
        "twice": "ambiguous",
        "bad": "import_error",
        "exits": "import_error",
        "missing": "not_installed",
    }
    details = {its.name: its.detail for its in found.left_out}
    assert "no model today" in details["model"]
    assert "aa_bad and aa_good" in details["twice"]


def test_what_is_not_allowed_is_listed_and_not_imported(packages, capsys, monkeypatch):
    packages("aa_not_asked", {"unasked": "FINE"}, "raise SystemError('imported')")
    assert main(["detectors"]) == 0
    row = next(its for its in capsys.readouterr().out.splitlines() if "unasked" in its)
    assert row.split() == ["unasked", "aa_not_asked", "1.2", "not", "in", "plugins.allow"]
    assert "aa_not_asked" not in sys.modules
    monkeypatch.setenv("FORESHOCK_PLUGINS__ALLOW", "unasked")
    assert main(["detectors"]) == 1
    said = capsys.readouterr().out
    assert "left out: import_error" in said
    assert "problem: unasked: aa_not_asked:FINE: SystemError('imported')" in said


def test_overrides_and_windows_may_name_an_allowed_plug_in(tmp_path):
    file = tmp_path / "foreshock.toml"
    entry = '[[overrides]]\nsymbols = ["*"]\ndetectors = ["own"]\nonly = "rise"\n'
    file.write_text(entry)
    with pytest.raises(foreshock.OperatorError, match='unknown detector "own"'):
        load_settings(file, {})
    assert load_settings(file, {"FORESHOCK_PLUGINS__ALLOW": "other_one, own"}).overrides
    file.write_text('[plugins]\nallow = ["own"]\n' + entry)
    assert load_settings(file, {}).plugins.allow == ("own",)


def test_the_blocks_of_the_page_run_in_order(notebook, monkeypatch, capsys):
    monkeypatch.chdir(notebook)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/plug-ins.md", "exec"), names)  # noqa: S102 - our own page
    assert "scoring" in capsys.readouterr().out


def test_the_example_is_installed_found_and_watched(notebook, tmp_path):
    # A copy, because a build writes into its directory. No index is asked.
    source = shutil.copytree(ROOT / "examples" / "joint_stress", tmp_path / "source")
    site = tmp_path / "site"
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", site, source]
    subprocess.run(pip, check=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FORESHOCK_")}
    allowed = {"PYTHONPATH": f"{site}:{ROOT}", "FORESHOCK_PLUGINS__ALLOW": "joint_stress"}

    def run(*arguments: Any) -> str:
        command = [sys.executable, "-m", "service", *map(str, arguments)]
        its = {"capture_output": True, "text": True, "cwd": tmp_path}
        return subprocess.run(command, env=inherited | allowed, check=True, **its).stdout

    rows = run("detectors").partition(" joint_stress ")[2].split()
    assert rows[:2] == ["1", "cancel_burst.net_withdrawal_20s"]
    assert rows[2:5] == ["foreshock-joint-stress", "0.1.0", "runs"]
    run("replay", notebook / "day", "--signals", tmp_path / "signals", "--quiet")
    last = json.loads((tmp_path / "signals").read_text().splitlines()[-1])
    assert last["detectors"]["joint_stress"]["status"] == "scoring"
    assert 0.0 < last["detectors"]["joint_stress"]["p_value"] <= 1.0
