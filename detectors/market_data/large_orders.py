"""Large orders by account: those that stay (layers), and those that vanish (spoofs).

A layer is placed on one side and not meant to trade: placements of large orders are summed, net of
fills and of what is withdrawn at once, which is a quote on the move. A spoof is shown for a moment:
withdrawals of very large orders within three seconds are summed (the "intent to cancel before
execution" of 7 U.S.C. 6c(a)(5)(C); in re Panther Energy Trading, CFTC docket 13-26, 2013).

Orders are weighted by the logarithm of their size. Weighted by size, single orders decide: the
largest of an hour hide every layer after them.
"""

import math

from detectors.market_data.account_sums import AccountSums, SignedAmount

LARGE_SIZES = 3.0
"""A large order has at least this many median sizes."""

VERY_LARGE_SIZES = 8.0
"""An order with at least this many median sizes is meant to be seen. Fewer than one order in a
hundred is, in the recordings that we know."""

MOVED_NS = 100_000_000
"""An order withdrawn within this time was a quote on the move, not a layer."""

SHOWN_NS = 3_000_000_000
"""An order withdrawn within this time was only shown (Hasbrouck and Saar, 2009, call orders of
less than two seconds fleeting)."""

MOST_AT_ONCE = 4_096
"""The number of amounts that wait for the close of the bar. A full list is summed at once."""


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
    states_accounts
        Whether a large order has stated its account. Orders that state none are left out: the sum
        of all traders says nothing of one of them.
    """

    __slots__ = (
        "_median_size",
        "layers",
        "least_quantity",
        "placed",
        "shown",
        "spoofs",
        "states_accounts",
    )

    def __init__(self, bar_seconds: float) -> None:
        self.layers = AccountSums(bar_seconds)
        self.spoofs = AccountSums(bar_seconds)
        self.placed: list[SignedAmount] = []
        self.shown: list[SignedAmount] = []
        self.states_accounts = False
        self.begin(0.0)

    def begin(self, median_size: float) -> None:
        """Begin a bar; ``median_size`` is the median quantity of orders, 0 while it is unknown."""
        self._median_size = median_size
        self.least_quantity = LARGE_SIZES * median_size if median_size > 0.0 else math.inf

    def on_placed(self, account: str | None, is_buy: bool, quantity: float) -> None:
        """Note a large order."""
        self._note(self.placed, self.layers, account, is_buy, self._weight(quantity))

    def on_withdrawn(self, account: str | None, is_buy: bool, quantity: float, age_ns: int) -> None:
        """Note the withdrawal of a large order that was at most `SHOWN_NS` old."""
        if age_ns < MOVED_NS:
            self._note(self.placed, self.layers, account, is_buy, -self._weight(quantity))
        excess = math.log(quantity / (VERY_LARGE_SIZES * self._median_size))
        if excess > 0.0:
            self._note(self.shown, self.spoofs, account, is_buy, excess)

    def on_filled(self, account: str, is_buy: bool, before: float, after: float) -> None:
        """Note a fill that reduced the quantity of an order: it was meant to trade."""
        filled = self._weight(before) - self._weight(after)
        if filled > 0.0:
            self._note(self.placed, self.layers, account, is_buy, -filled)

    def close_bar(self, bars: int) -> tuple[float, float] | tuple[None, None]:
        """Let ``bars`` intervals pass; return the largest layers and spoofs of one account.

        None if no large order has stated an account.
        """
        layered = self.layers.learn(self.placed, bars)
        spoofed = self.spoofs.learn(self.shown, bars)
        self.placed, self.shown = [], []
        return (layered, spoofed) if self.states_accounts else (None, None)

    def _weight(self, quantity: float) -> float:
        """Return what an order counts for in the layers; 0 if it is not large."""
        if quantity < self.least_quantity:
            return 0.0
        return math.log(quantity / self._median_size)

    def _note(
        self,
        amounts: list[SignedAmount],
        sums: AccountSums,
        account: str | None,
        is_buy: bool,
        amount: float,
    ) -> None:
        if account is None:
            return
        self.states_accounts = True
        amounts.append((account, amount if is_buy else -amount))
        if len(amounts) >= MOST_AT_ONCE:
            sums.learn(amounts, bars=0)  # the bar has not passed
            amounts.clear()
