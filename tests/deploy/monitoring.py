"""What the monitoring files ask of Prometheus."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "foreshock.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "foreshock-overview.json"


def rules() -> list[dict[str, Any]]:
    """Every rule, recorded series among them."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def alerts() -> list[dict[str, Any]]:
    """The rules that alert."""
    return [rule for rule in rules() if "alert" in rule]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if "targets" in panel]


def queries() -> list[str]:
    """Every expression of the dashboard, with Grafana's variables filled in."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [expr.replace("$__rate_interval", "1m").replace("$symbol", ".*") for expr in found]


def asked_metrics() -> set[str]:
    """The names of all of Foreshock's metrics that rules and dashboard ask for."""
    return set(re.findall(r"\bforeshock_\w+", "\n".join([*queries(), RULES.read_text()])))
