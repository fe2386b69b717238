"""What was found of a feed's faults: how soon, by which check, and what was found for nothing."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from msgspec import Struct

from service.scorecard.matrix import FEEDS
from service.scorecard.score import GRACE_NS, SECOND, false_and_exposed, openings
from service.scorecard.statistics import Interval, quantile, rate, share
from service.scorecard.trial import Outcome

REPORTED = (*FEEDS, "feed_gap")
"""The scenarios in which a finding is right: a gap that is no stress is one of the feed too."""

CAUSES: dict[str, tuple[str, ...]] = {
    "sequence_gap": ("sequence_gap",),
    "frozen_cancels": ("sequence_gap", "cancels_frozen"),
    "ghost_orders": ("sequence_gap", "crossed_book"),
    "stale_references": ("stale_reference",),
    "feed_gap": ("sequence_gap",),
}
"""How the checks begin that a fault shows in, first of all."""


class FeedFound(Struct, frozen=True):
    """How the checks did on one kind of fault.

    ``explained`` is the share of those found whose first evidence is of `CAUSES`. ``distrusted`` is
    the share of the market's alerts during the fault that said so of their inputs.
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
    """How many incidents opened where nothing was wrong with the feed."""

    incidents: int
    symbol_days: float
    per_symbol_day: Interval | None


def feed_found(outcomes: Sequence[Outcome]) -> list[FeedFound]:
    """How the checks did on every fault, at each strength and activity."""
    groups: dict[tuple[str, float, float], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        trial = outcome.trial
        if trial.scenario in REPORTED:
            groups[trial.scenario, trial.strength, trial.events_per_second].append(outcome)
    return [_found(*form, its) for form, its in groups.items()]


def _found(kind: str, strength: float, activity: float, outcomes: Sequence[Outcome]) -> FeedFound:
    delays: list[float] = []
    checks: Counter[str] = Counter()
    episodes = right = market = distrusted = 0
    for outcome in outcomes:
        for truth in (t for t in outcome.truths if t.kind in CAUSES):
            episodes += 1
            until = truth.ends_at + GRACE_NS
            told = [
                alarm
                for alarm in outcome.feeds
                if alarm.symbol == truth.symbol and truth.starts_at < alarm.ts_event <= until
            ]
            if not told:
                continue
            delays.append((told[0].ts_event - truth.starts_at) / SECOND)
            checks[told[0].feature] += 1
            right += told[0].feature.startswith(CAUSES[truth.kind])
            during = [
                alarm
                for alarm in outcome.incidents
                if alarm.symbol == truth.symbol and told[0].ts_event <= alarm.ts_event <= until
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
    """How many incidents opened in feeds with which nothing was wrong, or not yet."""
    counts, days = [], []
    for outcome in outcomes:
        count, exposed = false_and_exposed(
            openings(outcome.feeds), outcome, excuse=False, until=REPORTED
        )
        counts.append(count)
        days.append(exposed)
    return FeedFalse(sum(counts), sum(days), rate(counts, days))
