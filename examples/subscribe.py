"""Subscribe to Foreshock: new alerts, and past alerts.

    python examples/subscribe.py alerts
    python examples/subscribe.py replay --since 2026-03-07T21:00:00+00:00

Needs aiokafka and no part of Foreshock. docs/subscribing.md explains it. For kill switches there is
examples/order_gateway.py.
"""

import argparse
import asyncio
import json
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

Alert = dict[str, Any]
Act = Callable[[Alert], Awaitable[None]]


def identity(alert: Alert) -> tuple[str, str, str, int]:
    """The key that two records of the same alert share.

    An incident keeps its ``alert_id``. Its opening, its escalation, its end, and each update in
    between are different alerts.
    """
    return alert["alert_id"], alert["status"], alert["severity"], alert.get("update", 0)


def pages(alert: Alert) -> bool:
    """Whether to page somebody: an incident opens or becomes critical. Updates page nobody."""
    firing = alert["status"] == "firing" and alert["severity"] != "info"
    return firing and alert.get("update", 0) == 0


@asynccontextmanager
async def started(consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
    """Start a consumer, and stop it at the end.

    The consumer's own ``async with`` leaves it open if it is cancelled, or fails, during start.
    """
    try:
        await consumer.start()
        yield
    finally:
        await consumer.stop()


class Seen:
    """Remembers the latest ``most`` alerts until the program ends.

    After a restart it is empty, so an alert that is repeated from before is acted on again. If
    acting twice would do harm, store the identities with the results of the action, in one
    transaction.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, str, str, int], None] = OrderedDict()

    def __contains__(self, alert: Alert) -> bool:
        return identity(alert) in self._known

    def add(self, alert: Alert) -> None:
        """Remember an alert; forget the oldest when there are too many."""
        self._known[identity(alert)] = None
        if len(self._known) > self._most:
            self._known.popitem(last=False)


async def follow_alerts(
    servers: str, group: str, act: Act, *, topic: str = "foreshock.alerts"
) -> None:
    """Act on each alert, starting where the group stopped; run until cancelled.

    An offset is committed after ``act`` has returned, never before, so no alert is skipped. After a
    crash, alerts that were acted on but not committed arrive again. ``act`` must therefore tolerate
    two calls with the same ``identity``.
    """
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        # A new group starts at the oldest retained alert; "latest" starts at the next new one.
        auto_offset_reset="earliest",
    )
    seen = Seen()
    async with started(consumer):
        async for record in consumer:
            alert = json.loads(record.value)
            if alert not in seen:
                await act(alert)
                seen.add(alert)
            tp = TopicPartition(record.topic, record.partition)
            # Kafka refuses the commit if another member of the group now owns the partition. That
            # member starts with this alert.
            with suppress(CommitFailedError, IllegalStateError):
                await consumer.commit({tp: record.offset + 1})


async def replay_alerts(
    servers: str, act: Act, *, since_ns: int, topic: str = "foreshock.alerts"
) -> None:
    """Act on each alert that was published between a time and now, and return.

    ``since_ns`` is compared with the time of publication, in nanoseconds since 1970. The replay
    uses no group and no commits, so it does not affect other consumers and can be repeated.
    """
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers, enable_auto_commit=False)
    seen = Seen()
    async with started(consumer):
        tps = list(consumer.assignment())
        ends = await consumer.end_offsets(tps)
        starts = await consumer.offsets_for_times(dict.fromkeys(tps, since_ns // 1_000_000))
        for tp in tps:
            # None: no record since then. To start at a known offset, seek to that offset.
            consumer.seek(tp, ends[tp] if starts[tp] is None else starts[tp].offset)
        for tp in tps:
            while await consumer.position(tp) < ends[tp]:
                for record in await _records(consumer, tp):
                    alert = json.loads(record.value)
                    if record.offset < ends[tp] and alert not in seen:
                        await act(alert)
                        seen.add(alert)


async def _records(consumer: AIOKafkaConsumer, tp: TopicPartition) -> list[Any]:
    return (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, [])


async def show(alert: Alert) -> None:
    """Print an alert. Replace it with your own action."""
    kind = "page" if pages(alert) else "note"
    print(kind, alert["status"], alert["severity"], alert["summary"], flush=True)


def main() -> None:
    """Run one of the examples."""
    parser = argparse.ArgumentParser(description="Subscribe to Foreshock.")
    parser.add_argument("what", choices=["alerts", "replay"])
    parser.add_argument("--servers", default="localhost:9092")
    parser.add_argument("--group", default="foreshock-example", help="for alerts")
    parser.add_argument("--topic", default="foreshock.alerts")
    parser.add_argument("--since", type=datetime.fromisoformat, help="for replay; default: all")
    options = parser.parse_args()
    topic = options.topic
    since_ns = round(options.since.timestamp() * 1e9) if options.since else 0
    try:
        if options.what == "alerts":
            asyncio.run(follow_alerts(options.servers, options.group, show, topic=topic))
        else:
            asyncio.run(replay_alerts(options.servers, show, since_ns=since_ns, topic=topic))
    except KafkaError as error:
        sys.exit(f"{topic} on {options.servers}: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
