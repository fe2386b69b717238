"""Recovery time of a killed service: a thousand symbols restored and caught up.

``make recovery`` runs this file. The service reads nearly all of a log and is killed. The rest is
produced, the service started again, and timed until it is ready and has read everything. Then
another group reads the same log from the start: the cold replay that a restore avoids. Results go
to build/recovery.json.
"""

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from kafka_load import PARTITIONS, addressed, produce
from load import Load, generate
from options import add_broker, add_output, broker
from process import MIB, QUICK, Scrape, ServiceProcess, cold, create_topics, variables
from report import keep

from deploy.kafka.kafka import free_port

SESSION_SECONDS = 6.0
READ_BEFORE = 0.95
"""The share of the log that is read before the kill."""


def _timed(service: ServiceProcess, records: float) -> tuple[float, float, Scrape]:
    """Seconds until ready, seconds until this many records are read, and the last scrape."""
    began = time.monotonic()
    ready = service.until_ready() - began
    last = service.until(
        lambda s: (
            s.total("foreshock_records_total") >= records
            and s.total("foreshock_consumer_lag_records") == 0
        )
    )
    return ready, last.at - began, last


def recover(load: Load, kafka: str | None, **settings: str) -> dict[str, Any]:
    """Read, kill, produce the rest, restart; then replay cold."""
    before = int(load.records * READ_BEFORE)
    results: dict[str, Any] = {"load": load._asdict()}
    with tempfile.TemporaryDirectory() as folder, broker(kafka, heap="1g") as (servers, prefix):
        run = f"{prefix}run"
        pace = {
            "KAFKA__SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "LOG__LEVEL": "warning",
            "DETECTION__WARMUP_BARS": "30",
            **settings,
        }
        environment = variables(servers, run, **pace)
        create_topics(environment, PARTITIONS)
        messages = addressed(generate(load))
        produce(servers, run, islice(messages, before))
        with ServiceProcess(environment, Path(folder, "first.log"), free_port()) as service:
            _timed(service, before)
            service.until(lambda s: s.total("foreshock_snapshots_written_total") >= load.symbols)
            commits = service.scrape().total("foreshock_commits_total")
            # Wait for two commits: the second begins after the acknowledgement of those snapshots.
            service.until(lambda s: s.total("foreshock_commits_total") >= commits + 2)
            service.kill()
        produce(servers, run, messages)
        time.sleep(2 * SESSION_SECONDS)  # until the killed member's session has expired
        with ServiceProcess(environment, Path(folder, "second.log"), free_port()) as service:
            ready, caught_up, last = _timed(service, load.records - before)
            results["recovery"] = {
                "ready_seconds": round(ready, 2),
                "caught_up_seconds": round(caught_up, 2),
                "restore_records": last.total("foreshock_restore_records_total"),
                "restore_mib": round(last.total("foreshock_restore_bytes_total") / MIB, 1),
                "records": last.total("foreshock_records_total"),
                "skipped": last.total("foreshock_events_total", outcome="skipped"),
                "symbols": last.total("foreshock_tracked_symbols"),
                "resident_mib": round(service.resident_bytes() / MIB),
            }
        second = cold(environment, servers, f"{prefix}cold")
        with ServiceProcess(second, Path(folder, "cold.log"), free_port()) as service:
            ready, caught_up, last = _timed(service, load.records)
            results["cold"] = {
                "ready_seconds": round(ready, 2),
                "caught_up_seconds": round(caught_up, 2),
                "records": last.total("foreshock_records_total"),
            }
    share = results["recovery"]["caught_up_seconds"] / results["cold"]["caught_up_seconds"]
    results["share_of_cold"] = round(share, 3)
    return results


def main() -> None:
    """Measure, print, and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--symbols", type=int, default=1_000)
    add_output(parser)
    add_broker(parser)
    arguments = parser.parse_args()
    load = Load(arguments.records, symbols=arguments.symbols, events_per_symbol_second=10.0)
    if arguments.tiny:
        load = load._replace(records=10_000, symbols=8)
    results = recover(load, arguments.kafka, **(QUICK if arguments.tiny else {}))
    print(json.dumps(results, indent=2))
    keep(arguments.out, "recovery", results)


if __name__ == "__main__":
    main()
