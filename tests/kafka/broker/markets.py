"""Recorded markets for the end-to-end tests; all streams of all symbols end at the same time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from detectors.market_data.events import Cancel, Margin, Order, Position, Reference, Status, Trade
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import Scenario, scenario
from tests.kafka.broker.rig import REQUIRED, STREAMS, Event, events


def closing(symbol: str, ts_event: int, streams: Sequence[str]) -> list[Event]:
    """One harmless event on each stream. Reading them completes all earlier events."""
    at = {"ts_event": ts_event, "symbol": symbol}
    last = {
        "orders": Order(**at, order_id="last", side="buy", price=1e-6, quantity=1.0),
        "cancels": Cancel(**at, order_id="last"),
        "trades": Trade(**at, trade_id="last", side="buy", price=1.0, quantity=1e-6),
        "references": Reference(**at),
        "margins": Margin(**at),
        "positions": Position(**at, account="last", quantity=0.0, entry_price=1.0),
        "statuses": Status(**at, state="open"),
    }
    key = symbol.encode()
    return [Event(name, ts_event, key, msgspec.json.encode(last[name])) for name in streams]


def disturbed_market(directory: Path, seed: int = 7) -> list[Event]:
    """A market with few symbols and only the required streams, for the fault tests; its events.

    Makers pull their quotes before, in and after the middle, so that each part has alerts.
    """
    pulled = scenario("cancel_burst", start_seconds=120, length_seconds=60, symbols=(0, 1))
    for start, symbols in ((170, (5, 6, 7)), (220, (2, 3, 4))):
        later = scenario("cancel_burst", start_seconds=start, length_seconds=60, symbols=symbols)
        pulled = replace(pulled, episodes=pulled.episodes + later.episodes)
    return record(directory, pulled, 8, 300.0, 6.0, streams=REQUIRED, seed=seed)


def record(
    directory: Path,
    injected: Scenario,
    symbols: int,
    duration_seconds: float,
    events_per_second: float,
    *,
    streams: Sequence[str],
    seed: int = 7,
) -> list[Event]:
    """Simulate a market into a folder; return its events in order."""
    simulate_to_directory(
        directory,
        scenario=injected,
        seed=seed,
        symbols=symbols,
        duration_seconds=duration_seconds,
        events_per_second=events_per_second,
    )
    for stream in set(STREAMS) - set(streams):
        (directory / f"{stream}.ndjson").unlink()
    _close(directory, streams)
    return events(directory)


def _close(directory: Path, streams: Sequence[str]) -> None:
    """End every stream of every symbol at one time, after every incident has become quiet.

    All partitions then reach the same time, whether one process reads them or several.
    """
    recorded = events(directory)
    ts = recorded[-1].ts_event + 30_000_000_000
    for symbol in sorted({event.key.decode() for event in recorded}):
        for event in closing(symbol, ts, streams):
            with (directory / f"{event.stream}.ndjson").open("ab") as file:
                file.write(event.value + b"\n")
