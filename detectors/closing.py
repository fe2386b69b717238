"""The ended bars of several symbols, which are judged and learned at once."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from detectors.detector import Detector
from detectors.estimators import Estimators
from detectors.feed.checks import FeedBar, close_streams
from detectors.feed.silence import Silences
from detectors.incidents.alerts import Alert
from detectors.judging.tail import DAY_SECONDS
from detectors.market_data.bar import Bar, BookState
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.columns import BarFlow, MarketColumns, Sums
from detectors.parameters import Parameters, effective_tests
from detectors.scorer import Measured, Reading, Scorers, Verdict
from detectors.table import Writes


class Columns:
    """What the symbols of a partition learn, in columns: a row for each symbol.

    Parameters
    ----------
    parameters
        The parameters that the symbols share.
    detectors
        The detectors that run on the symbols.
    """

    __slots__ = ("_bar_ns", "estimators", "market", "scorers", "silences")

    def __init__(self, parameters: Parameters, detectors: tuple[Detector, ...]) -> None:
        self._bar_ns = parameters.bar_ns
        self.market = MarketColumns(parameters.bar_seconds)
        self.silences = Silences(parameters.bar_seconds)
        self.scorers = Scorers(
            detectors,
            tests=effective_tests(detectors),
            bar_seconds=parameters.bar_seconds,
            warmup_bars=parameters.warmup_bars,
            quiet_bars=max(1, parameters.quiet_ns // parameters.bar_ns),
        )
        self.estimators = Estimators(detectors, self.scorers)

    def add(self, budget_per_day: float) -> int:
        """Return the row of a new symbol with this budget of false alarms."""
        before = len(self.scorers.budgets)
        row = self.scorers.add(budget_per_day / self.scorers.tests)
        if len(self.scorers.budgets) > before:
            self.market.resize(len(self.scorers.budgets))
            self.silences.resize(len(self.scorers.budgets))
        return row

    def remove(self, row: int) -> None:
        """Forget a symbol; another one may take its row."""
        self.market.clear(row)
        self.silences.clear(row)
        self.scorers.remove(row)
        self.estimators.remove(row)

    def sum_up(self, ended: Sequence["Ended"]) -> list["Summed"]:
        """Add ended bars of different symbols to what is known of their flow and depth."""
        if not ended:
            return []
        rows = np.array([its.flow.row for its in ended], dtype=np.intp)
        with np.errstate(all="ignore"), Writes() as writes:
            silent = close_streams(self.silences, rows, [its.feed for its in ended], writes)
            sums = self.market.add_many(rows, [its.flow for its in ended], writes)
        return [Summed(*its) for its in zip(sums, silent.tolist(), strict=True)]

    def measure(self, row: int, bar: Bar, *, settling: bool) -> Measured:
        """Return the features of a bar of a symbol. While ``settling``, no estimator learns it."""
        measured = self.scorers.measure(bar)
        if self.estimators.detectors:
            self.estimators.step(row, bar, measured, settling=settling)
        return measured

    def judge(self, closings: Sequence["Closing"]) -> list[Verdict | None]:
        """Judge and learn ended bars; a bar that is paused or settling has no verdict."""
        judged = [
            (closing.row, closing.bar.ends_at // self._bar_ns, closing.measured)
            for closing in closings
            if closing.measured is not None and not closing.settling
        ]
        if not judged:
            return [None] * len(closings)
        rows, numbers, measured = zip(*judged, strict=True)
        scored = self.scorers.step_many(
            np.array(rows, dtype=np.intp), np.array(numbers, dtype=np.int64), measured
        )
        places = iter(range(len(judged)))
        return [
            None if closing.measured is None or closing.settling else Verdict(scored, next(places))
            for closing in closings
        ]


class Ended(NamedTuple):
    """A bar of a symbol that has ended, before it is summed up.

    ``closed`` is the state of the book at its end. ``layered`` and ``spoofed`` are the largest sums
    of one account; None where no order states one. ``settling``: the bar is not judged, after a
    lull. ``feed`` is what the feed checks have found, ``escalates`` whether its findings do.
    """

    ends_at: int
    flow: BarFlow
    closed: BookState | None
    layered: float | None
    spoofed: float | None
    settling: bool
    feed: FeedBar
    escalates: bool


class Summed(NamedTuple):
    """The sums of a bar, and whether a stream of the symbol may be silent."""

    sums: Sums
    may_be_silent: bool


class Closing(NamedTuple):
    """A bar of a symbol that was summed up, before it is judged.

    ``row`` is that of the symbol. ``median_spread`` and ``median_size`` are those of the next bar,
    see `Sums`. ``measured`` is None if the symbol is paused. ``alerts`` and
    ``inputs`` are those of the feed.
    """

    row: int
    bar: Bar
    median_spread: float
    median_size: float
    measured: Measured | None
    settling: bool
    alerts: list[Alert]
    inputs: list[str]


class Signal(Struct, frozen=True):
    """The results of the detectors for one bar of a symbol.

    ``stress_ratio`` is 0 for an ordinary bar and 1 for an alarm, unless the statistic alarmed
    before: then its controller asks for more. It is the place of the most surprising reading
    between the two, in log probability; None while every detector is warming up. ``inputs`` holds
    the current findings about the symbol's feed. ``book`` is the summary of its book and flow; None
    unless the risk of positions is watched.
    """

    symbol: str
    ts_event: int
    stress_ratio: float | None
    detectors: dict[str, Reading]
    inputs: list[str] = []
    book: BookSummary | None = None


def stress_ratio(p_value: float, budget_per_day: float, bar_seconds: float) -> float:
    """Return the place of a p-value between no surprise (0) and an alarm (1).

    The scale is log probability. A statistic that alarmed before may reach 1 without an alarm: its
    controller asks for more, see `detectors.judging.controller`.

    >>> stress_ratio(1.0, 1.0, 1.0), stress_ratio(1.0 / 86_400.0, 1.0, 1.0)
    (0.0, 1.0)
    """
    at_alarm = min(0.5, budget_per_day * bar_seconds / DAY_SECONDS)
    return min(1.0, abs(math.log(max(p_value, 1e-300)) / math.log(at_alarm)))


def mean_budget_per_day(parameters: Collection[Parameters], default: float) -> float:
    """Return the mean false-alarm budget per symbol and day; ``default`` without symbols."""
    if not parameters:
        return default
    return sum(its.false_alarms_per_day for its in parameters) / len(parameters)
