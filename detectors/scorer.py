"""Run the detectors of all symbols of a partition: statistics, their judgement and warm-up."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.detector import Detector, Features, never
from detectors.judging.controller import STEP, Controllers, ControllerState
from detectors.judging.robust_tails import (
    Judgement,
    Judgements,
    RobustTails,
    RobustTailsState,
    Statistic,
    listed,
)
from detectors.judging.surprise import Contribution
from detectors.judging.tail import DAY_SECONDS
from detectors.market_data.bar import Bar
from detectors.table import Flags, Floats, Ints, Rows, Writes, enlarged, some

OFTEN = 3.5 * STEP
"""The bar of a controller from which its test alarms often: four runs of alarms in short order. The
bar falls between them, so four runs give less than four steps. It is told as a drift: what is usual
has changed, or the noise of the test is misjudged."""

IMMATERIAL_PER_DAY = 24.0
"""A value that does not matter counts as one that chance reaches at least so often a day."""

Status = Literal["no_input", "paused", "warming_up", "too_sparse", "scoring"]


class Reading(Struct, frozen=True):
    """The result of a detector for one bar; score and p-value are set only while it is scoring.

    It is ``paused`` while the symbol does not trade continuously, see ``detectors.venue``.
    ``contributions`` explain an alarm, the rarest statistic first. ``p_value`` is the probability
    that chance gives one bar of any statistic of the symbol as rare as the rarest of this detector.
    ``score`` is minus its decimal logarithm. ``suppressed`` is the reason why an alarm has no
    effect. ``drift`` holds the features with a lasting change, or whose test begins to alarm often,
    in the one bar that finds it, the most changed first. ``drift_suppressed`` is the reason why it
    is not reported.
    """

    status: Status
    features: Features
    score: float | None = None
    p_value: float | None = None
    alarm: bool = False
    contributions: list[Contribution] = []
    suppressed: str | None = None
    drift: list[Contribution] = []
    drift_suppressed: str | None = None

    @property
    def effective(self) -> bool:
        """Whether the reading is an alarm that opens, escalates or prolongs an incident."""
        return self.alarm and self.suppressed is None


class ScorerState(Struct):
    """The learned state of one detector of a symbol; part of a snapshot.

    ``number`` is that of the last bar that was judged, -1 before the first.
    """

    model: RobustTailsState
    controllers: dict[str, ControllerState]
    number: int = -1


NO_INPUT = Reading("no_input", {})
PAUSED = Reading("paused", {})


def too_sparse(reading: Reading) -> Reading:
    """Return the reading of a symbol that has too few events to be judged."""
    return replace(reading, status="too_sparse") if reading.status == "warming_up" else reading


class Measured(NamedTuple):
    """The detectors' features of one bar of one symbol, None for a detector without its inputs.

    ``values`` holds the statistics of all detectors in the order of the columns, NaN where there is
    none. ``explained`` says whether the market's activity explains them, for each detector that it
    may explain.
    """

    features: list[Features | None]
    values: list[float]
    explained: list[bool]


class Scored(NamedTuple):
    """The judgements of one bar of several symbols.

    ``p_values`` has a row for each symbol and a column for each detector; None while the detector
    cannot be judged. ``alarms`` and ``often`` say for each statistic whether it alarms, and whether
    this alarm is one of many in short order; None if there is no alarm at all.
    """

    judgements: Judgements
    p_values: list[list[float | None]]
    alarms: Flags | None
    often: Flags | None


class Verdict(NamedTuple):
    """The judgement of a bar: its place among the bars that were judged at once."""

    scored: Scored
    place: int


class Scorers:
    """The alarming detectors of the symbols of a partition, a row for each symbol.

    Parameters
    ----------
    detectors
        The detectors; those that raise no alarms are left out.
    tests
        The effective number of statistics of a symbol.
    bar_seconds
        The length of a bar.
    warmup_bars
        The number of bars that are learned before the first is judged.
    quiet_bars
        The number of bars without an alarm that ends a run of alarms of a statistic.

    Attributes
    ----------
    detectors
        The detectors that are judged.
    columns
        For each detector, the column of each statistic.
    budgets
        The false alarms a day that each statistic may raise, by row.
    numbers
        The number of the last bar that was judged, by row; -1 before the first.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        *,
        tests: float,
        bar_seconds: float,
        warmup_bars: int,
        quiet_bars: int,
    ) -> None:
        self.detectors = tuple(detector for detector in detectors if detector.alarms)
        self.tests = tests
        self.bar_seconds = bar_seconds
        self.columns: list[Mapping[str, int]] = []
        statistics: dict[str, Statistic] = {}
        for detector in self.detectors:
            first = len(statistics)
            self.columns.append({name: first + i for i, name in enumerate(detector.statistics)})
            statistics |= {f"{detector.name}.{n}": its for n, its in detector.statistics.items()}
        self._names = [(tuple(names), (math.nan,) * len(names)) for names in self.columns]
        widths = [len(names) for names in self.columns]
        self._begins = np.cumsum([0, *widths[:-1]])
        self._detector_of = np.repeat(np.arange(len(widths)), widths)
        explainable = [(i, d) for i, d in enumerate(self.detectors) if d.explained is not never]
        self._explained_by = [detector.explained for _, detector in explainable]
        # The columns of each of them.
        ends = np.cumsum(widths).tolist()
        self._explainable = [slice(ends[i] - widths[i], ends[i]) for i, _ in explainable]
        self._unknown = [None] * len(self.detectors)
        self.model = RobustTails(statistics, bar_seconds, warmup_bars)
        self.model.remove_row(0)  # the first symbol takes it
        self.controllers = Controllers(len(statistics), quiet_bars)
        self.budgets: Floats = np.zeros(0)
        self.numbers: Ints = np.zeros(0, dtype=np.int64)

    def add(self, budget_per_day: float) -> int:
        """Return the row of a new symbol whose statistics have this budget each."""
        row = self.model.add_row()
        rows = len(self.model.bars)
        if rows > len(self.budgets):
            self.budgets = enlarged(self.budgets, (rows,))
            self.numbers = enlarged(self.numbers, (rows,))
            self.controllers.resize(rows)
        self.budgets[row] = budget_per_day
        self.numbers[row] = -1
        return row

    def remove(self, row: int) -> None:
        """Forget a symbol; another one may take its row."""
        self.model.remove_row(row)
        self.controllers.clear(row)

    def of(self, row: int) -> "list[Scorer]":
        """Return the detectors of one symbol."""
        return [Scorer(self, i, row) for i in range(len(self.detectors))]

    def measure(self, bar: Bar) -> Measured:
        """Return the features of a bar."""
        features = [detector.features(bar) for detector in self.detectors]
        values: list[float] = []
        for (names, nothing), x in zip(self._names, features, strict=True):
            values += nothing if x is None else map(x.get, names, nothing)
        return Measured(features, values, [explained(bar) for explained in self._explained_by])

    def step_many(self, rows: Rows, numbers: Ints, measured: Sequence[Measured]) -> Scored:
        """Judge a bar of each row, then learn it.

        ``numbers`` count the bars of event time; those between two steps of a row were not judged.
        """
        values = np.array([its.values for its in measured], dtype=np.float64)
        given = np.array([[x is not None for x in its.features] for its in measured])
        budgets, last = self.budgets[rows], self.numbers[rows]
        budgets_per_bar = budgets * self.bar_seconds / DAY_SECONDS
        behind = (last >= 0) & (last < numbers - 1)
        if some(behind):
            # Not a part of the step: the time before the bar passes once, whether it fails or not.
            late, before = rows[behind], numbers[behind] - 1
            self.controllers.skip_many(late, before - last[behind], budgets_per_bar[behind])
            self.numbers[late] = before
        with Writes() as writes:
            stepped = given.take(self._detector_of, 1)
            judgements = self.model.step_many(values, rows, stepped, writes)
            known, per_day, matters = judgements.known, judgements.per_day, judgements.matters
            explained = np.array([its.explained for its in measured], dtype=np.bool_)
            for place, columns in enumerate(self._explainable):
                matters[:, columns] &= ~explained[:, place : place + 1]
            alarms = self.controllers.alarms_many(rows, per_day, known & matters, budgets)
            bar = self.controllers.step_many(rows, alarms, budgets_per_bar, writes)
            writes.put(self.numbers, rows, numbers)
            p_values = np.where(known, self._p_values(per_day, matters), np.inf)
            least = np.minimum.reduceat(p_values, self._begins, axis=1)
            judged = [[None if p > 1.0 else p for p in its] for its in least.tolist()]
            if not some(alarms):
                return Scored(judgements, judged, None, None)
            often = alarms & (self.controllers.bar[rows] < OFTEN) & (bar >= OFTEN)
            return Scored(judgements, judged, alarms, often)

    def _p_values(self, per_day: Floats, matters: Flags) -> Floats:
        """Return the p-values of judgements: see `Reading`. What does not matter is never rare."""
        rates = np.maximum(per_day, np.where(matters, 1e-300, IMMATERIAL_PER_DAY))
        return np.minimum(1.0, rates * self.tests * self.bar_seconds / DAY_SECONDS)

    def p_value(self, judgement: Judgement) -> float:
        """Return the p-value of one judgement, see `Reading`."""
        per_day, matters = np.array([judgement.per_day]), np.array([judgement.matters])
        return float(self._p_values(per_day, matters)[0])

    def readings(self, measured: Measured, verdict: Verdict | None) -> dict[str, Reading]:
        """Return the readings of one symbol; ``verdict`` is None if its bar was not judged."""
        readings: dict[str, Reading] = {}
        p_values = self._unknown if verdict is None else verdict.scored.p_values[verdict.place]
        for detector, x, p_value in zip(self.detectors, measured.features, p_values, strict=True):
            if x is None:
                readings[detector.name] = NO_INPUT
            elif p_value is None:
                readings[detector.name] = Reading("warming_up", x)
            else:
                score = abs(math.log10(p_value))  # not -0.0
                readings[detector.name] = Reading("scoring", x, score, p_value)
        if verdict is not None:
            scored, place = verdict
            if scored.alarms is not None and scored.alarms[place].any():
                self._explain(readings, scored, place)
        return readings

    def _explain(self, readings: dict[str, Reading], scored: Scored, place: int) -> None:
        """Mark the readings of a symbol that alarm, and explain them."""
        for detector, columns in zip(self.detectors, self.columns, strict=True):
            judgements = listed(scored.judgements, place, columns)
            alarmed, often = (
                [its for its in judgements if flags is not None and flags[place, columns[its.name]]]
                for flags in (scored.alarms, scored.often)
            )
            if alarmed:
                readings[detector.name] = replace(
                    readings[detector.name],
                    alarm=True,
                    contributions=_explained(alarmed, judgements),
                    drift=_explained(often, often),
                )


def _explained(alarmed: Sequence[Judgement], judgements: Sequence[Judgement]) -> list[Contribution]:
    """Return the alarmed statistics, then the others that are rarer than a block in ten."""
    weights = {
        its.name: max(0.0, math.log10(DAY_SECONDS / max(its.per_day, 1e-300))) for its in judgements
    }
    names = [its.name for its in alarmed]
    others = [its for its in judgements if its.name not in names and its.matters]
    total = sum(weights[its.name] for its in (*alarmed, *others)) or 1.0
    return [
        Contribution(its.name, its.value, its.usual, weights[its.name] / total)
        for its in (*alarmed, *others)
    ]


class Scorer:
    """One detector of one symbol: a view of its columns in the symbol's row."""

    __slots__ = ("_columns", "_row", "_scorers", "detector")

    def __init__(self, scorers: Scorers, place: int, row: int) -> None:
        self._scorers = scorers
        self._row = row
        self._columns = scorers.columns[place]
        self.detector = scorers.detectors[place]

    @property
    def warming_up(self) -> bool:
        """Whether too few bars have been learned to judge one."""
        first, *_ = self._columns.values()
        return self._scorers.model.tails.warming_up(
            self._row, slice(first, first + len(self._columns))
        )

    @property
    def bars(self) -> int:
        """The number of bars that were learned."""
        return int(self._scorers.model.bars[self._row, list(self._columns.values())].max())

    @property
    def budget_per_day(self) -> float:
        """The false alarms a day that each statistic may raise."""
        return float(self._scorers.budgets[self._row])

    def judged(self, x: Features) -> dict[str, tuple[float, float]]:
        """Return the p-value and the usual value of each statistic that can be judged."""
        values = np.full((1, len(self._scorers.model.columns)), np.nan)
        for name, column in self._columns.items():
            values[0, column] = x.get(name, math.nan)
        judgements = self._scorers.model.judge_many(values, np.array([self._row]))
        return {
            its.name: (self._scorers.p_value(its), its.usual)
            for its in listed(judgements, 0, self._columns)
        }

    @property
    def charged(self) -> list[str]:
        """The statistics that began a run of alarms in the last bar: charged to their budgets."""
        begun = self._scorers.controllers.begun[self._row]
        return [name for name, column in self._columns.items() if begun[column]]

    def credit(self, statistic: str) -> float:
        """Credit a run of alarms of a statistic that was right; see `Controllers.credit`."""
        column = self._columns.get(statistic)
        return 0.0 if column is None else self._scorers.controllers.credit(self._row, column)

    def debit(self, statistic: str, taken: float) -> None:
        """Take back a credit; see `Controllers.debit`."""
        column = self._columns.get(statistic)
        if column is not None:
            self._scorers.controllers.debit(self._row, column, taken)

    @property
    def highest_bar(self) -> float:
        """The highest bar of its controllers, in decades of evidence."""
        return float(self._scorers.controllers.bar[self._row, list(self._columns.values())].max())

    def threshold(self, name: str) -> float:
        """Return the score from which a statistic alarms, without the controller."""
        return self._scorers.model.tails.threshold(
            self._row, self._columns[name], self.budget_per_day
        )

    def state(self) -> ScorerState:
        """Return the learned state, for a snapshot."""
        controllers = self._scorers.controllers
        return ScorerState(
            self._scorers.model.state(self._row, self._columns),
            {name: controllers.state(self._row, its) for name, its in self._columns.items()},
            int(self._scorers.numbers[self._row]),
        )

    def restore(self, state: ScorerState) -> None:
        """Continue from the state of a snapshot."""
        self._scorers.model.restore(self._row, self._columns, state.model)
        self._scorers.numbers[self._row] = state.number
        for name in state.controllers.keys() & self._columns.keys():
            self._scorers.controllers.restore(
                self._row, self._columns[name], state.controllers[name]
            )
