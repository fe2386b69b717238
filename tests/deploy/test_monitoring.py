"""Prometheus, Alertmanager and Grafana read their files, and each alert fires when it should."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.monitoring import DASHBOARD, DEPLOY, ROOT, alerts, panels, queries, rules
from tests.kafka_server import unavailable


def run(tool: str, *arguments: str | Path) -> str:
    """What a tool says; the test fails if the tool does."""
    if shutil.which(tool) is None:
        unavailable(f"{tool} is not installed")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_its_configuration_and_rules():
    said = run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert f"{len(rules())} rules found" in said


def test_every_alert_fires_when_it_should_and_only_then():
    tested = Path(__file__).with_name("rules_test.yml")
    run("promtool", "test", "rules", tested)
    expected = {
        check["alertname"]
        for test in yaml.safe_load(tested.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert expected == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_grave_it_is_and_leads_to_its_runbook(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in {"warning", "critical"}
    annotations = rule["annotations"]
    assert annotations["summary"]
    assert annotations["description"]
    page, _, anchor = annotations["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_alertmanager_accepts_its_configuration():
    run("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")


def test_every_query_of_the_dashboard_is_understood(tmp_path: Path):
    recorded = [
        {"record": f"panel:query{number}", "expr": expr} for number, expr in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    run("promtool", "check", "rules", file)


def test_the_dashboard_is_provisioned_under_the_data_source_it_asks():
    provisioned = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    known = {source["uid"] for source in provisioned["datasources"]}
    assert {panel["datasource"]["uid"] for panel in panels()} <= known
    assert json.loads(DASHBOARD.read_text())["uid"] == "foreshock-overview"


def test_panels_do_not_overlap_and_explain_themselves():
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
