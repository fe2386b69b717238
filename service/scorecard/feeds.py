"""Detection of feed faults: recall, delay, the check that found them, and false incidents."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from msgspec import Struct

from service.scorecard.matrix import FEEDS
from service.scorecard.score import GRACE_NS, SECOND, false_and_exposed, openings
from service.scorecard.statistics import Interval, quantile, rate, share
from service.scorecard.trial import Outcome

REPORTED = (*FEEDS, "feed_gap")
"""The scenarios that must raise a feed incident. A feed gap without stress is one too."""

CAUSES: dict[str, tuple[str, ...]] = {
    "sequence_gap": ("sequence_gap",),
    "frozen_cancels": ("sequence_gap", "cancels_frozen"),
    "ghost_orders": ("sequence_gap", "crossed_book"),
    "stale_references": ("stale_reference",),
    "feed_gap": ("sequence_gap",),
}
"""Prefixes of the checks in which a fault shows first."""


class FeedFound(Struct, frozen=True):
    """Detection of one kind of fault.

    ``explained`` is the share of found faults whose first evidence is in `CAUSES`. ``distrusted``
    is the share of market alerts during the fault that report unreliable inputs.
    """

    kind: str
    strength: float
    events_per_second: float
    episodes: int
    recall: Interval | None
    delay_median_seconds: float | None
    delay_p90_seconds: float | None
    first_checks: dict[str, int]
    explained: Interval | None
    market_alerts: int
    distrusted: Interval | None


class FeedFalse(Struct, frozen=True):
    """Feed incidents opened without a fault."""

    incidents: int
    symbol_days: float
    per_symbol_day: Interval | None


def feed_found(outcomes: Sequence[Outcome]) -> list[FeedFound]:
    """Detection of every kind of fault, per strength and activity."""
    groups: dict[tuple[str, float, float], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        trial = outcome.trial
        if trial.scenario in REPORTED:
            groups[trial.scenario, trial.strength, trial.events_per_second].append(outcome)
    return [_found(*form, group) for form, group in groups.items()]


def _found(kind: str, strength: float, activity: float, outcomes: Sequence[Outcome]) -> FeedFound:
    delays: list[float] = []
    checks: Counter[str] = Counter()
    episodes = right = market = distrusted = 0
    for outcome in outcomes:
        for truth in (t for t in outcome.truths if t.kind in CAUSES):
            episodes += 1
            until = truth.ends_at + GRACE_NS
            reports = [
                alarm
                for alarm in outcome.feeds
                if alarm.symbol == truth.symbol and truth.starts_at < alarm.ts_event <= until
            ]
            if not reports:
                continue
            delays.append((reports[0].ts_event - truth.starts_at) / SECOND)
            checks[reports[0].feature] += 1
            right += reports[0].feature.startswith(CAUSES[truth.kind])
            during = [
                alarm
                for alarm in outcome.incidents
                if alarm.symbol == truth.symbol and reports[0].ts_event <= alarm.ts_event <= until
            ]
            market += len(during)
            distrusted += sum(alarm in outcome.distrusted for alarm in during)
    return FeedFound(
        kind=kind,
        strength=strength,
        events_per_second=activity,
        episodes=episodes,
        recall=share(len(delays), episodes),
        delay_median_seconds=quantile(delays, 0.5),
        delay_p90_seconds=quantile(delays, 0.9),
        first_checks=dict(checks.most_common()),
        explained=share(right, len(delays)),
        market_alerts=market,
        distrusted=share(distrusted, market),
    )


def feed_false(outcomes: Sequence[Outcome]) -> FeedFalse:
    """The number of feed incidents opened without a fault, or before it."""
    counts, days = [], []
    for outcome in outcomes:
        count, exposed = false_and_exposed(
            openings(outcome.feeds), outcome, excuse=False, until=REPORTED
        )
        counts.append(count)
        days.append(exposed)
    return FeedFalse(sum(counts), sum(days), rate(counts, days))
