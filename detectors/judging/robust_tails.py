"""Statistics that are judged one by one: each has a baseline, a tail and a p-value of its own.

Values of several statistics are never mixed into one score: the heavy tail of one would hide the
others.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from river import base

from detectors.judging.baseline import Baselines, BaselineState, Kind
from detectors.judging.tail import LEAST_BLOCKS, Tails, TailState
from detectors.table import Flags, Floats, Ints, RowNumbers, Rows, Writes, at, enlarged

BASELINE_SHARE = 0.5
"""The share of the warm-up that teaches the baselines. The rest teaches the tails."""


class Statistic(Struct, frozen=True):
    """How one statistic is judged.

    ``floor`` is its smallest value that matters, whatever its tail says; for a ``net`` statistic,
    the smallest deviation. ``cap`` is the largest value that the statistic can take; at its cap it
    does not say how much, and cannot alarm alone. ``unit`` is the smallest scale of its tail.
    """

    kind: Kind = "plain"
    floor: float = 0.0
    unit: float = 1.0
    cap: float = math.inf


class Judgement(NamedTuple):
    """The judgement of one statistic: how many blocks of bars a day reach its value by chance.

    ``matters`` is whether the value is beyond the floor, and not at its cap.
    """

    name: str
    value: float
    usual: float
    score: float
    per_day: float
    matters: bool


class Judgements(NamedTuple):
    """The judgements of a bar, see `Judgement`: arrays with a row a symbol, a column a statistic.

    ``known`` says which statistics have a value and can be judged; the rest is arbitrary for the
    others.
    """

    value: Floats
    usual: Floats
    score: Floats
    per_day: Floats
    matters: Flags
    known: Flags


class RobustTailsState(Struct):
    """The learned statistics of one symbol; part of a snapshot.

    ``bars`` is the number of bars that were learned.
    """

    bars: int
    baselines: dict[str, BaselineState]
    tails: dict[str, TailState]


PLAIN = Statistic()


class RobustTails(base.AnomalyDetector):
    """Judges each statistic by its own baseline and tail; the score is the rarest one's rarity.

    It learns any number of symbols, each in a row of its own: ``learn_many`` and ``score_many`` are
    `learn_one` and `score_one` for one bar of several symbols. A new model has one row.

    Parameters
    ----------
    statistics
        How each statistic is judged, by name. Other statistics are `PLAIN`.
    bar_seconds
        The length of a bar.
    warmup_bars
        The number of bars that are learned before the first one can be judged, at least 40.

    Attributes
    ----------
    columns
        The column of each statistic.
    bars
        The number of bars that were learned, by row and column.

    Examples
    --------
    >>> import random
    >>> noise = random.Random(1)
    >>> model = RobustTails({"cancels": Statistic("count")}, warmup_bars=600)
    >>> for _ in range(3_600):
    ...     model.learn_one({"cancels": float(noise.randrange(10))})
    >>> model.score_one({"cancels": 9.0}) < 2.0 < model.score_one({"cancels": 90.0})
    True
    >>> model.judge_one({"cancels": 90.0})[0].matters
    True
    """

    def __init__(
        self,
        statistics: Mapping[str, Statistic] | None = None,
        bar_seconds: float = 1.0,
        warmup_bars: int = 240,
    ) -> None:
        self.statistics = statistics
        self.bar_seconds = bar_seconds
        self.warmup_bars = warmup_bars
        known = dict(statistics or {})
        self.columns = {name: column for column, name in enumerate(known)}
        self._kept = list(known.values())
        self._floors: Floats = np.array([its.floor for its in self._kept])
        self._caps: Floats = np.array([its.cap for its in self._kept])
        self._baseline_bars = int(BASELINE_SHARE * warmup_bars)
        block_bars = max(1, (warmup_bars - self._baseline_bars) // LEAST_BLOCKS)
        self.baselines = Baselines([its.kind for its in self._kept])
        self.tails = Tails([its.unit for its in self._kept], block_bars, bar_seconds)
        self.bars: Ints = np.zeros((0, len(self._kept)), dtype=np.int64)
        self._rows = RowNumbers()
        self.add_row()

    def add_row(self) -> int:
        """Return a row without anything learned."""
        row = self._rows.take()
        if self._rows.capacity > len(self.bars):
            self.bars = enlarged(self.bars, (self._rows.capacity, len(self._kept)))
            self.baselines.resize(self._rows.capacity)
            self.tails.resize(self._rows.capacity)
        return row

    def remove_row(self, row: int) -> None:
        """Forget a row; another symbol may take it."""
        self.bars[row] = 0
        self.baselines.clear(row)
        self.tails.clear(row)
        self._rows.give_back(row)

    def _begin(self, name: str) -> None:
        """Begin with a statistic that the parameters do not name."""
        self.columns[name] = len(self._kept)
        self._kept.append(PLAIN)
        self._floors = np.append(self._floors, PLAIN.floor)
        self._caps = np.append(self._caps, PLAIN.cap)
        self.baselines.add_plain()
        self.tails.add(PLAIN.unit)
        self.bars = enlarged(self.bars, (len(self.bars), len(self._kept)))

    @property
    def warming_up(self) -> bool:
        """Whether no statistic of the first row can be judged yet."""
        return self.tails.warming_up(0, slice(None))

    def _one(self, x: Mapping[str, float]) -> Floats:
        """Return the values of the first row; those that are not known are left out."""
        return np.array([[x.get(name, math.nan) for name in self.columns]], dtype=np.float64)

    def learn_one(self, x: dict[str, float]) -> None:  # type: ignore[override]  # names are str
        """Learn the statistics of one bar. A statistic without a finite value counts as usual."""
        for name in x:
            if name not in self.columns:
                self._begin(name)
        self.learn_many(self._one(x), FIRST)

    def learn_many(self, values: Floats, rows: Rows, stepped: Flags | None = None) -> None:
        """Learn one bar of several rows.

        Parameters
        ----------
        values
            The statistics, a row for each of ``rows``; NaN where there is none.
        rows
            The row of each symbol, each once.
        stepped
            Which statistics learn this bar; None for all. The others stay as they are.
        """
        with np.errstate(all="ignore"), Writes() as writes:
            scores = self.baselines.score_many(self.baselines.deviation_many(rows, values))
            finite = np.isfinite(values)
            learns = np.ones_like(finite) if stepped is None else stepped
            self._learn(values, rows, learns, finite, scores, writes)

    def _learn(
        self,
        values: Floats,
        rows: Rows,
        learns: Flags,
        finite: Flags,
        scores: Floats,
        writes: Writes,
    ) -> None:
        given, place = finite & learns, at(rows)
        bars = self.bars[place] + learns
        learned = np.where(given, scores, 0.0)
        self.tails.learn_many(rows, learned, learns & (bars > self._baseline_bars), writes)
        self.baselines.learn_many(rows, values, given, writes)
        writes.put(self.bars, place, bars)

    def judge_many(self, values: Floats, rows: Rows) -> Judgements:
        """Return the judgements of one bar of several rows, see `learn_many`."""
        with np.errstate(all="ignore"):
            return self._judge(values, rows, np.isfinite(values))

    def _judge(self, values: Floats, rows: Rows, finite: Flags) -> Judgements:
        deviations = self.baselines.deviation_many(rows, values)
        scores = self.baselines.score_many(deviations)
        size = np.where(self.baselines.is_net, deviations, values)
        return Judgements(
            values,
            self.baselines.usual[rows],
            scores,
            self.tails.per_day_many(rows, scores),
            (self._floors <= size) & (values < self._caps),
            finite & self.tails.known_many(rows),
        )

    def step_many(self, values: Floats, rows: Rows, stepped: Flags, writes: Writes) -> Judgements:
        """Judge one bar of several rows; ``writes`` takes what is learned, see `learn_many`."""
        finite = np.isfinite(values)
        with np.errstate(all="ignore"):
            judgements = self._judge(values, rows, finite)
            self._learn(values, rows, stepped, finite, judgements.score, writes)
        return judgements

    def judge_one(self, x: Mapping[str, float]) -> list[Judgement]:
        """Return the judgement of each statistic that can be judged, the rarest first."""
        return listed(self.judge_many(self._one(x), FIRST), 0, self.columns)

    def score_one(self, x: dict[str, float]) -> float:  # type: ignore[override]  # names are str
        """Return minus the decimal logarithm of the share of blocks that are as extreme."""
        return float(self.score_many(self._one(x), FIRST)[0])

    def score_many(self, values: Floats, rows: Rows) -> Floats:
        """Return the scores of one bar of several rows, see `learn_many` and `score_one`."""
        judgements = self.judge_many(values, rows)
        share = judgements.per_day / self.tails.blocks_per_day(rows)
        rarest = np.where(judgements.known, share, 1.0).min(axis=1, initial=1.0)
        scores: Floats = np.abs(np.log10(np.maximum(rarest, 1e-300)))
        return scores

    def usual(self, name: str) -> float:
        """Return the usual value of a statistic of the first row."""
        return float(self.baselines.usual[0, self.columns[name]])

    def threshold(self, name: str, per_day: float) -> float:
        """Return the score of a statistic that ``per_day`` blocks a day reach by chance."""
        return self.tails.threshold(0, self.columns[name], per_day)

    def state(self, row: int, columns: Mapping[str, int]) -> RobustTailsState:
        """Return what a row has learned of some columns, for a snapshot."""
        return RobustTailsState(
            int(self.bars[row, list(columns.values())].max(initial=0)),
            {name: self.baselines.state(row, column) for name, column in columns.items()},
            {name: self.tails.state(row, column) for name, column in columns.items()},
        )

    def restore(self, row: int, columns: Mapping[str, int], state: RobustTailsState) -> None:
        """Let a row continue from the state of a snapshot; other columns begin anew."""
        for name in columns.keys() & state.baselines.keys() & state.tails.keys():
            self.bars[row, columns[name]] = state.bars
            self.baselines.restore(row, columns[name], state.baselines[name])
            self.tails.restore(row, columns[name], state.tails[name])


FIRST: Rows = np.array([0], dtype=np.intp)
"""The row of a model of one symbol."""


def listed(judgements: Judgements, place: int, columns: Mapping[str, int]) -> list[Judgement]:
    """Return the judgements of one symbol that are known, the rarest first.

    ``place`` is the symbol's row in the arrays.
    """
    known = [
        Judgement(
            name,
            float(judgements.value[place, column]),
            float(judgements.usual[place, column]),
            float(judgements.score[place, column]),
            float(judgements.per_day[place, column]),
            bool(judgements.matters[place, column]),
        )
        for name, column in columns.items()
        if judgements.known[place, column]
    ]
    return sorted(known, key=lambda its: (its.per_day, its.name))
