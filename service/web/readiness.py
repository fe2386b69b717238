"""The health of the service, from its session and its counters."""

import time

from service.kafka.counters import ConsumerCounters
from service.kafka.read_back import Progress
from service.kafka.session import Session
from service.web.server import Health

STALLED_SECONDS = 60.0
"""The time without an iteration of the loop after which the service is not alive, in seconds."""


def health(
    session: Session | None, counters: ConsumerCounters, registry_problem: str = ""
) -> Health:
    """Return whether the loop runs, and whether the session owns restored partitions.

    ``registry_problem`` says why the schema registry gives no answer; empty if it does.
    """
    checks = {"kafka": "ok" if session is not None else "connecting"}
    if session is None or not session.joined:
        checks["group"] = "joining"
    elif session.restoring:
        checks["state"] = _restoring(session.restoring, counters.restore)
    if session is not None:
        stuck = session.watches.progress.stuck(time.monotonic())
        checks |= {f"partition {number}": why for number, why in sorted(stuck.items())}
        if session.partition_counts.problems:
            checks["topics"] = "; ".join(session.partition_counts.problems)
    if registry_problem:
        checks["registry"] = registry_problem
    alive_at = max(counters.last_poll_at, counters.restore.alive_at)
    since_alive = time.monotonic() - alive_at
    stalled = counters.last_poll_at > 0.0 and since_alive > STALLED_SECONDS
    live = session is None or not stalled
    if not live:
        checks["loop"] = f"stalled for {since_alive:.0f} s"
    return Health(live, all(check == "ok" for check in checks.values()), checks)


def _restoring(waiting: int, progress: Progress) -> str:
    """Describe the progress of a restoration.

    >>> _restoring(9, Progress(partition=4, offsets_done=30, offsets_total=120))
    'restoring partition 4: 25% of 120 records; 9 topic partitions left'
    """
    if progress.partition is None:
        return f"restoring {waiting} topic partitions"
    done = progress.offsets_done / progress.offsets_total if progress.offsets_total else 0.0
    return (
        f"restoring partition {progress.partition}: {done:.0%} of {progress.offsets_total} records"
        f"; {waiting} topic partitions left"
    )
