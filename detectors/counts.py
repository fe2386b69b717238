"""Counters of what the events of symbols amounted to, for the metrics."""

from collections import Counter

from msgspec import Struct, field

from detectors.feed.monitor import FeedCounts
from detectors.incidents.suppressor import SuppressedAlarms


class Counts(Struct):
    """Counters of some symbols; they only grow, except ``unconfirmed``.

    ``early_ends`` counts orders that were published after a trade or a cancel of theirs.
    ``oversized_cancels`` and ``oversized_trades`` count those of more than what rested of their
    order, ``oversized_fills`` orders that state a total below what was filled.
    ``suppressed_alarms`` counts bars with a suppressed alarm, by detector and kind of reason;
    ``statuses`` counts the statuses of the venue, by state. ``feedback`` counts the verdicts that
    changed what an incident counts for, by its detector and the verdict. ``unconfirmed`` counts the
    incidents that opened and that nobody judged right, by detector: a verdict lowers it.
    ``left_out`` counts the symbols for which a plug-in failed, by plug-in and reason.
    """

    late: int = 0
    unknown_orders: int = 0
    early_ends: int = 0
    oversized_cancels: int = 0
    oversized_trades: int = 0
    oversized_fills: int = 0
    replaced_orders: int = 0
    sequence_regressions: int = 0
    repeated_events: int = 0
    stale_orders: int = 0
    evicted_orders: int = 0
    evicted_accounts: int = 0
    bars: int = 0
    judged_bars: int = 0
    statuses: dict[str, int] = {}
    feedback: Counter[tuple[str, str]] = field(default_factory=Counter)
    unconfirmed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    suppressed_alarms: SuppressedAlarms = {}
    feed: FeedCounts = field(default_factory=FeedCounts)
