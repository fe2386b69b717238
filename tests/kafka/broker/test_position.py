"""The position decides what was read: transaction markers, aborted and deleted records."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.kafka.broker.administration import delete_records, transactional
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import (
    REQUIRED,
    Event,
    Metrics,
    Venue,
    caught_up,
    identity,
    repeats,
    until,
)

pytestmark = pytest.mark.kafka

# Everything is on the topics before the service reads it; a topic is idle only at its end.
QUICK = {"TIME__IDLE_AFTER_MS": "2000"}


async def send(venue: Venue, producer: AIOKafkaProducer, events: Iterable[Event]) -> int:
    """Send events within the transaction that is open; return their number."""
    number = 0
    for event in events:
        await producer.send(venue.topic(event.stream), event.value, key=event.key)
        number += 1
    return number


async def assert_all_is_committed(venue: Venue) -> None:
    """The group has committed the end of every input topic."""

    async def committed() -> bool:
        return await venue.uncommitted() == 0

    await until(committed, "the group's offsets are the ends of the topics")


async def test_markers_at_the_end_of_the_topics_hold_nothing_back(
    kafka: str, tmp_path: Path, market: Market
):
    async with Venue(kafka, tmp_path, REQUIRED, **QUICK) as venue:
        async with transactional(venue) as producer:
            for part in market.parts(0.3, 0.6, 0.9):
                async with producer.transaction():
                    await send(venue, producer, part)
        service = venue.start()
        await venue.wait_for_alerts(market.alerts)
        await service.wait_until("no lag is left", caught_up(REQUIRED))
        await assert_all_is_committed(venue)
        await service.stop()
        # Nothing is read twice where a marker precedes the committed offset.
        service = venue.start()
        await service.wait_until("it is back, and no lag is left", caught_up(REQUIRED))
        assert (await service.metrics()).total("records_total") == 0
        await service.stop()
        alerts = await venue.alerts()
    assert repeats(alerts) == []
    assert {identity(alert) for alert in alerts} == {identity(a) for a in market.alerts}


async def test_what_an_aborted_transaction_wrote_is_not_scored(
    kafka: str, tmp_path: Path, market: Market
):
    async with Venue(kafka, tmp_path, REQUIRED, **QUICK) as venue:
        sent = 0
        async with transactional(venue) as producer:
            for part in market.parts(0.3, 0.6, 0.9):
                await producer.begin_transaction()
                sent += await send(venue, producer, part)
                await producer.commit_transaction()
                await producer.begin_transaction()
                await send(venue, producer, part[-len(part) // 3 :])
                await producer.abort_transaction()
        service = venue.start()
        await venue.wait_for_alerts(market.alerts)
        await service.wait_until("no lag is left", caught_up(REQUIRED))
        assert (await service.metrics()).total("records_total") == sent
        await assert_all_is_committed(venue)
        await service.stop()
        alerts = await venue.alerts()
    assert {identity(alert) for alert in alerts} == {identity(a) for a in market.alerts}


async def test_aborted_transactions_are_read_where_the_settings_say_so(
    kafka: str, tmp_path: Path, market: Market
):
    first, _ = market.parts(0.2)
    async with Venue(
        kafka, tmp_path, REQUIRED, **QUICK, KAFKA__ISOLATION_LEVEL="read_uncommitted"
    ) as venue:
        async with transactional(venue) as producer:
            await producer.begin_transaction()
            sent = await send(venue, producer, first)
            await producer.abort_transaction()
        service = venue.start()
        await service.wait_until("all is read", lambda m: m.total("records_total") == sent)
        await service.wait_until("no lag is left", caught_up(REQUIRED))
        await assert_all_is_committed(venue)
        await service.stop()


async def test_a_transaction_that_is_open_is_neither_lag_nor_read(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.8)
    async with Venue(kafka, tmp_path, REQUIRED, **QUICK) as venue:
        sent = await venue.produce(first)
        service = venue.start()
        await service.wait_until("the first part is read", caught_up(REQUIRED))
        async with transactional(venue) as producer:
            await producer.begin_transaction()
            more = await send(venue, producer, second)
            await producer.flush()
            await service.wait_until("no lag is left", caught_up(REQUIRED))
            assert (await service.metrics()).total("records_total") == sent
            await producer.commit_transaction()
        await service.wait_until("all is read", lambda m: m.total("records_total") == sent + more)
        await service.wait_until("no lag is left", caught_up(REQUIRED))
        await service.stop()


async def test_the_warm_up_window_is_found_before_a_marker(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.6)
    async with Venue(kafka, tmp_path, REQUIRED, **QUICK) as venue:
        async with transactional(venue) as producer:
            async with producer.transaction():
                sent = await send(venue, producer, first)
            service = venue.start()
            await service.wait_until("alerts", lambda m: m.total("alerts_published_total"))
            await assert_all_is_committed(venue)
            await service.stop()
            async with producer.transaction():
                sent += await send(venue, producer, second)
        service = venue.start(LIMITS__ACCOUNTS="9999")  # no snapshot is good for other settings
        await service.wait_until("it is back, and no lag is left", caught_up(REQUIRED))
        windows = service.log("no usable snapshot: replaying a warm-up window without publishing")
        await service.stop()
    assert windows
    assert all(sum(window["records"].values()) > 0 for window in windows)


def lost(metrics: Metrics) -> float:
    """How many records are counted as lost."""
    return metrics.total("records_lost_total")


async def test_records_that_retention_deleted_while_it_was_down_are_named_as_lost(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.6)
    async with Venue(kafka, tmp_path, REQUIRED, **QUICK) as venue:
        await venue.produce(first)
        service = venue.start()
        await service.wait_until("the first part is read", caught_up(REQUIRED))
        await assert_all_is_committed(venue)
        await service.stop()
        before = await venue.ends()
        await venue.produce(second)
        after = await venue.ends()
        grown = [tp for tp in after if after[tp] > before[tp]]
        # Of some topics everything that is unread, of others half of it.
        deleted = {
            tp: after[tp] if i % 2 else before[tp] + (after[tp] - before[tp] + 1) // 2
            for i, tp in enumerate(grown)
            if tp.topic != venue.topic("orders")
        }
        await delete_records(venue, deleted)
        service = venue.start()
        await service.wait_until("no lag is left", caught_up(REQUIRED))
        expected = {(tp.topic, tp.partition, before[tp], at) for tp, at in deleted.items()}
        await service.wait_until(
            "what is lost is counted",
            lambda m: lost(m) == sum(end - start for _, _, start, end in expected),
        )
        assert named(service.log("records are lost: Kafka deleted them before they were read")) == (
            expected
        )
        await assert_all_is_committed(venue)
        await service.stop()
        service = venue.start()  # it is said once
        await service.wait_until("it is back, and no lag is left", caught_up(REQUIRED))
        assert lost(await service.metrics()) == 0
        await service.stop()


def named(lines: Iterable[dict[str, Any]]) -> set[tuple[str, int, int, int]]:
    """What lines of the log name: topic, partition, first offset, offset behind the last."""
    return {
        (line["topic"], line["partition"], line["from_offset"], line["to_offset"]) for line in lines
    }


async def test_records_that_retention_deleted_while_it_runs_are_named_as_lost(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.6)
    async with Venue(kafka, tmp_path, REQUIRED, **QUICK) as venue:
        await venue.produce(first)
        service = venue.start()
        await service.wait_until("the first part is read", caught_up(REQUIRED))
        service.freeze()
        try:
            before = await venue.ends()
            await venue.produce(second)
            after = await venue.ends()
            deleted = {tp: at for tp, at in after.items() if at > before[tp] + 20}
            await delete_records(venue, deleted)
        finally:
            service.thaw()
        await service.wait_until("what is lost is counted", lost)
        await service.wait_until("no lag is left", caught_up(REQUIRED))

        def told() -> set[tuple[str, int, int, int]]:
            return named(service.log("records are lost: Kafka deleted them before they were read"))

        # Partitions that it has not asked for yet have no lag that it knows of: more may be told.
        await service.wait_until(
            "what is counted is told",
            lambda m: lost(m) == sum(end - start for _, _, start, end in told()),
        )
        # The answer that was on its way when it was frozen may have brought the first of them.
        assert {(topic, number, end) for topic, number, _, end in told()} <= {
            (tp.topic, tp.partition, at) for tp, at in deleted.items()
        }
        await service.stop()
