"""Overload: a burst of twenty times the flow for a minute, and the recovery.

``make burst`` runs this file. Order flow comes at a steady rate, then twenty times as fast for a
minute, then at the steady rate again. The service's memory, lag and delay are sampled throughout.
Afterwards a second group reads the same log at its own speed, and the outputs of both are compared
record by record. Results go to build/burst.json.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from kafka_load import PARTITIONS, Message, addressed, topic_name
from load import START_NS, Load, at_time, generate
from options import add_broker, add_output, broker
from process import MIB, QUICK, Scrape, ServiceProcess, cold, create_topics, variables
from report import keep
from watch import Sample, sending, watch

from deploy.kafka.kafka import free_port

COMPARED_TOPICS = ("alerts", "signals", "killswitch", "deadletters")
SAMPLE_SECONDS = 1.0
TICK_SECONDS = 0.05


class Burst(NamedTuple):
    """Event rate over time. Event time runs with the clock."""

    rate: float
    factor: float = 20.0
    before_seconds: float = 30.0
    burst_seconds: float = 60.0
    after_seconds: float = 30.0
    symbols: int = 64

    def due(self, seconds: float) -> int:
        """The number of events that are due after this many seconds."""
        burst = min(max(0.0, seconds - self.before_seconds), self.burst_seconds)
        return int(self.rate * (seconds + (self.factor - 1.0) * burst))

    @property
    def seconds(self) -> float:
        """Total duration."""
        return self.before_seconds + self.burst_seconds + self.after_seconds


TINY = Burst(
    rate=300.0, factor=3.0, before_seconds=3.0, burst_seconds=3.0, after_seconds=12.0, symbols=12
)
"""As short as still has something to compare."""


def timed(burst: Burst) -> Iterator[list[Message]]:
    """The messages of each tick, with their event times."""
    messages = addressed(generate(Load(burst.due(burst.seconds), symbols=burst.symbols)))
    ticks = round(burst.seconds / TICK_SECONDS)
    for tick in range(ticks):
        at_ns = START_NS + int(tick * TICK_SECONDS * 1e9)
        first, stop = burst.due(tick * TICK_SECONDS), burst.due((tick + 1) * TICK_SECONDS)
        step_ns = int(TICK_SECONDS * 1e9 / max(1, stop - first))
        yield [
            message._replace(value=at_time(message.value, at_ns + i * step_ns))
            for i, message in zip(range(stop - first), messages, strict=False)
        ]


def paced(ticks: list[list[Message]], began: float) -> Iterator[Message]:
    """The messages at the times when they are due."""
    for number, messages in enumerate(ticks):
        time.sleep(max(0.0, began + number * TICK_SECONDS - time.monotonic()))
        yield from messages


def sample(service: ServiceProcess, began: float) -> Sample:
    """Current memory, lag and delay."""
    scrape = service.scrape()
    return {
        "seconds": round(scrape.at - began, 1),
        "resident_mib": round(service.resident_bytes() / MIB, 1),
        "records": scrape.total("foreshock_records_total"),
        "lag_records": scrape.total("foreshock_consumer_lag_records"),
        "behind_seconds": round(_behind(scrape, began), 1),
        "paused": scrape.total("foreshock_paused_partitions"),
        "cpu_seconds": scrape.total("process_cpu_seconds_total"),
    }


def _behind(scrape: Scrape, began: float) -> float:
    # Event time begins at a fixed date here, and the exported delay counts from that date.
    exported = scrape.largest("foreshock_watermark_delay_seconds")
    return exported - (time.time() - START_NS / 1e9 - (scrape.at - began)) if exported else 0.0


def published_records(servers: str, run: str) -> dict[str, Counter[bytes]]:
    """All published records, by topic; signals and alerts are compared byte by byte."""
    connection = {"bootstrap.servers": servers, "log_level": 0}
    names = {topic_name(run, name): name for name in COMPARED_TOPICS}
    tps = [TopicPartition(topic, n, OFFSET_BEGINNING) for topic in names for n in range(PARTITIONS)]
    admin = AdminClient(connection)  # kept: its futures end with it
    ends = admin.list_offsets({tp: OffsetSpec.latest() for tp in tps})
    unread = {(tp.topic, tp.partition): end.result().offset for tp, end in ends.items()}
    by_topic: dict[str, Counter[bytes]] = {name: Counter() for name in COMPARED_TOPICS}
    consumer = Consumer(connection | {"group.id": f"{run}-reads"})
    consumer.assign(tps)
    while remaining := sum(unread.values()):
        for message in consumer.consume(min(1_000, remaining), timeout=1.0):
            unread[message.topic(), message.partition()] -= 1
            by_topic[names[message.topic()]] += _compared(message.value())
    consumer.close()
    return by_topic


def _compared(value: bytes) -> Counter[bytes]:
    """What is compared of a record: of kill switches, what does not depend on owners and clocks."""
    its = json.loads(value) if value.startswith(b"{") else {}
    if "cause" not in its:
        return Counter([value])
    if its["cause"] not in ("started", "transition"):
        return Counter()
    return Counter(
        [json.dumps([its[k] for k in ("symbol", "state", "ts_event", "reason")]).encode()]
    )


def measure(burst: Burst, kafka: str | None, **settings: str) -> dict[str, Any]:
    """Run it; return the samples, and the differences from an undisturbed reading."""
    ticks = list(timed(burst))
    total = sum(map(len, ticks))
    results: dict[str, Any] = {"burst": burst._asdict(), "records": total}
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder, broker(kafka, heap="1g") as (servers, prefix):
        run, cold_run = f"{prefix}run", f"{prefix}cold"
        pace = {
            "LOG__LEVEL": "warning",
            "DETECTION__WARMUP_BARS": "30",
            "DETECTION__FALSE_ALARMS_PER_DAY": "1000",
            # The generator shares the machine, so its pauses are not pauses of the market.
            "TIME__IDLE_AFTER_MS": "60000",
            **settings,
        }
        environment = variables(servers, run, **pace)
        create_topics(environment, PARTITIONS)
        with ServiceProcess(environment, Path(folder, "service.log"), free_port()) as service:
            service.until(lambda s: s.total("foreshock_assigned_partitions") == PARTITIONS)
            began = time.monotonic()
            with sending(servers, run, paced(ticks, began)) as sender:
                for sampled in watch(service, sender, began, sample, SAMPLE_SECONDS):
                    samples.append(sampled)
                    if sampled["records"] >= total:
                        break
            last = service.scrape()
        results["late"] = last.total("foreshock_events_total", outcome="late")
        second = cold(environment, servers, cold_run)
        with ServiceProcess(second, Path(folder, "cold.log"), free_port()) as service:
            service.until(lambda s: s.total("foreshock_records_total") > 0)
            start = service.scrape()
            end = service.until(lambda s: s.total("foreshock_records_total") >= total, 1_800)
            read = total - start.total("foreshock_records_total")
            results["cold_events_per_second"] = round(read / (end.at - start.at))
        disturbed, undisturbed = (
            published_records(servers, run),
            published_records(servers, cold_run),
        )
    if not undisturbed["signals"]:
        raise SystemExit("nothing to compare: no signals were published")
    results["compared"] = {
        name: {
            "published": counts.total(),
            "lost": len(undisturbed[name] - counts),
            "unexpected": len(counts - undisturbed[name]),
        }
        for name, counts in disturbed.items()
    }
    results |= _summary(burst, samples) | {"samples": samples}
    return results


def _summary(burst: Burst, samples: list[Sample]) -> dict[str, Any]:
    """Figures before the burst, at the worst point, and of the recovery."""
    calm_until, over_at = burst.before_seconds, burst.before_seconds + burst.burst_seconds
    before = [s for s in samples if s["seconds"] <= calm_until]
    behind = [s for s in samples if s["seconds"] > over_at and s["lag_records"] > 0]
    catching = behind[-1]["seconds"] - over_at if behind else 0.0
    read = behind[-1]["records"] - behind[0]["records"] if behind else 0.0
    during = behind[-1]["seconds"] - behind[0]["seconds"] if len(behind) > 1 else 0.0
    return {
        "resident_mib_before": max(s["resident_mib"] for s in before),
        "resident_mib_most": max(s["resident_mib"] for s in samples),
        "lag_records_most": max(s["lag_records"] for s in samples),
        "behind_seconds_most": max(s["behind_seconds"] for s in samples),
        "paused_most": max(s["paused"] for s in samples),
        "caught_up_seconds_after": round(catching, 1),
        "catching_up_events_per_second": round(read / during) if during else None,
    }


def main() -> None:
    """Measure, print, and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2_000.0, help="in events a second")
    add_output(parser)
    add_broker(parser)
    arguments = parser.parse_args()
    burst = TINY if arguments.tiny else Burst(arguments.rate)
    results = measure(burst, arguments.kafka, **(QUICK if arguments.tiny else {}))
    keep(arguments.out, "burst", results)
    del results["samples"]
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
