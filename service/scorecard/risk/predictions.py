"""Predicted against realised: errors, coverage, and tests of the quantiles."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from detectors.risk.quantiles import Quantiles
from service.scorecard.risk.calm import ALL
from service.scorecard.risk.card import Predicted, Test
from service.scorecard.risk.forecast import STEPS, WHOLE
from service.scorecard.risk.trial import RiskOutcome
from service.scorecard.statistics import quantile, share

LEVELS = (0.1, 0.5, 0.9)

FALL, NOTIONAL = "fall", "forced notional"


class Case(NamedTuple):
    """A prediction and what happened; cases of one market are not independent."""

    market: int
    predicted: Quantiles
    realised: float


def predicted(outcomes: Sequence[RiskOutcome]) -> list[Predicted]:
    """Every number that is predicted, by scenario and over all."""
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for market, outcome in enumerate(outcomes):
        trial = outcome.trial
        group = trial.scenario if trial.strength == 1.0 else f"{trial.scenario} x{trial.strength:g}"
        for its in outcome.forecasts:
            cases: list[tuple[str, str, Quantiles, float]] = []
            for rule, run in its.runs.items():
                cases.append((FALL, rule, run.fall, its.fall))
                cases.append((NOTIONAL, rule, run.notional, its.notional))
            for ratio, distance in its.distances.items():
                what = f"distance for {100 * ratio:.0f} %"
                cases.append((what, WHOLE, distance, its.moved))
            for what, rule, quantiles, realised in cases:
                for name in (ALL, group):
                    case = Case(market, quantiles, realised)
                    groups.setdefault((what, rule, name), []).append(case)
    order = {name: place for place, name in enumerate((WHOLE, STEPS))}
    keys = sorted(groups, key=lambda key: (key[2] != ALL, key[2], key[0], order[key[1]]))
    return [_predicted(*key, groups[key]) for key in keys]


def _predicted(what: str, rule: str, group: str, cases: Sequence[Case]) -> Predicted:
    errors = [
        math.log(case.realised / case.predicted.p50)
        for case in cases
        if case.realised > 0.0 and 0.0 < case.predicted.p50 < math.inf
    ]
    inside = sum(case.predicted.p10 <= case.realised <= case.predicted.p90 for case in cases)
    return Predicted(
        what=what,
        rule=rule,
        group=group,
        cascades=len(cases),
        markets=len({case.market for case in cases}),
        error_median=quantile([abs(error) for error in errors], 0.5),
        bias_median=quantile(errors, 0.5),
        coverage=share(inside, len(cases)),
        pit=pit_bins(cases),
        tests=[_test(level, place, cases) for place, level in enumerate(LEVELS)],
    )


def pit_bins(cases: Sequence[Case]) -> list[int]:
    """How many are below 10 %, from there to 50 %, from there to 90 %, and above.

    A calibrated prediction has 10, 40, 40 and 10 % there.

    >>> pit_bins([Case(0, Quantiles(1.0, 2.0, 4.0), realised) for realised in (0.5, 2.0, 5.0)])
    [1, 0, 1, 1]
    """
    bins = [0, 0, 0, 0]
    for case in cases:
        bins[sum(case.realised >= bound for bound in case.predicted)] += 1
    return bins


def _test(level: float, place: int, cases: Sequence[Case]) -> Test:
    below: dict[int, list[bool]] = {}
    for case in cases:
        below.setdefault(case.market, []).append(case.realised < case.predicted[place])
    counts = [(sum(its), len(its)) for its in below.values()]
    return Test(level, len(cases), sum(n for n, _ in counts), kupiec(counts, level))


def kupiec(counts: Sequence[tuple[int, int]], expected: float) -> float | None:
    """Return the p-value of Kupiec's test that a share is the expected one (1995, eq. 6).

    ``counts`` has the number below the quantile and of all, for each market. Cases of one market
    may depend on each other: the statistic is divided by the design effect of the share, at least
    1 (Rao and Scott, 1981). None without cases.

    >>> round(kupiec([(1, 1)] * 3 + [(0, 1)] * 7, 0.1), 3)
    0.08
    >>> round(kupiec([(2, 2)] * 3 + [(0, 2)] * 7, 0.1), 3)  # the same, twice in each market
    0.08
    >>> kupiec([], 0.1) is None
    True
    """
    cases = sum(n for _, n in counts)
    if not cases:
        return None
    below = sum(k for k, _ in counts)
    p = below / cases

    def likelihood(q: float) -> float:
        parts = ((below, q), (cases - below, 1.0 - q))
        return sum(n * math.log(x) for n, x in parts if n)

    effect = 1.0
    if 0.0 < p < 1.0:
        spread = sum((k - n * p) ** 2 for k, n in counts)
        effect = max(1.0, spread / (cases * p * (1.0 - p)))
    statistic = max(0.0, 2.0 * (likelihood(p) - likelihood(expected))) / effect
    return math.erfc(math.sqrt(statistic / 2.0))
