"""Each account's own habit of leverage, so that a jump is a jump for that account.

Mean leverage needed three times as long to show a leverage jump on recorded flow as the account's
own baseline did: a market of many accounts hides the one that changed.
"""

import math
from collections.abc import Iterable

from detectors.market_data.bar import Flow

LeveragedOrder = tuple[str | None, float, float]
"""What is kept of a new order that states a leverage: account, notional, leverage."""

LeverageBaseline = tuple[float, int]
"""The mean log leverage of an account, and over how many orders."""


def excess_ratio(flow: Flow) -> float:
    """How far new orders are above their accounts' habits: 0.1 by a tenth.

    It is the geometric mean, weighted by notional; NaN where no order states a leverage.
    """
    if flow.leveraged <= 0.0:
        return math.nan
    return math.expm1(min(50.0, flow.leverage_excess_weighted / flow.leveraged))


def near_maximum_ratio(flow: Flow) -> float:
    """The share of new leveraged notional near the venue's maximum; NaN where there is none."""
    return flow.near_maximum_leverage / flow.leveraged if flow.leveraged > 0.0 else math.nan


class LeverageBaselines:
    """The exponentially weighted mean log leverage of each account, in one symbol.

    Parameters
    ----------
    max_accounts
        The most accounts remembered, at least two: those seen since half as many others were, and
        some seen before.
    fading_factor
        The weight of an account's newest order; its first ones weigh alike. Leverage is a
        setting that an account keeps, so a habit is slow.

    Examples
    --------
    >>> habits = LeverageBaselines(max_accounts=10)
    >>> def excess(leverage):
    ...     flow = Flow()
    ...     habits.learn([("a", 100.0, leverage)], high_leverage=100.0, flow=flow)
    ...     return flow.leverage_excess_weighted
    >>> excess(5.0), excess(5.0), round(excess(50.0) / 100.0, 3)
    (0.0, 0.0, 2.303)
    """

    __slots__ = ("_generation", "evicted", "fading_factor", "older", "recent")

    def __init__(self, max_accounts: int, fading_factor: float = 0.02) -> None:
        self._generation = max(1, max_accounts // 2)
        self.fading_factor = fading_factor
        # Two generations: when the recent one is full it becomes the older one, and what was not
        # seen again of that is forgotten. Keeping all in the order of last activity costs twice.
        self.recent: dict[str, LeverageBaseline] = {}
        self.older: dict[str, LeverageBaseline] = {}
        self.evicted = 0

    def learn(self, orders: Iterable[LeveragedOrder], high_leverage: float, flow: Flow) -> None:
        """Sum a bar's leveraged orders up into ``flow``, and learn each account's habit from them.

        An account seen for the first time has no habit to exceed. Leverage of ``high_leverage``
        and above is near the venue's maximum; 0 where that is not known.
        """
        recent = self.recent
        fading_factor = self.fading_factor
        leveraged = excess_weighted = near_maximum = 0.0
        for account, notional, leverage in orders:
            leveraged += notional
            if leverage >= high_leverage > 0.0:
                near_maximum += notional
            if account is None:
                continue
            log_leverage = math.log(leverage)
            baseline = recent.get(account)
            if baseline is None:
                baseline = self.older.pop(account, None)
                if len(recent) >= self._generation:
                    recent = self._begin_generation()
                if baseline is None:
                    recent[account] = (log_leverage, 1)
                    continue
            usual, seen = baseline
            excess = log_leverage - usual
            if excess > 0.0:
                excess_weighted += notional * excess
            seen += 1
            weight = 1.0 / seen
            if weight < fading_factor:  # noqa: PLR1730 - a call to max is a quarter of this loop
                weight = fading_factor
            recent[account] = (usual + weight * excess, seen)
        flow.leveraged += leveraged
        flow.leverage_excess_weighted += excess_weighted
        flow.near_maximum_leverage += near_maximum

    def _begin_generation(self) -> dict[str, LeverageBaseline]:
        self.evicted += len(self.older)
        self.older, self.recent = self.recent, {}
        return self.recent

    def introduce(self, account: str, leverage: float) -> None:
        """Tell the leverage of an account that has not ordered yet; others keep their habit."""
        known = account in self.recent or account in self.older
        if not known and len(self.older) < self._generation:
            self.older[account] = (math.log(leverage), 1)
