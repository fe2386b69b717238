"""Counters of the Kafka loop, for the metrics."""

from collections import Counter

from msgspec import Struct, field

from service.kafka.read_back import Progress
from service.pipeline.output import Tally
from service.pipeline.snapshots import Problem


class ConsumerCounters(Struct):
    """Counters of the records read and of their results, for the metrics; they only grow."""

    tally: Tally = field(default_factory=Tally)
    records: Counter[str] = field(default_factory=Counter)
    records_lost: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    incidents: Counter[tuple[str, str]] = field(default_factory=Counter)
    snapshots_left_out: Counter[Problem] = field(default_factory=Counter)
    commits: int = 0
    rebalances: int = 0
    market_failures: int = 0
    risk_failures: int = 0
    feedback_refused: Counter[str] = field(default_factory=Counter)
    feedback_failures: int = 0
    last_poll_at: float = 0.0
    restore: Progress = field(default_factory=Progress)
