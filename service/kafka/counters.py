"""Counters of the Kafka loop, for the metrics."""

from collections import Counter
from typing import Any

from msgspec import Struct, field

from service.kafka.read_back import Progress
from service.pipeline.output import Tally
from service.pipeline.snapshots import Problem
from service.pipeline.wire import Decoded


class ConsumerCounters(Struct):
    """Counters of the records read and of their results, for the metrics; they only grow.

    ``written_refused`` counts the records of operators that have no content, by topic and reason;
    ``written_failures`` the failures of reading them, by what they are. ``commands`` counts the
    commands that were applied to kill switches here, by action. ``heartbeats`` counts those of the
    owned partitions.
    """

    tally: Tally = field(default_factory=Tally)
    records: Counter[str] = field(default_factory=Counter)
    records_lost: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    of_risk_only: Counter[str] = field(default_factory=Counter)
    more_events: Counter[str] = field(default_factory=Counter)
    unread_fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    incidents: Counter[tuple[str, str]] = field(default_factory=Counter)
    snapshots_left_out: Counter[Problem] = field(default_factory=Counter)
    commits: int = 0
    rebalances: int = 0
    market_failures: int = 0
    risk_failures: int = 0
    written_refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    written_failures: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    heartbeats: int = 0
    last_poll_at: float = 0.0
    restore: Progress = field(default_factory=Progress)

    def note_mapped(self, topic: str, records: int, decoded: Decoded[Any]) -> None:
        """Count what a batch of a mapped topic has beside one event or dead letter per record."""
        if decoded.places is None:
            return
        self.ignored[topic] += decoded.ignored
        self.of_risk_only[topic] += decoded.elsewhere
        with_outcome = records - decoded.ignored - decoded.elsewhere
        self.more_events[topic] += len(decoded.events) + len(decoded.rejections) - with_outcome
        for name, count in decoded.unread.items():
            self.unread_fields[topic, name] += count
