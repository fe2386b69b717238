"""Statistics that are judged one by one: each has a baseline, a tail and a p-value of its own.

Values of several statistics are never mixed into one score: the heavy tail of one would hide the
others.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct
from river import base

from detectors.judging.baseline import Baseline, BaselineState, Kind
from detectors.judging.tail import LEAST_BLOCKS, Tail, TailState

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


class RobustTailsState(Struct):
    """The learned state of RobustTails; part of a snapshot."""

    bars: int
    baselines: dict[str, BaselineState]
    tails: dict[str, TailState]


PLAIN = Statistic()


class RobustTails(base.AnomalyDetector):
    """Judges each statistic by its own baseline and tail; the score is the rarest one's rarity.

    Parameters
    ----------
    statistics
        How each statistic is judged, by name. Other statistics are `PLAIN`.
    bar_seconds
        The length of a bar.
    warmup_bars
        The number of bars that are learned before the first one can be judged, at least 40.

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
        self.bars = 0
        self._judged: dict[str, tuple[Statistic, Baseline, Tail]] = {}
        for name in statistics or ():
            self._begin(name)

    def _begin(self, name: str) -> tuple[Statistic, Baseline, Tail]:
        statistic = (self.statistics or {}).get(name, PLAIN)
        block_bars = max(1, (self.warmup_bars - self._baseline_bars) // LEAST_BLOCKS)
        tail = Tail(statistic.unit, block_bars, self.bar_seconds)
        judged = self._judged[name] = (statistic, Baseline(statistic.kind), tail)
        return judged

    @property
    def _baseline_bars(self) -> int:
        return int(BASELINE_SHARE * self.warmup_bars)

    @property
    def warming_up(self) -> bool:
        """Whether no statistic can be judged yet."""
        return all(tail.warming_up for _, _, tail in self._judged.values())

    def learn_one(self, x: dict[str, float]) -> None:  # type: ignore[override]  # names are str
        """Learn the statistics of one bar. A statistic without a finite value counts as usual."""
        for name in x.keys() - self._judged.keys():
            self._begin(name)
        self.bars += 1
        learns_tails = self.bars > self._baseline_bars
        for name, (_, baseline, tail) in self._judged.items():
            value = x.get(name, math.nan)
            is_given = math.isfinite(value)
            if learns_tails:
                tail.learn(baseline.score(value) if is_given else 0.0)
            if is_given:
                baseline.learn(value)

    def judge_one(self, x: Mapping[str, float]) -> list[Judgement]:
        """Return the judgement of each statistic that can be judged, the rarest first."""
        judgements = []
        for name, value in x.items():
            if name not in self._judged or not math.isfinite(value):
                continue
            statistic, baseline, tail = self._judged[name]
            if tail.warming_up:
                continue
            score = baseline.score(value)
            size = baseline.deviation(value) if statistic.kind == "net" else value
            matters = statistic.floor <= size and value < statistic.cap
            per_day = tail.per_day(score)
            judgements.append(Judgement(name, value, baseline.usual, score, per_day, matters))
        return sorted(judgements, key=lambda its: (its.per_day, its.name))

    def score_one(self, x: dict[str, float]) -> float:  # type: ignore[override]  # names are str
        """Return minus the decimal logarithm of the share of blocks that are as extreme."""
        judgements = self.judge_one(x)
        if not judgements:
            return 0.0
        rarest = judgements[0]
        blocks_per_day = self._judged[rarest.name][2].blocks_per_day
        return -math.log10(max(rarest.per_day / blocks_per_day, 1e-300))

    def usual(self, name: str) -> float:
        """Return the usual value of a statistic."""
        return self._judged[name][1].usual

    def threshold(self, name: str, per_day: float) -> float:
        """Return the score of a statistic that ``per_day`` blocks a day reach by chance."""
        return self._judged[name][2].threshold(per_day)

    def state(self) -> RobustTailsState:
        """Return the learned state, for a snapshot."""
        return RobustTailsState(
            self.bars,
            {name: baseline.state() for name, (_, baseline, _) in self._judged.items()},
            {name: tail.state() for name, (_, _, tail) in self._judged.items()},
        )

    def restore(self, state: RobustTailsState) -> None:
        """Continue from the state of a snapshot."""
        self.bars = state.bars
        for name in state.baselines.keys() & state.tails.keys():
            _, baseline, tail = self._judged.get(name) or self._begin(name)
            baseline.restore(state.baselines[name])
            tail.restore(state.tails[name])
