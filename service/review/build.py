"""Builds the review of a period from its material. The same material gives the same review."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.incidents.kind import Kind, kind
from service.outputs.journal import JournalEntry
from service.pipeline.feedback import Feedback, Verdict
from service.presentation.incidents import GRAVITY, Incident, fold
from service.review.in_force import ALIVE_NS, InForce, settings_in_force
from service.review.material import Material, Source
from service.scorecard.statistics import Interval, share

ALL = "all"
"""The name of the row that adds up all detectors."""


class Row(Struct, frozen=True):
    """The alarms of a detector, in the whole period or in one month (``2026-03``).

    ``kind`` is alarm, change or feed. ``precision`` is the share of true among the judged, with
    Wilson's 95 % interval; None without a judgement.
    """

    detector: str
    kind: Kind
    month: str
    opened: int
    critical: int
    judged_true: int
    judged_false: int
    unjudged: int
    precision: Interval | None


class Judgement(Struct, frozen=True):
    """An alarm of the period, and what was judged of it. Times are nanoseconds since 1970."""

    alert_id: str
    symbol: str
    detector: str
    severity: str
    starts_at: int
    summary: str
    verdict: Verdict
    judged_at: int
    judged_by: str
    note: str


class Gap(Struct, frozen=True):
    """A time in which no instance ran, in nanoseconds since 1970."""

    begins_at: int
    ends_at: int


DeadLetters = dict[str, dict[str, dict[str, int]]]
"""The number of dead letters by month, topic and reason."""


class Review(Struct, frozen=True):
    """The review of a period, in nanoseconds since 1970; ``until`` is not part of it.

    ``unknown`` holds, in sentences, what the material does not tell.
    """

    since: int
    until: int
    symbols: int
    rows: list[Row]
    months: list[Row]
    judgements: list[Judgement]
    settings: list[InForce]
    dead_letters: DeadLetters | None
    gaps: list[Gap] | None
    down_seconds: float | None
    observed_seconds: float | None
    sources: list[Source]
    unknown: list[str]


def review(material: Material, since: int, until: int) -> Review:
    """Return the review of the alarms that opened in a period of event time."""
    incidents: dict[str, Incident] = {}
    for alert in sorted(material.alerts, key=_sort_key):
        if since <= alert.starts_at < until:
            fold(incidents, alert)
    verdicts = {its.alert_id: its for its in material.feedback}  # the last record counts
    opened = sorted(incidents.values(), key=lambda i: (i.fired.starts_at, i.fired.alert_id))
    journal = sorted(material.journal or [], key=lambda entry: (entry.at, entry.instance))
    observed = _observed(journal, since, until)
    gaps = _gaps(journal, *observed) if observed is not None else None
    return Review(
        since=since,
        until=until,
        symbols=len({incident.fired.symbol for incident in opened}),
        rows=_rows(opened, verdicts, by_month=False),
        months=_rows(opened, verdicts, by_month=True),
        judgements=_judgements(opened, verdicts),
        settings=settings_in_force(journal, since, until),
        dead_letters=_dead_letters(material, since, until),
        gaps=gaps,
        down_seconds=sum(gap.ends_at - gap.begins_at for gap in gaps) / 1e9
        if gaps is not None
        else None,
        observed_seconds=(observed[1] - observed[0]) / 1e9 if observed is not None else None,
        sources=material.sources,
        unknown=_unknown(material, journal, since, until),
    )


def month(ns: int) -> str:
    """Return the month of a time.

    >>> month(1_800_000_000_000_000_000)
    '2027-01'
    """
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m}"


def _sort_key(alert: Alert) -> tuple[int, str, str, int]:
    """Return the sort key: of alerts of one bar, the gravest comes last and counts."""
    return (alert.ts_event, alert.alert_id, alert.status, GRAVITY[alert.severity])


def _rows(
    incidents: Sequence[Incident], verdicts: Mapping[str, Feedback], *, by_month: bool
) -> list[Row]:
    groups: defaultdict[tuple[Kind, str, str], list[Incident]] = defaultdict(list)
    for incident in incidents:
        fired = incident.fired
        its = kind(fired.detector, fired.severity)
        when = month(fired.starts_at) if by_month else ""
        groups[its, when, fired.detector].append(incident)
        if its == "alarm" and not by_month:
            groups[its, when, ALL].append(incident)
    order: list[Kind] = ["alarm", "change", "feed", "risk"]
    keys = sorted(groups, key=lambda k: (order.index(k[0]), k[1], k[2] == ALL, k[2]))
    return [_row(key, groups[key], verdicts) for key in keys]


def _row(
    key: tuple[Kind, str, str], incidents: Sequence[Incident], verdicts: Mapping[str, Feedback]
) -> Row:
    counts: Counter[Verdict | None] = Counter()
    for incident in incidents:
        judged = verdicts.get(incident.fired.alert_id)
        counts[judged.verdict if judged is not None else None] += 1
    return Row(
        detector=key[2],
        kind=key[0],
        month=key[1],
        opened=len(incidents),
        critical=sum(incident.critical_at is not None for incident in incidents),
        judged_true=counts["true"],
        judged_false=counts["false"],
        unjudged=counts[None],
        precision=share(counts["true"], counts["true"] + counts["false"]),
    )


def _judgements(incidents: Iterable[Incident], verdicts: Mapping[str, Feedback]) -> list[Judgement]:
    found = []
    for incident in incidents:
        fired = incident.fired
        judged = verdicts.get(fired.alert_id)
        if judged is not None:
            found.append(
                Judgement(
                    alert_id=fired.alert_id,
                    symbol=fired.symbol,
                    detector=fired.detector,
                    severity=fired.severity,
                    starts_at=fired.starts_at,
                    summary=fired.summary,
                    verdict=judged.verdict,
                    judged_at=judged.judged_at,
                    judged_by=judged.judged_by,
                    note=judged.note,
                )
            )
    return found


# The journal.


def _observed(journal: Sequence[JournalEntry], since: int, until: int) -> tuple[int, int] | None:
    """Return the part of the period of which the journal tells; None if of none.

    It tells nothing of the time before its first entry, nor of the time after its last one: that
    may be yet to come.
    """
    if not journal:
        return None
    begins, ends = max(since, journal[0].at), min(until, journal[-1].at)
    return (begins, ends) if begins < ends else None


def _gaps(journal: Sequence[JournalEntry], begins: int, ends: int) -> list[Gap]:
    """Return the times without a running instance. An instance runs from an entry to its next."""
    last: dict[str, JournalEntry] = {}
    runs: list[tuple[int, int]] = []
    for entry in journal:
        before = last.get(entry.instance)
        ran = before is not None and before.occasion != "stopped" and entry.occasion != "started"
        # An instance that was not heard of for longer was away, or could not write.
        if ran and before is not None and entry.at - before.at <= ALIVE_NS:
            runs.append((before.at, entry.at))
        last[entry.instance] = entry
    gaps = []
    reached = begins
    for start, end in sorted(runs):
        if start > reached and start < ends:
            gaps.append(Gap(reached, start))
        reached = max(reached, end)
    if reached < ends:
        gaps.append(Gap(reached, ends))
    return gaps


# What is refused, and what is not known.


def _dead_letters(material: Material, since: int, until: int) -> DeadLetters | None:
    """Count the dead letters of the period by month, topic and reason."""
    if material.dead_letters is None:
        return None
    counts = Counter(
        (month(its.at), its.topic, its.reason)
        for its in material.dead_letters
        if since <= its.at < until
    )
    found: DeadLetters = {}
    for (when, topic, reason), count in sorted(counts.items()):
        found.setdefault(when, {}).setdefault(topic, {})[reason] = count
    return found


def _unknown(
    material: Material, journal: Sequence[JournalEntry], since: int, until: int
) -> list[str]:
    oldest = {source.name: source.oldest for source in material.sources}
    said = []
    first = oldest.get("alerts")
    if first is None:
        said.append("No alert was read: there was none, or its retention is over.")
    elif first > since:
        said.append(
            f"The oldest alert that was read is of {stamp(first)}: whether there were alarms "
            "before it is not known, because the retention of older ones may be over."
        )
    if not journal:
        said.append(
            "No journal was read: budgets in force, changes of the configuration and downtime are "
            "not known. The log of the service has the line `configuration reloaded` for each "
            "change."
        )
    else:
        if journal[0].at > since:
            said.append(
                f"The journal begins at {stamp(journal[0].at)}: budgets, changes of the "
                "configuration and downtime before it are not known."
            )
        if journal[-1].at < until:
            said.append(f"The journal ends at {stamp(journal[-1].at)}: what followed is not known.")
    if material.dead_letters is None:
        said.append("No dead letters were read: what was refused is not known.")
    else:
        refused = oldest.get("deadletters")
        since_then = f" The oldest that was read is of {stamp(refused)}." if refused else ""
        said.append(
            "Dead letters are counted as far as the retention of their topic reaches (14 days by "
            f"default).{since_then}"
        )
    said.append(
        "The thresholds of single statistics are not kept: they follow from the budget in force "
        "and from the flow of the hours before. Each alert has the p-value and the evidence that "
        "passed them."
    )
    said.append(
        "The journal has the settings that decide about alarms. Changes of other settings, such as "
        "connections, are in the log of the service."
    )
    said += [
        f"{source.unreadable} records of the {source.place} ({source.name}) were not readable."
        for source in material.sources
        if source.unreadable
    ]
    return said


def stamp(ns: int) -> str:
    """Return a time as ISO 8601, in UTC.

    >>> stamp(1_800_000_000_000_000_000)
    '2027-01-15T08:00:00Z'
    """
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
