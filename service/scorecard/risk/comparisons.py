"""The run, its parts and simple baselines as alarms, at the same share of calm time in alarm."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from service.scorecard.risk.calm import calm_span, intervened_ns
from service.scorecard.risk.card import Compared
from service.scorecard.risk.plan import MUST_NOT_ALARM
from service.scorecard.risk.scores import SCORES
from service.scorecard.risk.trial import RiskOutcome
from service.scorecard.score import SECOND, WARMUP_NS
from service.scorecard.statistics import Interval, share

LEADS = (120, 60, 0)
"""Seconds before the onset at which an alarm is looked for."""

LIMIT = 0.02
"""The share of calm time in alarm that is held to be bearable."""


def compared(outcomes: Sequence[RiskOutcome], calm_ratios: Sequence[float]) -> list[Compared]:
    """Each score at each share of calm time in alarm. It is judged alone: without a minimum time.

    Whatever has no known score is not in alarm.
    """
    return [
        _compared(name, ratio, outcomes) for ratio in dict.fromkeys(calm_ratios) for name in SCORES
    ]


def threshold(values: Sequence[float], most: float) -> float | None:
    """Return the least value that at most this share of the values is at or above.

    If even the largest is too frequent, it is the next number above. None without values.

    >>> threshold([1.0, 2.0, 3.0, 3.0, 4.0], 0.2)
    4.0
    >>> threshold([1.0, 2.0, 3.0, 3.0, 4.0], 0.4)  # two are 3
    4.0
    >>> threshold([1.0, 2.0], 0.1)
    2.0000000000000004
    >>> threshold([], 0.1) is None
    True
    """
    if not values:
        return None
    ordered = sorted(values)
    at = math.nextafter(ordered[-1], math.inf)
    for value in dict.fromkeys(reversed(ordered)):
        if len(ordered) - bisect_left(ordered, value) > most * len(ordered):
            break
        at = value
    return at


def _compared(name: str, ratio: float, outcomes: Sequence[RiskOutcome]) -> Compared:
    calm = [value for outcome in outcomes for value in _calm(name, outcome)]
    at = threshold(calm, ratio)
    if at is None:
        return Compared(name, ratio, None, None, None, None, None)
    safe = [value for outcome in outcomes for value in _safe(name, outcome)]
    early, late, onset = (_warned(name, at, lead, outcomes) for lead in LEADS)
    raised = sum(value >= at for value in safe)
    return Compared(name, ratio, at, early, late, onset, raised / len(safe) if safe else None)


def _calm(name: str, outcome: RiskOutcome) -> Iterator[float]:
    if outcome.trial.scenario in MUST_NOT_ALARM:
        return  # another venue: what is usual there is not what is usual elsewhere
    begin, end = calm_span(outcome)
    for its in outcome.samples:
        if begin <= its.ts_event < end and name in its.scores:
            yield its.scores[name]


def _safe(name: str, outcome: RiskOutcome) -> Iterator[float]:
    if outcome.trial.scenario in MUST_NOT_ALARM:
        for its in outcome.samples:
            if its.ts_event >= outcome.began_ns + WARMUP_NS and name in its.scores:
                yield its.scores[name]


def _warned(
    name: str, at: float, lead_seconds: int, outcomes: Sequence[RiskOutcome]
) -> Interval | None:
    count = raised = 0
    for outcome in outcomes:
        for cascade in outcome.cascades:
            if cascade.starts_at < intervened_ns(outcome):
                continue
            count += 1
            its = [s for s in outcome.samples if s.symbol == cascade.symbol]
            times = [s.ts_event for s in its]
            place = bisect_right(times, cascade.starts_at - lead_seconds * SECOND) - 1
            raised += place >= 0 and its[place].scores.get(name, -math.inf) >= at
    return share(raised, count)
