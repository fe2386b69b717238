"""Recorded markets for the end-to-end tests, with the alerts of an undisturbed replay."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.exchange.scenarios.catalogue import scenario
from tests.kafka.broker.markets import disturbed_market, record
from tests.kafka.broker.rig import DETECTION, REQUIRED, STREAMS, Alert, Event, foreshock


@dataclass
class Market:
    """A recording, its events in order, and the alerts of a replay of its files."""

    directory: Path
    events: list[Event]
    alerts: list[Alert]

    def parts(self, *shares: float) -> list[list[Event]]:
        """The events, divided at these shares of the market's time."""
        first, last = self.events[0].ts_event, self.events[-1].ts_event
        cuts = [0, *(int(first + share * (last - first)) for share in shares), last + 1]
        return [
            [event for event in self.events if start <= event.ts_event < stop]
            for start, stop in itertools.pairwise(cuts)
        ]


@pytest.fixture(scope="session")
def wide_market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Thirty-two symbols, only the required streams, quotes pulled in some symbols."""
    pulled = scenario("cancel_burst", start_seconds=100, symbols=(0, 5, 10, 15, 20))
    folder = tmp_path_factory.mktemp("wide")
    return _replayed(folder, record(folder / "recording", pulled, 32, 140.0, 3.0, streams=REQUIRED))


@pytest.fixture(scope="session")
def full_market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Few symbols, every stream, quotes pulled in some symbols."""
    pulled = scenario("cancel_burst", start_seconds=120, symbols=(0, 1, 2, 3, 4))
    folder = tmp_path_factory.mktemp("full")
    return _replayed(folder, record(folder / "recording", pulled, 8, 200.0, 8.0, streams=STREAMS))


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Few symbols, only the required streams, for the fault tests."""
    folder = tmp_path_factory.mktemp("small")
    return _replayed(folder, disturbed_market(folder / "recording"))


def _replayed(folder: Path, recorded: list[Event]) -> Market:
    directory, out = folder / "recording", folder / "alerts.ndjson"
    done = foreshock("replay", directory, "--quiet", "--alerts", out, **DETECTION)
    assert done.returncode == 0, done.stderr
    alerts = [json.loads(line) for line in out.read_text().splitlines()]
    alert_states = {(alert["symbol"], alert["status"]) for alert in alerts}
    for status in ("firing", "resolved"):
        assert sum(alert_status == status for _, alert_status in alert_states) >= 2, (
            "too few alerts to compare"
        )
    return Market(directory, recorded, alerts)
