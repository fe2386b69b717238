"""Prometheus and Alertmanager read their files, and each alert fires when it should."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.catalogue import NAMES
from tests.deploy.monitoring import DEPLOY, ROOT, alerts, queries, rules, sections
from tests.kafka_server import unavailable
from tests.web import metrics_page


def run(tool: str, *arguments: str | Path) -> str:
    """What a tool says; the test fails if the tool does."""
    if shutil.which(tool) is None:
        unavailable(f"{tool} is not installed")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def understood(expressions: list[str], folder: Path) -> None:
    """Fails where Prometheus does not understand an expression."""
    recorded = [
        {"record": f"asked:query{number}", "expr": expr} for number, expr in enumerate(expressions)
    ]
    file = folder / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": recorded}]}))
    run("promtool", "check", "rules", file)


def test_prometheus_accepts_its_configuration_and_rules():
    said = run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert f"{len(rules())} rules found" in said


RULE_TESTS = sorted(Path(__file__).parent.glob("rules_*_test.yml"))


@pytest.mark.parametrize("tests", RULE_TESTS, ids=lambda path: path.stem)
def test_every_rule_does_what_its_tests_say(tests: Path):
    run("promtool", "test", "rules", tests)


def rule_tests() -> list[dict[str, Any]]:
    return [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text())["tests"]]


def test_every_alert_is_shown_to_fire_and_to_keep_silent():
    checks = [check for test in rule_tests() for check in test.get("alert_rule_test", [])]
    firing = {check["alertname"] for check in checks if check["exp_alerts"]}
    silent = {check["alertname"] for check in checks if not check["exp_alerts"]}
    assert firing == silent == {rule["alert"] for rule in alerts()}


def test_every_recorded_series_is_shown_to_be_right():
    shown = " ".join(
        check["expr"] for test in rule_tests() for check in test.get("promql_expr_test", ())
    )
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    assert [name for name in recorded if name not in shown] == []


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_grave_it_is_and_leads_to_its_runbook(rule: dict[str, Any]):
    # The last is that of the incident, which the series names.
    assert rule["labels"]["severity"] in {"warning", "critical", "{{ $labels.severity }}"}
    annotations = rule["annotations"]
    assert annotations["summary"]
    assert annotations["description"]
    page, _, anchor = annotations["runbook_url"].partition("#")
    assert anchor in sections(ROOT / page)


RUNBOOK = ROOT / "docs" / "runbook.md"
ANCHORS = [rule["alert"].lower() for rule in alerts()] + list(NAMES)


@pytest.mark.parametrize("anchor", ANCHORS)
def test_the_runbook_says_of_every_alert_what_to_look_at_and_what_it_is_not(anchor: str):
    section = sections(RUNBOOK)[anchor]
    for part in ("**Meaning.**", "**Look at.**", "**Do.**", "**It is not"):
        assert part in section, part
    _, _, looked_at = section.partition("**Look at.**")
    looked_at, _, _ = looked_at.partition("**Do.**")
    assert re.search(r"^    \S", looked_at, flags=re.MULTILINE), "a query to paste"


def runbook_queries() -> list[str]:
    """The indented lines of the runbook that ask Prometheus."""
    lines = re.findall(r"^    (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return [line for line in lines if "foreshock_" in line or "foreshock:" in line]


def test_every_query_of_pages_and_dashboards_is_understood_and_asks_for_what_there_is(
    tmp_path: Path,
):
    asked = [*runbook_queries(), *metrics_page.queries(), *queries()]
    understood(asked, tmp_path)
    suffixes = ("_bucket", "_count", "_sum")
    known = metrics_page.specified()
    names = set(re.findall(r"\bforeshock_\w+", "\n".join(asked)))
    histograms = {
        name + s for name, its in known.items() if its.type == "histogram" for s in suffixes
    }
    assert names <= known.keys() | histograms
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert set(re.findall(r"\bforeshock:[\w:]+", "\n".join(asked))) <= recorded


def test_alertmanager_accepts_its_configuration():
    run("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")
