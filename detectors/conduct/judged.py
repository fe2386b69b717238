"""Judges a score of each symbol, one a second, by its own tail under a budget of false alarms."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from detectors.judging.controller import Controllers
from detectors.judging.tail import DAY_SECONDS, Tails
from detectors.table import RowNumbers, Writes, enlarged

FALSE_ALARMS_PER_DAY = 0.1
"""The budget of a detector and symbol: a tenth of what all detectors of the flow share."""

FORGET_SECONDS = 86_400
"""A symbol without a score for so long is forgotten, so that listings do not pile up."""

QUIET_SECONDS = 60
"""Seconds without an alarm that end a run, which the budget counts once."""


class Judgement(NamedTuple):
    """How rare a score is.

    Attributes
    ----------
    holds
        Whether it is rarer than the budget allows now.
    per_day
        How often a day chance reaches it; infinite while the tail is not known.
    p_value
        The probability that chance reaches it in a second, from 0 to 1; 1 while unknown.
    at_alarm
        The score that chance reaches as often as the budget allows; 0 while unknown.
    """

    holds: bool
    per_day: float
    p_value: float
    at_alarm: float


UNKNOWN = Judgement(holds=False, per_day=np.inf, p_value=1.0, at_alarm=0.0)


class Judged:
    """The tails of one score, a row for each symbol.

    Parameters
    ----------
    unit
        The smallest scale of the score's excesses, in its unit: a score that is almost always the
        same has no scale of its own.
    budget_per_day
        How many alarms a day chance may raise in a symbol, above 0.

    Examples
    --------
    Twenty minutes of ordinary scores, and then one that is far beyond:

    >>> ordinary = np.random.default_rng(1)
    >>> judged = Judged(unit=0.1)
    >>> for second in range(1_200):
    ...     its = judged.judge(second, {"X": float(ordinary.exponential())})["X"]
    >>> its.holds, judged.judge(1_200, {"X": 40.0})["X"].holds
    (False, True)
    """

    __slots__ = ("_controllers", "_numbers", "_rows", "_seen", "_tails", "budget_per_day")

    def __init__(self, unit: float, budget_per_day: float = FALSE_ALARMS_PER_DAY) -> None:
        self.budget_per_day = budget_per_day
        self._tails = Tails([unit])
        self._controllers = Controllers(1, QUIET_SECONDS)
        self._rows = RowNumbers()
        self._numbers: dict[str, int] = {}
        self._seen = np.zeros(0, dtype=np.int64)

    def judge(self, second: int, scores: Mapping[str, float]) -> dict[str, Judgement]:
        """Judge the scores of a second, and then learn them.

        Parameters
        ----------
        second
            The number of the second, which rises.
        scores
            By symbol, finite. A symbol that is left out is neither judged nor learned.
        """
        if not scores:
            return {}
        rows = np.array([self._row(symbol, second) for symbol in scores])
        values = np.array([*scores.values()], dtype=np.float64)[:, None]
        known = self._tails.known_many(rows)
        per_day = self._tails.per_day_many(rows, values)
        budgets = np.full(len(rows), self.budget_per_day)
        alarms = self._controllers.alarms_many(rows, per_day, known, budgets)
        skipped = np.maximum(second - self._seen[rows] - 1, 0)
        self._controllers.skip_many(rows, skipped, budgets / DAY_SECONDS)
        with Writes() as writes:
            self._controllers.step_many(rows, alarms, budgets / DAY_SECONDS, writes)
            self._tails.learn_many(rows, values, np.ones_like(known), writes)
        self._seen[rows] = second
        self._forget(second)
        return {
            symbol: self._judgement(row, holds=holds, per_day=rate) if is_known else UNKNOWN
            for symbol, row, holds, rate, is_known in zip(
                scores, rows.tolist(), alarms[:, 0].tolist(), per_day[:, 0].tolist(),
                known[:, 0].tolist(), strict=True,
            )
        }  # fmt: skip

    def _judgement(self, row: int, *, holds: bool, per_day: float) -> Judgement:
        at_alarm = self._tails.threshold(row, 0, self.budget_per_day) if holds else 0.0
        return Judgement(holds, per_day, min(1.0, per_day / DAY_SECONDS), at_alarm)

    def _row(self, symbol: str, second: int) -> int:
        row = self._numbers.get(symbol)
        if row is None:
            row = self._numbers[symbol] = self._rows.take()
            if self._rows.capacity > len(self._seen):
                self._seen = enlarged(self._seen, (self._rows.capacity,))
                self._tails.resize(self._rows.capacity)
                self._controllers.resize(self._rows.capacity)
            self._seen[row] = second - 1
        return row

    def _forget(self, second: int) -> None:
        """Forget symbols that are gone, once an hour."""
        if second % 3_600:
            return
        for symbol, row in [*self._numbers.items()]:
            if second - self._seen[row] > FORGET_SECONDS:
                del self._numbers[symbol]
                self._tails.clear(row)
                self._controllers.clear(row)
                self._rows.give_back(row)
