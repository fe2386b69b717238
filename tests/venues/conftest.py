"""A recorded market, as plain events in order."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario


@pytest.fixture(scope="session")
def plain_events(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, Any]]]:
    """The events of a small cascade, in order of time: streams and fields."""
    directory: Path = tmp_path_factory.mktemp("venues") / "recording"
    simulate_to_directory(
        directory,
        scenario=scenario("cascade", start_seconds=30, length_seconds=60),
        seed=7,
        symbols=3,
        duration_seconds=120.0,
        events_per_second=10.0,
    )
    found = [
        (stream, json.loads(line))
        for stream in ("orders", "cancels", "trades")
        for line in (directory / f"{stream}.ndjson").read_bytes().splitlines()
    ]
    return sorted(found, key=lambda its: its[1]["ts_event"])
