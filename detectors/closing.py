"""The ended bars of several symbols, which are judged and learned at once."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.detector import Detector
from detectors.incidents.alerts import Alert
from detectors.judging.tail import DAY_SECONDS
from detectors.market_data.bar import Bar
from detectors.parameters import Parameters, effective_tests
from detectors.scorer import Measured, Scorers, Verdict


class Closing(NamedTuple):
    """A bar of a symbol that has ended, before it is judged.

    ``row`` is that of the symbol. ``measured`` is None if the symbol is paused. ``settling``: the
    bar is not judged, after a lull. ``alerts`` and ``inputs`` are those of the feed.
    """

    row: int
    bar: Bar
    measured: Measured | None
    settling: bool
    alerts: list[Alert]
    inputs: list[str]


def scorers_of(parameters: Parameters, detectors: tuple[Detector, ...]) -> Scorers:
    """Return the detectors of symbols that share these parameters, without any symbol."""
    return Scorers(
        detectors,
        tests=effective_tests(detectors),
        bar_seconds=parameters.bar_seconds,
        warmup_bars=parameters.warmup_bars,
        quiet_bars=max(1, parameters.quiet_ns // parameters.bar_ns),
    )


def judge(scorers: Scorers, closings: Sequence[Closing]) -> list[Verdict | None]:
    """Judge and learn ended bars; a bar that is paused or settling has no verdict.

    If this raises an exception, nothing has been learned of any of them.
    """
    judged = [
        (closing.row, closing.measured)
        for closing in closings
        if closing.measured is not None and not closing.settling
    ]
    if not judged:
        return [None] * len(closings)
    rows, measured = zip(*judged, strict=True)
    scored = scorers.step_many(np.array(rows, dtype=np.intp), measured)
    places = iter(range(len(judged)))
    return [
        None if closing.measured is None or closing.settling else Verdict(scored, next(places))
        for closing in closings
    ]


def stress_ratio(p_value: float, budget_per_day: float, bar_seconds: float) -> float:
    """Return the place of a p-value between no surprise (0) and an alarm (1).

    The scale is log probability.

    >>> stress_ratio(1.0, 1.0, 1.0), stress_ratio(1.0 / 86_400.0, 1.0, 1.0)
    (0.0, 1.0)
    """
    at_alarm = min(0.5, budget_per_day * bar_seconds / DAY_SECONDS)
    return min(1.0, abs(math.log(max(p_value, 1e-300)) / math.log(at_alarm)))
