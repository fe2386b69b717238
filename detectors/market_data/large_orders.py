"""Large orders by account: those that stay (layers), and those that vanish (spoofs).

An order is large from five median sizes on: it is meant to be seen. A layer is placed on one side
and not meant to trade: placements are summed, net of fills and of what is withdrawn at once, which
is a quote on the move. A spoof is shown for a moment: withdrawals within three seconds are summed
(the "intent to cancel before execution" of 7 U.S.C. 6c(a)(5)(C); in re Panther Energy Trading, CFTC
docket 13-26, 2013).
"""

import math

from detectors.market_data.account_sums import AccountSums, SignedAmount

LARGE_SIZES = 5.0
"""A large order has this many times the median size."""

COUNTED_SHARE = 0.1
"""The largest share of the usual depth that one order counts for: one large order is no layer."""

MOVED_NS = 100_000_000
"""An order withdrawn within this time was a quote on the move, not a layer."""

SHOWN_NS = 3_000_000_000
"""An order withdrawn within this time was only shown (Hasbrouck and Saar, 2009, call orders of
less than two seconds fleeting)."""

MOST_AT_ONCE = 4_096
"""The number of amounts that wait for the close of the bar. A full list is summed at once."""

NOBODY = ""
"""The account of all orders that state none."""


class LargeOrders:
    """The large orders of one symbol.

    Parameters
    ----------
    bar_seconds
        The length of a bar.

    Attributes
    ----------
    least_quantity
        The smallest quantity of a large order; infinite while the median size is unknown.
    placed, shown
        The amounts since the last bar.
    """

    __slots__ = ("_median_size", "_share", "layers", "least_quantity", "placed", "shown", "spoofs")

    def __init__(self, bar_seconds: float) -> None:
        self.layers = AccountSums(bar_seconds)
        self.spoofs = AccountSums(bar_seconds)
        self.placed: list[SignedAmount] = []
        self.shown: list[SignedAmount] = []
        self.begin(0.0, 0.0)

    def begin(self, median_size: float, usual_depth: float) -> None:
        """Begin a bar.

        ``median_size`` is the median quantity of orders, ``usual_depth`` the usual notional near
        the touch; 0 while they are unknown.
        """
        self._median_size = median_size
        self._share = 1.0 / usual_depth if usual_depth > 0.0 else 0.0
        self.least_quantity = LARGE_SIZES * median_size if median_size > 0.0 else math.inf

    def on_placed(self, account: str | None, is_buy: bool, notional: float) -> None:
        """Note a large order."""
        self._note(self.placed, self.layers, account, is_buy, self._counted(notional))

    def on_withdrawn(
        self, account: str | None, is_buy: bool, quantity: float, notional: float, age_ns: int
    ) -> None:
        """Note the withdrawal of a large order that was at most `SHOWN_NS` old."""
        if age_ns < MOVED_NS:
            self._note(self.placed, self.layers, account, is_buy, -self._counted(notional))
        log_size = math.log(quantity / self._median_size)
        self._note(self.shown, self.spoofs, account, is_buy, log_size)

    def on_filled(self, account: str, is_buy: bool, before: float, after: float) -> None:
        """Note a fill that reduced the notional of an order: it was meant to trade."""
        counted = self._counted(before) - self._counted(after)
        if counted > 0.0:
            self._note(self.placed, self.layers, account, is_buy, -counted)

    def close_bar(self, bars: int) -> tuple[float, float]:
        """Let ``bars`` intervals pass; return the largest layers and spoofs of one account."""
        layered = self.layers.learn(self.placed, bars)
        spoofed = self.spoofs.learn(self.shown, bars)
        self.placed, self.shown = [], []
        return layered, spoofed

    def _counted(self, notional: float) -> float:
        return min(COUNTED_SHARE, notional * self._share)

    def _note(
        self,
        amounts: list[SignedAmount],
        sums: AccountSums,
        account: str | None,
        is_buy: bool,
        amount: float,
    ) -> None:
        amounts.append((account or NOBODY, amount if is_buy else -amount))
        if len(amounts) >= MOST_AT_ONCE:
            sums.learn(amounts, bars=0)  # the bar has not passed
            amounts.clear()
