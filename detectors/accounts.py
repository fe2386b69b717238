"""Each account's own habit of leverage, so that a jump is a jump for that account.

Mean leverage needed three times as long to show a leverage jump on recorded flow as the account's
own baseline did: a market of many accounts hides the one that changed.
"""

import math
from collections.abc import Iterable
from itertools import islice

from detectors.bar import Flow

LeveragedOrder = tuple[str | None, float, float]
"""What is kept of a new order that states a leverage: account, notional, leverage."""

Habit = tuple[float, int]
"""The mean log leverage of an account, and over how many orders."""

FORGOTTEN_SHARE = 8
"""One in so many accounts goes when the bound is reached: one by one would cost a search each."""


class LeverageHabits:
    """The exponentially weighted mean log leverage of each account, in one symbol.

    Parameters
    ----------
    max_accounts
        The most accounts remembered; beyond it the eighth quiet for longest is forgotten.
    fading_factor
        The weight of an account's newest order; its first ones weigh alike. Leverage is a
        setting that an account keeps, so a habit is slow.

    Examples
    --------
    >>> habits = LeverageHabits(max_accounts=10)
    >>> def excess(leverage):
    ...     flow = Flow()
    ...     habits.learn([("a", 100.0, leverage)], high_leverage=100.0, flow=flow)
    ...     return flow.leverage_excess_weighted
    >>> excess(5.0), excess(5.0), round(excess(50.0) / 100.0, 3)
    (0.0, 0.0, 2.303)
    """

    __slots__ = ("evicted", "fading_factor", "habits", "max_accounts")

    def __init__(self, max_accounts: int, fading_factor: float = 0.02) -> None:
        self.max_accounts = max_accounts
        self.fading_factor = fading_factor
        self.habits: dict[str, Habit] = {}
        self.evicted = 0

    def learn(self, orders: Iterable[LeveragedOrder], high_leverage: float, flow: Flow) -> None:
        """Sum a bar's leveraged orders up into ``flow``, and learn each account's habit from them.

        An account seen for the first time has no habit to exceed. Leverage of ``high_leverage``
        and above is near the venue's maximum; 0 where that is not known.
        """
        habits = self.habits
        fading_factor = self.fading_factor
        leveraged = weighted = log_weighted = excess_weighted = near_maximum = 0.0
        for account, notional, leverage in orders:
            log_leverage = math.log(leverage)
            leveraged += notional
            weighted += notional * leverage
            log_weighted += notional * log_leverage
            if leverage >= high_leverage > 0.0:
                near_maximum += notional
            if account is None:
                continue
            # Taken out and put back: the order of the dict is the order of last activity.
            habit = habits.pop(account, None)
            if habit is None:
                if len(habits) >= self.max_accounts:
                    self._forget()
                habits[account] = (log_leverage, 1)
                continue
            usual, seen = habit
            excess = log_leverage - usual
            if excess > 0.0:
                excess_weighted += notional * excess
            seen += 1
            weight = 1.0 / seen
            if weight < fading_factor:  # noqa: PLR1730 - a call to max is a quarter of this loop
                weight = fading_factor
            habits[account] = (usual + weight * excess, seen)
        flow.leveraged += leveraged
        flow.leverage_weighted += weighted
        flow.log_leverage_weighted += log_weighted
        flow.leverage_excess_weighted += excess_weighted
        flow.near_maximum_leverage += near_maximum

    def _forget(self) -> None:
        """Make room by forgetting the accounts quiet for longest."""
        quiet = list(islice(self.habits, self.max_accounts // FORGOTTEN_SHARE + 1))
        for account in quiet:
            del self.habits[account]
        self.evicted += len(quiet)

    def introduce(self, account: str, leverage: float) -> None:
        """Tell the leverage of an account that has not ordered yet; others keep their habit."""
        if account not in self.habits and len(self.habits) < self.max_accounts:
            self.habits[account] = (math.log(leverage), 1)
