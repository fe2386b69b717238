"""A bound on the number of alarms that holds for any sequence of values.

A tail is an estimate. If it is wrong, or the market changes, a test may alarm far more often than
its budget allows. The controller raises the bar after every alarm and lowers it as time passes.
"""

import math

import numpy as np
from msgspec import Struct

from detectors.table import Flags, Floats, Ints, Rows, Writes, at, enlarged, some

STEP = 0.5
"""By how much an alarm raises the bar: the next alarm must be three times as rare. It is small
enough for many episodes in one day."""

HIGHEST = 4.0
"""The highest evidence that counts: a value that is ten thousand times too rare passes any bar
below it. This bounds the alarms that are not in the budget to nine."""


class ControllerState(Struct):
    """The state of the controller of one statistic; part of a snapshot.

    ``bar`` is the evidence that an alarm needs. ``quiet_bars`` counts the bars since the last
    alarm, and ``entered`` is the bar that the first alarm of the current run had to pass.
    """

    bar: float = 0.0
    quiet_bars: int = -1
    entered: float = 0.0


class Controllers:
    r"""Decides whether the expected rate of a value is an alarm, under a budget of alarms.

    The evidence of a value that chance reaches $r$ times a day, with a budget of $b$ a day, is
    $e = \min(B, \log_{10}(b / r))$. It is an alarm if $e > q$, where the bar $q \ge 0$ begins at 0.
    The first alarm of a run adds $\eta$ to $q$, and a day takes off $\eta b$. A run ends after some
    bars without an alarm.

    The number $N$ of runs in $T$ days is at most $b T + (B + \eta) / \eta$, whatever the values
    are: an alarm needs $q < B$, so $q$ never exceeds $B + \eta$; and $q \ge \eta N - \eta b T$,
    because the floor at 0 only adds to $q$.

    A run that an operator judged right is credited: it takes off $\min(\eta, q)$. With $C$ runs
    credited, $q \ge \eta (N - C) - \eta b T$, because the floor again only adds to $q$. So
    $N - C \le b T + (B + \eta) / \eta$: the bound holds for the runs that were not confirmed. A
    credit that is taken back adds to $q$ what it took off, and may lift $q$ above $B + \eta$. With
    $R$ credits taken back, $N - C \le b T + (B + \eta) / \eta + R$: what was alarmed on a wrong
    credit cannot be undone, but it is paid off before the next alarm.

    Parameters
    ----------
    columns
        The number of statistics. Each symbol has a row.
    quiet_bars
        The number of bars without an alarm that ends a run.

    Attributes
    ----------
    bar
        The bar $q$ of each statistic.
    begun
        Which statistics began a run of alarms in the last bar that was judged.

    Examples
    --------
    >>> controllers = Controllers(columns=1, quiet_bars=60)
    >>> controllers.resize(1)
    >>> first, budget, judged = np.array([0]), np.array([1.0]), np.array([[True]])
    >>> controllers.alarms_many(first, np.array([[0.01]]), judged, budget)
    array([[ True]])
    >>> quiet = np.array([[False]])
    >>> for _ in range(100):
    ...     with Writes() as writes:
    ...         bar = controllers.step_many(first, quiet, budget / 86_400.0, writes)
    >>> controllers.alarms_many(first, np.array([[0.5]]), judged, budget)
    array([[ True]])
    """

    __slots__ = ("_entered", "_quiet", "bar", "begun", "quiet_bars")

    def __init__(self, columns: int, quiet_bars: int) -> None:
        self.quiet_bars = quiet_bars
        self.bar: Floats = np.zeros((0, columns))
        self.begun: Flags = np.zeros((0, columns), dtype=np.bool_)
        self._entered: Floats = np.zeros((0, columns))
        self._quiet: Ints = np.zeros((0, columns), dtype=np.int64)

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        shape = (rows, self.bar.shape[1])
        self.bar = enlarged(self.bar, shape)
        self.begun = enlarged(self.begun, shape)
        self._entered = enlarged(self._entered, shape)
        self._quiet = enlarged(self._quiet, shape, -1)

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self.bar[row] = self._entered[row] = 0.0
        self._quiet[row] = -1
        self.begun[row] = False

    def in_run(self, row: int, column: int) -> bool:
        """Whether an alarm now would belong to a run that has begun."""
        return 0 <= int(self._quiet[row, column]) < self.quiet_bars

    def alarms_many(
        self, rows: Rows, per_day: Floats, judged: Flags, budget_per_day: Floats
    ) -> Flags:
        """Return which values are alarms: chance reaches them ``per_day`` times a day.

        Only those that are ``judged`` may be. ``budget_per_day`` is the budget of a statistic of
        each row.
        """
        alarms = judged & (per_day < budget_per_day[:, None])  # else the evidence is below any bar
        if not some(alarms):
            return alarms
        for i, column in zip(*(its.tolist() for its in np.nonzero(alarms)), strict=True):
            row = rows[i]
            rate = max(float(per_day[i, column]), 1e-300)
            bar = (self._entered if self.in_run(row, column) else self.bar)[row, column]
            evidence = min(HIGHEST, math.log10(float(budget_per_day[i]) / rate))
            alarms[i, column] = evidence > float(bar)
        return alarms

    def skip_many(self, rows: Rows, bars: Ints, budget_per_bar: Floats) -> None:
        """Let so many ``bars`` of each row pass in which nothing was judged.

        Time passes for a run and for the budget, whether there is something to judge or not: else
        all alarms of a sparse symbol are one run. ``budget_per_bar`` is as in `step_many`.
        """
        quiet = self._quiet[rows]
        self._quiet[rows] = np.where(quiet >= 0, quiet + bars[:, None], quiet)
        lowered = self.bar[rows] - STEP * (budget_per_bar * bars)[:, None]
        self.bar[rows] = np.maximum(0.0, lowered)

    def step_many(
        self, rows: Rows, alarms: Flags, budget_per_bar: Floats, writes: Writes
    ) -> Floats:
        """Let a bar pass; return the bar $q$ after it.

        A statistic that was not judged has no alarm. ``budget_per_bar`` is the budget of a
        statistic of each row, in alarms per bar.
        """
        place = at(rows)
        bar, quiet = self.bar[place], self._quiet[place]
        begun = alarms
        if some(alarms):
            begun = alarms & ((quiet < 0) | (quiet >= self.quiet_bars))
            writes.put(self._entered, place, np.where(begun, bar, self._entered[place]))
            bar = np.where(begun, bar + STEP, bar)
            quiet = np.where(alarms, -1, quiet)  # and 0 below
        writes.put(self.begun, place, begun)
        writes.put(self._quiet, place, quiet + ((quiet >= 0) | alarms))
        bar = np.maximum(0.0, bar - STEP * budget_per_bar[:, None])
        writes.put(self.bar, place, bar)
        return bar

    def credit(self, row: int, column: int) -> float:
        """Take back a run of alarms that was right; return by how much the bar came down."""
        taken = min(STEP, float(self.bar[row, column]))
        self.bar[row, column] -= taken
        return taken

    def debit(self, row: int, column: int, taken: float) -> None:
        """Take back a credit that lowered the bar by ``taken``: the run was wrong after all."""
        self.bar[row, column] += taken

    def state(self, row: int, column: int) -> ControllerState:
        """Return the state of the controller of one statistic, for a snapshot."""
        place = (row, column)
        return ControllerState(
            float(self.bar[place]), int(self._quiet[place]), float(self._entered[place])
        )

    def restore(self, row: int, column: int, state: ControllerState) -> None:
        """Continue from the state of a snapshot."""
        self.bar[row, column], self._entered[row, column] = state.bar, state.entered
        self._quiet[row, column] = state.quiet_bars
