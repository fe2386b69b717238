"""A recorded market with hostile names, and the report of its replay."""

from pathlib import Path

import pytest

from service.cli.main import main
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario

HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "A\n\u202eB"]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a market with hostile names, in one of which quotes are pulled."""
    folder = tmp_path_factory.mktemp("report")
    simulate_to_directory(
        folder / "day",
        scenario=scenario("cancel_burst", start_seconds=330, length_seconds=60),
        seed=7,
        symbols=HOSTILE,
        duration_seconds=480.0,
        events_per_second=10.0,
    )
    with (folder / "day" / "orders.ndjson").open("a") as orders:
        orders.write("<b>not an order</b>\n")
    out = folder / "report.html"
    assert main(["replay", str(folder / "day"), "--report", str(out), "--quiet"]) == 0
    return out
