"""More positions than `risk.max_positions`: the smallest go, and every record says what is left."""

import json
from pathlib import Path

import pytest

from detectors.market_data.events import Margin, Position, Reference
from service.replay.files import EventWriter
from tests.kafka.broker.rig import foreshock

BEGIN = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
HELD, LIMIT = 1_100, 1_000


def record(directory: Path) -> None:
    """Longs of 1, 2, 3, … at 100, all far from liquidation."""
    with EventWriter(directory, "none") as writer:
        writer.write(
            Margin(
                ts_event=BEGIN, symbol="X", maintenance_margin_rate=0.01, initial_margin_rate=0.02
            )
        )
        interest = HELD * (HELD + 1) / 2
        for second in range(30):
            at = BEGIN + second * SECOND
            writer.write(
                Reference(ts_event=at, symbol="X", mark_price=100.0, open_interest=interest)
            )
        for number in range(1, HELD + 1):
            writer.write(
                Position(
                    ts_event=BEGIN + 1, symbol="X", account=f"{number}", quantity=number,
                    entry_price=100.0, margin=20.0 * number,
                )
            )  # fmt: skip
    for stream in ("orders", "cancels", "trades"):
        (directory / f"{stream}.ndjson").touch()


@pytest.mark.parametrize("limit", [LIMIT, HELD])
def test_the_smallest_go_first_and_the_coverage_says_so(tmp_path: Path, limit: int):
    record(tmp_path / "day")
    out = tmp_path / "risk"
    done = foreshock(
        "replay", tmp_path / "day", "--quiet", "--risk", out, RISK__MAX_POSITIONS=str(limit)
    )
    assert done.returncode == 0, done.stderr
    last = [json.loads(line) for line in out.read_text().splitlines()][-2]
    assert last["side"] == "long"
    evicted = last["evicted_positions"]
    assert last["positions"] == HELD - evicted
    assert (
        (HELD - limit <= evicted < HELD - limit + limit // 64 + 1) if limit < HELD else not evicted
    )
    # In the order of coming the smallest are the first: 1 to the number that was dropped.
    kept = sum(range(evicted + 1, HELD + 1)) / sum(range(1, HELD + 1))
    assert last["coverage_ratio"] == pytest.approx(kept)
