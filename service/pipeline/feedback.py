"""What operators judge of alerts: the records, the last verdict on each alert, and its effect.

A verdict concerns an incident, by its alert id. ``true``: the alarm was right, and does not count
against the false-alarm budget. ``false``: it was wrong. An incident that nobody judged counts as
wrong.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from detectors import catalogue
from detectors.counts import Counts
from detectors.incidents import market_wide
from detectors.incidents.alerts import Alert
from detectors.market_data.events import EARLIEST_NS, LATEST_NS
from detectors.symbol import SymbolMonitor
from service.pipeline.rejection import Rejection
from service.pipeline.written import Reader, Record

FEEDBACK = "feedback"
"""What a record of the feedback topic is."""

MAX_NOTE = 500
"""The largest number of characters of a note."""

MAX_AHEAD_MS = 60_000
"""How far after its record's timestamp a judgement may be dated, in milliseconds."""

MAX_VERDICTS = 10_000
"""The verdicts that a task remembers, for alerts that a restart raises again."""

MAX_JUDGED = 100_000
"""The alerts whose last verdict is remembered: what was judged in years."""

OTHER = "other"
"""The detector that judged alerts count for if their verdict names one that does not exist."""

_DETECTORS = frozenset((*catalogue.NAMES, market_wide.NAME))

Verdict = Literal["true", "false"]

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Feedback(Struct, frozen=True):
    """What an operator judged of an alert. The last record of an alert id counts.

    ``symbol`` and ``detector`` are those of the alert. ``judged_at`` is the time of the judgement
    in nanoseconds since 1970. ``judged_by`` is who judged, as far as it is known.
    """

    alert_id: Name
    symbol: Name
    detector: Name
    verdict: Verdict
    judged_at: Annotated[int, Meta(ge=EARLIEST_NS, le=LATEST_NS)]
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""
    judged_by: Annotated[str, Meta(max_length=64)] = ""


_reader = Reader(
    Feedback, lambda its: its.alert_id, "the alert_id, {}: the last record of a key counts"
)
encode = msgspec.json.Encoder().encode


def decode(index: int, record: Record) -> Feedback | Rejection:
    """Return the feedback of a record, or why it is none. ``index`` is that of the rejection."""
    feedback = _reader.read(index, record)
    if isinstance(feedback, Rejection):
        return feedback
    if feedback.judged_at > (record.timestamp + MAX_AHEAD_MS) * 1_000_000:
        detail = (
            f"judged_at is {feedback.judged_at}; it must be at most {MAX_AHEAD_MS // 1_000} s "
            f"after the record's timestamp, {record.timestamp} ms since 1970"
        )
        return Rejection(index, "in_the_future", detail)
    return feedback


class Judgements:
    """The last verdict on each alert, in the order in which they came.

    The order on the topic decides which is the last, as it decides what compaction keeps:
    ``judged_at`` does not. The records of an alert are in one partition, because their key is its
    id. So the order in which the partitions are read does not matter.

    ``serial`` is the number of verdicts that came. ``counts`` holds the judged alerts, by detector
    and verdict, without zeros. Detectors that do not exist, or no longer, count as OTHER: any text
    may be in a record, and each would be a series of a metric.
    """

    def __init__(self) -> None:
        self.serial = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self._last: dict[str, tuple[int, Feedback]] = {}

    def take(self, records: Sequence[Record]) -> list[Rejection]:
        """Add the verdicts of records; return why the others are none."""
        feedback, rejections = decode_all(records)
        for its in feedback:
            self.add(its)
        return rejections

    def add(self, feedback: Feedback) -> None:
        """Add a verdict on an alert; it replaces the one before it."""
        before = self.of(feedback.alert_id)
        if before is not None:
            del self._last[feedback.alert_id]
            self._count(before, -1)
        self.serial += 1
        self._count(feedback, 1)
        self._last[feedback.alert_id] = (self.serial, feedback)
        if len(self._last) > MAX_JUDGED:
            _, oldest = self._last.pop(next(iter(self._last)))
            self._count(oldest, -1)

    def _count(self, feedback: Feedback, number: int) -> None:
        detector = feedback.detector if feedback.detector in _DETECTORS else OTHER
        self.counts[detector, feedback.verdict] += number
        if not self.counts[detector, feedback.verdict]:
            del self.counts[detector, feedback.verdict]

    def of(self, alert_id: str) -> Feedback | None:
        """Return the last verdict on an alert."""
        return self._last[alert_id][1] if alert_id in self._last else None

    def since(self, serial: int) -> list[Feedback]:
        """Return the verdicts that came after the first ``serial``, without those replaced."""
        new = []
        for number, feedback in reversed(self._last.values()):
            if number <= serial:
                break
            new.append(feedback)
        return new[::-1]


class Verdicts:
    """Applies verdicts to the symbols of a task, each once.

    Parameters
    ----------
    counts
        The counters to increment.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._known: dict[str, Verdict] = {}
        # The last incidents that opened here, and whether they were confirmed.
        self._opened: dict[str, bool] = {}

    def take(self, feedback: Feedback, monitor: SymbolMonitor | None) -> bool:
        """Remember a verdict, and apply it; return whether it changed the state of the symbol."""
        self._known.pop(feedback.alert_id, None)
        self._known[feedback.alert_id] = feedback.verdict
        if len(self._known) > MAX_VERDICTS:
            del self._known[next(iter(self._known))]
        return monitor is not None and self._apply(monitor, feedback.alert_id)

    def apply(self, monitor: SymbolMonitor, alerts: Iterable[Alert]) -> None:
        """Apply what is known of alerts: a restart may raise again what was judged before it."""
        for alert in alerts:
            alert_id = alert.alert_id
            entry = monitor.ledger.entries.get(alert_id)
            if entry is None:
                continue
            if alert.status == "firing" and alert_id not in self._opened:
                self._opened[alert_id] = False
                self._counts.unconfirmed[entry.detector] += 1
                if len(self._opened) > MAX_VERDICTS:
                    del self._opened[next(iter(self._opened))]
            self._apply(monitor, alert_id)

    def _apply(self, monitor: SymbolMonitor, alert_id: str) -> bool:
        verdict = self._known.get(alert_id)
        if verdict is None:
            return False
        entry = monitor.ledger.judge(alert_id, monitor.scorers, is_true=verdict == "true")
        if entry is None:
            return False
        self._counts.feedback[entry.detector, verdict] += 1
        confirmed = verdict == "true"
        if alert_id in self._opened and self._opened[alert_id] != confirmed:
            self._opened[alert_id] = confirmed
            self._counts.unconfirmed[entry.detector] += -1 if confirmed else 1
        return True


def decode_all(records: Sequence[Record]) -> tuple[list[Feedback], list[Rejection]]:
    """Return the feedback among records, and why the others are none."""
    feedback, rejections = [], []
    for index, record in enumerate(records):
        decoded = decode(index, record)
        if isinstance(decoded, Feedback):
            feedback.append(decoded)
        else:
            rejections.append(decoded)
    return feedback, rejections
