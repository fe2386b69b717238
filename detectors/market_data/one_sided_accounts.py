"""Accounts that place large orders on one side of the book only (layering).

A layer is not visible in sums over all accounts, but it is visible per account. A market maker's
quotes balance, and an ordinary order is small. Fills are subtracted, because a filled order was
meant to trade: an account that refills the book after a large sale is no layer. Orders withdrawn
within a second are subtracted too: an account that keeps moving one quote has no layers.
"""

import math
from collections.abc import Iterable, Mapping

LARGE_SHARE = 0.02
"""The smallest share of the usual depth of a large order: a layer is meant to be seen."""

COUNTED_SHARE = 0.1
"""The largest share of the usual depth that one order counts for: one large order is no layer."""

MEMORY_SECONDS = 15.0

MAX_ACCOUNTS = 64
"""The largest number of remembered accounts. Above it, only the more one-sided half is kept."""

LargeOrder = tuple[str, float]
"""An account, and the counted share of its order in the usual depth: positive on the bid side,
negative on the ask side. A fill or an immediate withdrawal has the opposite sign."""


def counted(share: float) -> float:
    """Return the counted share of an order with this share of the usual depth.

    A fill subtracts the decrease of the counted share. A filled order therefore counts for
    nothing, whatever the number of its fills.

    >>> counted(0.01), counted(0.05), counted(0.5)
    (0.0, 0.05, 0.1)
    """
    return min(COUNTED_SHARE, share) if share >= LARGE_SHARE else 0.0


class OneSidedAccounts:
    """The recent placement of each account in large orders, net of fills and of the other side.

    Parameters
    ----------
    bar_seconds
        The length of a bar.

    Examples
    --------
    >>> accounts = OneSidedAccounts(bar_seconds=1.0)
    >>> orders = [("maker", 0.1), ("maker", -0.1), ("layer", -0.1), ("layer", -0.1)]
    >>> round(accounts.learn(orders, bars=1), 3)
    0.169
    """

    __slots__ = ("_decay", "gross", "placed")

    def __init__(self, bar_seconds: float) -> None:
        self._decay = math.exp(-bar_seconds / MEMORY_SECONDS)
        self.placed: dict[str, float] = {}
        self.gross = 0.0

    def tracks(self, account: str) -> bool:
        """Whether an account has recently placed large orders."""
        return account in self.placed

    def learn(self, orders: Iterable[LargeOrder], bars: int) -> float:
        """Let ``bars`` intervals pass, the last of them with ``orders``; return the maximum.

        The result is max |net| / sqrt(1 + gross) in shares of the usual depth. The maximum is over
        accounts, and gross is the sum over all accounts. The divisor corrects for chance: the net
        of balanced quotes grows with the square root of their number.
        """
        placed = self.placed
        if placed:
            factor = self._decay**bars
            self.gross *= factor
            for account in placed:
                placed[account] *= factor
        for account, share in orders:
            placed[account] = placed.get(account, 0.0) + share
            self.gross += abs(share)
        if len(placed) > MAX_ACCOUNTS:
            self.placed = placed = _largest(placed)
        return max(map(abs, placed.values()), default=0.0) / math.sqrt(1.0 + self.gross)


def _largest(placed: Mapping[str, float]) -> dict[str, float]:
    ordered = sorted(placed.items(), key=lambda item: -abs(item[1]))
    return dict(ordered[: MAX_ACCOUNTS // 2])
