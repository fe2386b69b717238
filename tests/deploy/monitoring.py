"""What the monitoring files ask of Prometheus."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "foreshock.rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def rules() -> list[dict[str, Any]]:
    """Every rule, recorded series among them."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def alerts() -> list[dict[str, Any]]:
    """The rules that alert."""
    return [rule for rule in rules() if "alert" in rule]


def sections(page: Path) -> dict[str, str]:
    """The text under each heading of a page, by the anchor that links lead to."""
    parts = re.split(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)[1:]
    return {
        heading.lower().replace(" ", "-"): text
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


def panels(file: Path) -> list[dict[str, Any]]:
    """What a dashboard shows, without its headings."""
    return [panel for panel in json.loads(file.read_text())["panels"] if "targets" in panel]


def queries(symbol: str = "BTC-PERP") -> list[str]:
    """Every expression of the dashboards, with Grafana's variables filled in."""
    found = [
        target["expr"]
        for file in DASHBOARDS
        for panel in panels(file)
        for target in panel["targets"]
    ]
    for file in DASHBOARDS:
        document = json.loads(file.read_text())
        found += [note["expr"] for note in document["annotations"]["list"]]
    # Four scrapes, as Grafana takes it where it asks for the shortest.
    return [expr.replace("$__rate_interval", "20s").replace("$symbol", symbol) for expr in found]


def asked_metrics() -> set[str]:
    """The names of all of Foreshock's metrics that rules and dashboards ask for."""
    return set(re.findall(r"\bforeshock_\w+", "\n".join([*queries(), RULES.read_text()])))
