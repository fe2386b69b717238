"""A bound on the number of alarms that holds for any sequence of values.

A tail is an estimate. If it is wrong, or the market changes, a test may alarm far more often than
its budget allows. The controller raises the bar after every alarm and lowers it as time passes.
"""

import math

from msgspec import Struct

STEP = 0.5
"""By how much an alarm raises the bar: the next alarm must be three times as rare. It is small
enough for many episodes in one day."""

HIGHEST = 4.0
"""The highest evidence that counts: a value that is ten thousand times too rare passes any bar
below it. This bounds the alarms that are not in the budget to nine."""


class ControllerState(Struct):
    """The state of a Controller; part of a snapshot.

    ``bar`` is the evidence that an alarm needs. ``quiet_bars`` counts the bars since the last
    alarm, and ``entered`` is the bar that the first alarm of the current run had to pass.
    """

    bar: float = 0.0
    quiet_bars: int = -1
    entered: float = 0.0


class Controller:
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
    quiet_bars
        The number of bars without an alarm that ends a run.

    Examples
    --------
    >>> controller = Controller(quiet_bars=60)
    >>> controller.alarms(per_day=0.01, budget_per_day=1.0)
    True
    >>> for _ in range(100):
    ...     controller.step(alarm=False, budget_per_bar=1.0 / 86_400.0)
    >>> controller.alarms(per_day=0.5, budget_per_day=1.0)
    True
    """

    __slots__ = ("quiet_bars", "state")

    def __init__(self, quiet_bars: int) -> None:
        self.quiet_bars = quiet_bars
        self.state = ControllerState()

    @property
    def in_run(self) -> bool:
        """Whether an alarm now would belong to a run that has begun."""
        return 0 <= self.state.quiet_bars < self.quiet_bars

    def alarms(self, per_day: float, budget_per_day: float) -> bool:
        """Return whether a value that chance reaches ``per_day`` times a day is an alarm."""
        state = self.state
        bar = state.entered if self.in_run else state.bar
        return min(HIGHEST, math.log10(budget_per_day / max(per_day, 1e-300))) > bar

    def step(self, *, alarm: bool, budget_per_bar: float) -> None:
        """Let a bar pass. ``budget_per_bar`` is the budget in alarms per bar."""
        state = self.state
        if alarm:
            if not self.in_run:
                state.entered = state.bar
                state.bar += STEP
            state.quiet_bars = 0
        elif state.quiet_bars >= 0:
            state.quiet_bars += 1
        state.bar = max(0.0, state.bar - STEP * budget_per_bar)

    def credit(self) -> float:
        """Take back a run of alarms that was right; return by how much the bar came down."""
        taken = min(STEP, self.state.bar)
        self.state.bar -= taken
        return taken

    def debit(self, taken: float) -> None:
        """Take back a credit that lowered the bar by ``taken``: the run was wrong after all."""
        self.state.bar += taken
