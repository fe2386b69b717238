"""Records whose dates are wrong, on a real Kafka: nobody else pays for them."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.kafka.broker.markets import closing
from tests.kafka.broker.rig import REQUIRED, Event, Metrics, Venue

pytestmark = pytest.mark.kafka

SECOND = 1_000_000_000


def dated(symbol: str, ahead_seconds: float) -> list[Event]:
    """An event on each stream, dated that far ahead of now."""
    return closing(symbol, time.time_ns() + round(ahead_seconds * SECOND), REQUIRED)


def read(records: int):
    """Whether so many records were read."""
    return lambda metrics: metrics.total("records_total") == records


def rejected(metrics: Metrics) -> float:
    """How many records have become dead letters."""
    return metrics.total("events_total", outcome="rejected")


async def test_what_is_refused_for_its_date_is_refused_after_a_restart(kafka: str, tmp_path: Path):
    # Nothing is committed: the restarted service reads everything again.
    limits = {"STATE__COMMIT_SECONDS": "3600", "WIRE__MAX_AHEAD_SECONDS": "2"}
    async with Venue(kafka, tmp_path, REQUIRED, partitions=1, **limits) as venue:
        service = venue.start()
        await service.wait_until("it owns its partition", lambda m: m.count("consumer_lag_records"))
        sent = await venue.produce(dated("BTC-PERP", -1) + dated("BTC-PERP", 5))
        allowed_at = time.monotonic() + 5
        await service.wait_until("all is read", read(sent))
        first = rejected(await service.metrics())
        service.kill()
        # Until the wall clock would allow those events.
        await asyncio.sleep(allowed_at - time.monotonic())
        again = venue.start()
        await again.wait_until("all is read again", read(sent))
        second = rejected(await again.metrics())
    assert first == second == len(REQUIRED)


@pytest.mark.parametrize("forged", [False, True], ids=["true timestamps", "forged timestamps"])
async def test_a_symbol_dated_ahead_makes_no_other_late(kafka: str, tmp_path: Path, forged: bool):
    async with Venue(kafka, tmp_path, REQUIRED, partitions=1) as venue:
        service = venue.start()
        await service.wait_until("it owns its partition", lambda m: m.count("consumer_lag_records"))
        sent = 0
        for step in range(60):
            sent += await venue.produce(dated("BTC-PERP", 0))
            if step == 20:
                ahead_ms = 59_000 if forged else 0
                sent += await venue.produce(dated("GHOST", 59), ahead_ms=ahead_ms)
            await asyncio.sleep(0.05)  # the market's pace
        await service.wait_until("all is read", read(sent))
        ghosts = len(REQUIRED)
        await service.wait_until(
            "the market is scored", lambda m: m.total("events_total", outcome="scored") > sent / 2
        )
        metrics = await service.metrics()
    assert metrics.total("events_total", outcome="late") == 0
    assert rejected(metrics) == 0
    assert metrics.total("events_total", outcome="scored") <= sent - ghosts
