"""Topics that are not co-partitioned in fact are named, at the start and while the service runs."""

import asyncio
from pathlib import Path

import pytest

from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import REQUIRED, Event, Venue, foreshock


def moved(events: list[Event]) -> list[Event]:
    """The events, the cancels with a key that another partitioner might have put elsewhere."""
    return [
        event._replace(key=b"elsewhere-" + event.key) if event.stream == "cancels" else event
        for event in events
    ]


async def test_cancels_in_other_partitions_than_their_orders_are_named(
    kafka: str, tmp_path: Path, market: Market
):
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        await venue.produce(moved(market.events))
        checked = await asyncio.to_thread(foreshock, "topics", **venue.settings)
        service = venue.start()
        await service.wait_until("it is seen", lambda m: m.total("misplaced_symbols") > 0)
        await service.stop()
        named = service.log("a symbol's events are not in one partition number: its book is wrong")
        at_start = service.log("the topics are not co-partitioned")
    assert checked.returncode == 1
    assert "all events of a symbol must be in one partition number" in checked.stdout
    assert named
    assert all(line["symbol"] and line["partitions"] for line in named)
    assert at_start


@pytest.mark.parametrize("keyed", [True, False])
async def test_records_without_a_key_are_named(
    kafka: str, tmp_path: Path, market: Market, keyed: bool
):
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        await venue.produce(
            event if keyed else event._replace(key=None) for event in market.events[:3_000]
        )
        checked = await asyncio.to_thread(foreshock, "topics", **venue.settings)
    assert checked.returncode == (0 if keyed else 1)
    assert ("have no key" in checked.stdout) == (not keyed)
