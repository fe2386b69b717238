"""Recordings of a calm simulated market, for the tests that inject episodes into them."""

import json
from pathlib import Path

import msgspec

from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario

PRIVATE = ("account", "maker_account", "taker_account", "leverage")


def calm(out: Path, *, seed: int, seconds: float, symbols: int = 1, rate: float = 10.0) -> Path:
    """Record a calm market with accounts and leverages; ``rate`` is in events per second."""
    simulate_to_directory(
        out,
        scenario=scenario("calm"),
        seed=seed,
        symbols=symbols,
        duration_seconds=seconds,
        events_per_second=rate,
    )
    return out


def without_accounts(whole: Path, bare: Path) -> Path:
    """Copy a recording without accounts and leverages, as public recordings are."""
    for stream in ("orders", "cancels", "trades"):
        rows = [json.loads(line) for line in (whole / f"{stream}.ndjson").read_bytes().splitlines()]
        for row in rows:
            for name in PRIVATE:
                row.pop(name, None)
        (bare / f"{stream}.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(rows))
    return bare
