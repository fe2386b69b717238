"""Grafana's dashboards: made by the code beside them, whole, and with a way out to the runbook.

That every query has an answer, tests/deploy/test_alerting.py shows in a real run.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.dashboards import FOLDER, RUNBOOK, dashboards
from detectors.catalogue import NAMES
from tests.deploy.monitoring import DASHBOARDS, DEPLOY, ROOT, alerts, panels, sections

ANCHORS = sections(ROOT / "docs" / "runbook.md")


def whole(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_the_committed_dashboards_are_current():
    committed = {file.name: file.read_text() for file in FOLDER.iterdir()}
    assert committed == dashboards(), "run make dashboards"


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_provisioned_under_the_data_source_it_asks(file: Path):
    provisioned = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    known = {source["uid"] for source in provisioned["datasources"]}
    assert {panel["datasource"]["uid"] for panel in panels(file)} <= known
    assert whole(file)["uid"] == file.stem
    ids = [panel["id"] for panel in whole(file)["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_do_not_overlap_and_explain_themselves(file: Path):
    taken: set[tuple[int, int]] = set()
    for panel in whole(file)["panels"]:
        assert panel["type"] == "row" or panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def links(part: Any) -> list[str]:
    """Every address that a dashboard leads to."""
    if isinstance(part, dict):
        own = [part["url"]] if isinstance(part.get("url"), str) else []
        return own + [url for inner in part.values() for url in links(inner)]
    return [url for inner in part for url in links(inner)] if isinstance(part, list) else []


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_links_lead_to_the_runbook_and_to_dashboards_that_are_there(file: Path):
    led_to = links(whole(file))
    anchors = {url.partition("#")[2] for url in led_to if url.startswith("$runbook#")}
    assert anchors
    of_detectors = "${__data.fields.detector}"
    assert anchors - {of_detectors} <= ANCHORS.keys()
    assert set(NAMES) <= ANCHORS.keys(), "where the anchor is a detector's name"
    for url in led_to:
        if found := re.match(r"/d/([\w-]+)", url):
            assert found[1] in {other.stem for other in DASHBOARDS}
        elif url:
            assert url.startswith("$runbook")


def test_every_alert_about_the_service_has_a_panel_that_leads_to_it():
    led_to = {url for file in DASHBOARDS for url in links(whole(file))}
    missing = {
        rule["alert"] for rule in alerts() if f"$runbook#{rule['alert'].lower()}" not in led_to
    }
    # Of this one the panels of the market lead to what its detectors say.
    assert missing == {"ForeshockIncidentCritical"}


def test_compose_serves_the_runbook_where_the_links_lead():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    mounts = [mount.split(":") for mount in compose["services"]["grafana"]["volumes"]]
    served = {target.removeprefix("/usr/share/grafana"): source for source, target, *_ in mounts}
    assert (DEPLOY / served[RUNBOOK]).resolve() == ROOT / "docs" / "runbook.md"
