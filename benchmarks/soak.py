"""Memory stability: a long run on order flow with ever new symbols, orders and accounts.

``make soak MINUTES=30`` runs this file: a real Kafka, and the service as a separate process.
Symbols are listed and delisted all the time. Every order has a new id and mostly a new account.
Event time runs twenty times as fast as the clock. In a warm-up, bounded state reaches its bounds.
Afterwards the resident memory is sampled and a line is fitted. Results go to build/soak.json.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from churn import Churn, flow
from kafka_load import Message
from options import add_broker, add_output, broker
from process import MIB, ServiceProcess, create_topics, variables
from report import keep
from watch import Sample, sending, watch

from deploy.kafka.kafka import free_port

PARTITIONS = 4
SAMPLE_SECONDS = 10.0

# These bounds are reached in the warm-up, so that they keep the memory flat.
BOUNDS = {"LIMITS__SYMBOLS": "8", "LIMITS__RESTING_ORDERS": "150", "LIMITS__ACCOUNTS": "256"}

# Limits the broker's disk use: hours of records need not be kept.
RETENTION = """
log.segment.bytes=16777216
log.retention.bytes=67108864
log.retention.check.interval.ms=30000
"""

TINY = Churn(life_seconds=60.0)
TINY_BOUNDS = BOUNDS | {"LIMITS__RESTING_ORDERS": "100"}
"""With symbols that come and go so fast, these are reached within seconds."""

EVICTED = ("symbols", "orders", "accounts")
LEAST_SAMPLES = 10

COUNTED = {
    "symbols": "foreshock_tracked_symbols",
    "resting_orders": "foreshock_resting_orders",
    "accounts": "foreshock_tracked_accounts",
    "lag_records": "foreshock_consumer_lag_records",
    "records": "foreshock_records_total",
    "bars": "foreshock_bars_total",
    "snapshots": "foreshock_snapshots_written_total",
}


def messages(churn: Churn) -> Iterator[Message]:
    """The endless flow, at the times when records are due."""
    for record in flow(churn):
        partition = record.place % PARTITIONS
        yield Message(record.stream, partition, record.symbol.encode(), record.value)


def sample(service: ServiceProcess, began: float) -> Sample:
    """The current memory and its contents."""
    scrape = service.scrape()
    evictions = {
        f"evicted_{what}": scrape.total("foreshock_evictions_total", what=what) for what in EVICTED
    }
    return {
        "seconds": round(time.monotonic() - began, 1),
        "resident_mib": round(service.resident_bytes() / MIB, 2),
        **{name: scrape.total(metric) for name, metric in COUNTED.items()},
        **evictions,
    }


def require_used(samples: list[Sample]) -> None:
    """Raise SystemExit unless there are enough samples, and all counters grew between them."""
    if len(samples) < LEAST_SAMPLES:
        raise SystemExit(
            f"{len(samples)} samples after the warm-up; at least {LEAST_SAMPLES} are needed"
        )
    counters = ("records", "bars", "snapshots", *(f"evicted_{what}" for what in EVICTED))
    constant = [name for name in counters if samples[-1][name] <= samples[0][name]]
    if constant:
        raise SystemExit(
            f"nothing was measured: no growth after the warm-up in {', '.join(constant)}"
        )


def slope(samples: list[Sample]) -> dict[str, float]:
    """The least-squares line through the resident memory, with its standard error.

    The standard error accounts for the residuals' correlation from one sample to the next.
    """
    hours = np.array([s["seconds"] for s in samples]) / 3_600
    memory = np.array([s["resident_mib"] for s in samples])
    (slope, level), spread = np.polyfit(hours, memory, 1), hours - hours.mean()
    residuals = memory - (slope * hours + level)
    error = math.sqrt(residuals @ residuals / (len(hours) - 2) / (spread @ spread))
    correlation = float(residuals[1:] @ residuals[:-1] / max(residuals @ residuals, 1e-12))
    inflation = math.sqrt((1 + correlation) / max(1 - correlation, 1e-3))
    return {
        "mib_per_hour": round(float(slope), 2),
        "standard_error": round(error * max(1.0, inflation), 2),
        "first_mib": round(float(memory[: len(memory) // 10 + 1].mean()), 1),
        "last_mib": round(float(memory[-(len(memory) // 10 + 1) :].mean()), 1),
        "lag_records_most": max(
            s["lag_records"] for s in samples
        ),  # waiting records take memory too
        "samples": len(samples),
    }


def soak(
    minutes: float,
    warmup_minutes: float,
    churn: Churn,
    *,
    kafka: str | None,
    sample_seconds: float = SAMPLE_SECONDS,
    bounds: Mapping[str, str] = BOUNDS,
) -> dict[str, Any]:
    """Run the soak; print a line every minute.

    It lasts longer where a busy machine gives too few samples in the time.
    """
    samples: list[Sample] = []
    after: list[Sample] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        broker(kafka, properties=RETENTION) as (servers, prefix),
    ):
        run = f"{prefix}soak"
        environment = variables(servers, run, LOG__LEVEL="warning", **bounds)
        create_topics(environment, PARTITIONS)
        with ServiceProcess(environment, Path(folder, "service.log"), free_port()) as service:
            service.until(lambda s: s.total("foreshock_assigned_partitions") == PARTITIONS)
            began = time.monotonic()
            with sending(servers, run, messages(churn)) as sender:
                for sampled in watch(service, sender, began, sample, sample_seconds):
                    samples.append(sampled)
                    if len(samples) % 6 == 0:
                        print(json.dumps(sampled), flush=True)
                    if sampled["seconds"] >= warmup_minutes * 60:
                        after.append(sampled)
                    if (
                        sampled["seconds"] >= (warmup_minutes + minutes) * 60
                        and len(after) >= LEAST_SAMPLES
                    ):
                        break
    require_used(after)
    return {
        "minutes": minutes,
        "warmup_minutes": warmup_minutes,
        "flow": churn._asdict(),
        "bounds": bounds,
        "sample_seconds": sample_seconds,
        "slope": slope(after),
        "samples": samples,
    }


def main() -> None:
    """Soak, print the result, and store it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="after the warm-up; default 30")
    parser.add_argument("--warmup-minutes", type=float, default=10.0, help="default 10")
    parser.add_argument("--speed", type=float, default=20.0, help="of event time; default 20")
    add_output(parser)
    add_broker(parser)
    arguments = parser.parse_args()
    if arguments.tiny:
        results = soak(
            0.2, 0.05, TINY, kafka=arguments.kafka, sample_seconds=1.0, bounds=TINY_BOUNDS
        )
    else:
        churn = Churn(speed=arguments.speed)
        results = soak(arguments.minutes, arguments.warmup_minutes, churn, kafka=arguments.kafka)
    print(json.dumps(results["slope"]))
    keep(arguments.out, "soak", results)


if __name__ == "__main__":
    main()
