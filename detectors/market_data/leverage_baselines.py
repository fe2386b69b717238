"""The leverage baseline of each account: a jump is measured against the account itself.

On recorded flow, mean leverage needed three times as long as the account's own baseline to show a
leverage jump: a market of many accounts hides the account that changed.
"""

import math
from collections.abc import Sequence

from detectors.market_data.flow import Flow

LeveragedOrder = tuple[str | None, float, float]
"""The account, notional and leverage of a new order that states a leverage."""

LeverageBaseline = tuple[float, int]
"""The mean log leverage of an account, and its number of orders."""


def excess_ratio(flow: Flow) -> float:
    """Return the excess of new orders over their accounts' leverage baselines; 0.1 is 10%.

    The result is the geometric mean, weighted by notional; NaN if no order states a leverage.
    """
    if flow.leveraged <= 0.0:
        return math.nan
    return math.expm1(min(50.0, flow.leverage_excess_weighted / flow.leveraged))


def near_maximum_ratio(flow: Flow) -> float:
    """Return the share of new leveraged notional near the venue's maximum leverage.

    Returns NaN without new leveraged notional.
    """
    return flow.near_maximum_leverage / flow.leveraged if flow.leveraged > 0.0 else math.nan


class LeverageBaselines:
    """The exponentially weighted mean log leverage of each account, in one symbol.

    Parameters
    ----------
    max_accounts
        The largest number of remembered accounts, at least two: the most recently active half, and
        some accounts that were active before.
    fading_factor
        The weight of an account's newest order. The first orders have equal weights. Accounts
        rarely change their leverage setting, so the baseline adapts slowly.

    Examples
    --------
    >>> baselines = LeverageBaselines(max_accounts=10)
    >>> def excess(leverage):
    ...     flow = Flow()
    ...     baselines.learn([("a", 100.0, leverage)], high_leverage=100.0, flow=flow)
    ...     return flow.leverage_excess_weighted
    >>> excess(5.0), excess(5.0), round(excess(50.0) / 100.0, 3)
    (0.0, 0.0, 2.303)
    """

    __slots__ = ("_generation", "evicted", "fading_factor", "older", "recent")

    def __init__(self, max_accounts: int, fading_factor: float = 0.02) -> None:
        self._generation = max(1, max_accounts // 2)
        self.fading_factor = fading_factor
        # Two generations: when the recent one is full, it replaces the older one. Accounts of the
        # older one without new orders are dropped. Keeping all accounts in the order of their last
        # activity costs twice as much.
        self.recent: dict[str, LeverageBaseline] = {}
        self.older: dict[str, LeverageBaseline] = {}
        self.evicted = 0

    def learn(self, orders: Sequence[LeveragedOrder], high_leverage: float, flow: Flow) -> None:
        """Add a bar's leveraged orders to ``flow``, and learn each account's baseline from them.

        A new account has no baseline to exceed. Leverage of ``high_leverage`` and above is near
        the venue's maximum; ``high_leverage`` is 0 if the maximum is unknown.
        """
        recent = self.recent
        fading_factor = self.fading_factor
        leveraged = excess_weighted = near_maximum = 0.0
        near_maximum_orders = habitual_orders = 0
        total_excess = squares = 0.0
        for account, notional, leverage in orders:
            leveraged += notional
            if leverage >= high_leverage > 0.0:
                near_maximum += notional
                near_maximum_orders += 1
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
            mean, count = baseline
            excess = log_leverage - mean
            habitual_orders += 1
            total_excess += excess
            squares += excess * excess
            if excess > 0.0:
                excess_weighted += notional * excess
            count += 1
            weight = 1.0 / count
            if weight < fading_factor:  # noqa: PLR1730 - a call to max is a quarter of this loop
                weight = fading_factor
            recent[account] = (mean + weight * excess, count)
        flow.leveraged += leveraged
        flow.leverage_excess_weighted += excess_weighted
        flow.near_maximum_leverage += near_maximum
        flow.leveraged_orders += len(orders)
        flow.near_maximum_orders += near_maximum_orders
        flow.habitual_orders += habitual_orders
        flow.leverage_excess += total_excess
        flow.leverage_excess_squares += squares

    def _begin_generation(self) -> dict[str, LeverageBaseline]:
        self.evicted += len(self.older)
        self.older, self.recent = self.recent, {}
        return self.recent

    def introduce(self, account: str, leverage: float) -> None:
        """Set the baseline of an account without orders; a known account keeps its baseline."""
        known = account in self.recent or account in self.older
        if not known and len(self.older) < self._generation:
            self.older[account] = (math.log(leverage), 1)
