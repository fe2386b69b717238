"""Which faults occur, when, and how often: the world's seed decides."""

import random
from collections.abc import Awaitable, Callable

from tests.faults.log_faults import (
    add_partitions,
    compact,
    damage,
    open_transaction,
    retention,
    retention_while_stopped,
)
from tests.faults.process_faults import (
    crash,
    crash_at_alert,
    crash_before_acknowledged,
    cut,
    freeze,
    isolate_after_handover,
    jump_clock,
    reload,
    scale,
    stop,
)
from tests.faults.request_faults import (
    disturb_requests,
    lose_fetches,
    outage,
    refuse,
    slow_revoke,
)
from tests.faults.world import World

FAULTY_SECONDS = 72.0
"""Faults begin within this time; the market lasts a little longer."""

FAULTS: dict[Callable[[World], Awaitable[None]], float] = {
    crash: 4,
    crash_at_alert: 3,
    stop: 1.5,
    reload: 2,
    freeze: 2,
    scale: 3,
    outage: 2,
    cut: 1.5,
    disturb_requests: 4,
    refuse: 1,
    slow_revoke: 1,
    jump_clock: 1,
    compact: 1,
    damage: 1.5,
    isolate_after_handover: 2,
    crash_before_acknowledged: 2,
    lose_fetches: 1,
    open_transaction: 2,
    retention: 1,
    retention_while_stopped: 0.5,
    add_partitions: 0.5,
}


def plan(rng: random.Random) -> list[tuple[float, Callable[[World], Awaitable[None]]]]:
    """The faults and their times: sometimes spread out, sometimes overlapping."""
    drawn = rng.choices(list(FAULTS), list(FAULTS.values()), k=rng.randint(2, 14))
    if not {retention, retention_while_stopped}.isdisjoint(drawn):
        # What a damaged snapshot held could not be read again.
        drawn = [fault for fault in drawn if fault is not damage]
    if rng.random() < 0.3:
        begin = rng.uniform(0, FAULTY_SECONDS - 25)
        times = [begin + rng.uniform(0, 25) for _ in drawn]
    else:
        times = [rng.uniform(0, FAULTY_SECONDS) for _ in drawn]
    return sorted(zip(times, drawn, strict=True), key=lambda fault: fault[0])
