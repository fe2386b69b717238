"""Recorded markets for the end-to-end tests, and what an undisturbed replay says of them."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from service.demo.recording import simulate_to_directory
from service.demo.scenarios import Scenario, scenario
from tests.kafka.rig import DETECTION, REQUIRED, STREAMS, Alert, Event, closing, events, foreshock


@dataclass
class Market:
    """A recording, its events in order, and the alerts that replaying its files gives."""

    directory: Path
    events: list[Event]
    alerts: list[Alert]

    def parts(self, *shares: float) -> list[list[Event]]:
        """The events cut at shares of the market's time."""
        first, last = self.events[0].ts_event, self.events[-1].ts_event
        cuts = [0, *(int(first + share * (last - first)) for share in shares), last + 1]
        return [
            [event for event in self.events if start <= event.ts_event < stop]
            for start, stop in itertools.pairwise(cuts)
        ]


@pytest.fixture(scope="session")
def wide_market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Thirty-two symbols, only the required streams, quotes pulled in some."""
    pulled = scenario("cancel_burst", start_seconds=100, symbols=(0, 5, 10, 15, 20))
    return _market(tmp_path_factory.mktemp("wide"), pulled, 32, 140.0, 3.0, streams=REQUIRED)


@pytest.fixture(scope="session")
def full_market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Few symbols, every stream, quotes pulled in some."""
    pulled = scenario("cancel_burst", start_seconds=120, symbols=(0, 1, 2, 3, 4))
    return _market(tmp_path_factory.mktemp("full"), pulled, 8, 200.0, 4.0, streams=STREAMS)


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Few symbols, only the required streams: what the service is disturbed with.

    Quotes are pulled before and after the middle, so that there is something to tell in each part.
    """
    pulled = scenario("cancel_burst", start_seconds=120, length_seconds=60, symbols=(0, 1))
    later = scenario("cancel_burst", start_seconds=220, length_seconds=60, symbols=(2, 3, 4))
    pulled = replace(pulled, episodes=pulled.episodes + later.episodes)
    return _market(tmp_path_factory.mktemp("small"), pulled, 8, 300.0, 6.0, streams=REQUIRED)


def _market(
    folder: Path,
    provoked: Scenario,
    symbols: int,
    duration_seconds: float,
    events_per_second: float,
    *,
    streams: Sequence[str],
) -> Market:
    directory = folder / "recording"
    simulate_to_directory(
        directory,
        scenario=provoked,
        seed=7,
        symbols=symbols,
        duration_seconds=duration_seconds,
        events_per_second=events_per_second,
    )
    for stream in set(STREAMS) - set(streams):
        (directory / f"{stream}.ndjson").unlink()
    _close(directory, streams)
    out = folder / "alerts.ndjson"
    done = foreshock("replay", directory, "--quiet", "--alerts", out, **DETECTION)
    assert done.returncode == 0, done.stderr
    alerts = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(alerts) >= 10, "the market must give something to compare"
    return Market(directory, events(directory), alerts)


def _close(directory: Path, streams: Sequence[str]) -> None:
    """End every stream of every symbol at one time, when every incident has become quiet.

    So all partitions come equally far, whether they are watched apart or together.
    """
    recorded = events(directory)
    ts = recorded[-1].ts_event + 30_000_000_000
    for symbol in sorted({event.key.decode() for event in recorded}):
        for event in closing(symbol, ts, streams):
            with (directory / f"{event.stream}.ndjson").open("ab") as file:
                file.write(event.value + b"\n")
