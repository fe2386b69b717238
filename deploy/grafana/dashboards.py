"""Write Grafana's provisioned dashboards: ``make dashboards``.

``python -m deploy.grafana.dashboards [RUNBOOK]``: pass the address of the runbook if links must not
point to the copy that compose.yaml mounts into Grafana.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.market import market
from deploy.grafana.service import service
from deploy.grafana.symbol import ANNOTATIONS, symbol

FOLDER = Path(__file__).parent / "dashboards"
RUNBOOK = "/public/foreshock/runbook.md"
BUILDERS: dict[str, Callable[[str], Dashboard]] = {
    "market": market,
    "symbol": symbol,
    "service": service,
}


def dashboards(runbook: str = RUNBOOK) -> dict[str, str]:
    """The dashboards as JSON, by file name."""
    documents = {}
    for name, build in BUILDERS.items():
        document = json.loads(JSONEncoder().encode(build(runbook).build()))
        document["annotations"] = {"list": ANNOTATIONS if name == "symbol" else []}
        for number, panel in enumerate(document["panels"], 1):
            panel["id"] = number
        documents[f"foreshock-{name}.json"] = json.dumps(document, indent=1, sort_keys=True) + "\n"
    return documents


if __name__ == "__main__":
    for filename, text in dashboards(*sys.argv[1:]).items():
        (FOLDER / filename).write_text(text)
