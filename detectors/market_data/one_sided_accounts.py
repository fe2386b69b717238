"""Accounts that place on one side of the book only: what layering looks like, whoever trades.

Summed over accounts a layer drowns in everybody's flow; account by account it stands out, for a
market maker's quotes balance, an ordinary order is small, and what trades with an account's orders
was meant to trade: it is taken off, so that who puts back what a large sale took is no layer. What
is withdrawn within a second is taken off too: who moves one quote all the time has no layers.
"""

import math
from collections.abc import Iterable, Mapping

LARGE_SHARE = 0.02
"""Orders of at least this share of the usual depth are looked at: a layer is meant to be seen."""

COUNTED_SHARE = 0.1
"""No order counts for more than this share of the usual depth: one large order is no layer."""

MEMORY_SECONDS = 15.0

MAX_ACCOUNTS = 64
"""The most accounts remembered; beyond it the least one-sided is forgotten."""

LargeOrder = tuple[str, float]
"""What an account's order adds to its side of the book, as it counts, below zero on the ask side;
or what a trade or a withdrawal at once takes from it, with the opposite sign."""


def counted(share: float) -> float:
    """What an order of this share of the usual depth counts for.

    A trade takes off what the order counts for less by, so that an order that is filled counts for
    nothing, however many trades it took.

    >>> counted(0.01), counted(0.05), counted(0.5)
    (0.0, 0.05, 0.1)
    """
    return min(COUNTED_SHARE, share) if share >= LARGE_SHARE else 0.0


class OneSidedAccounts:
    """What each account has lately placed, net of trades and the other side, in large orders.

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
        """Whether an account has lately placed large orders."""
        return account in self.placed

    def learn(self, orders: Iterable[LargeOrder], bars: int) -> float:
        """Let ``bars`` intervals pass, the last of which saw ``orders``; the most of any account.

        Returned is max |net| / sqrt(1 + gross) in shares of the usual depth, gross over all
        accounts: what chance makes of balanced quotes grows with the square root of their number.
        """
        placed = self.placed
        if placed:
            left = self._decay**bars
            self.gross *= left
            for account in placed:
                placed[account] *= left
        for account, share in orders:
            placed[account] = placed.get(account, 0.0) + share
            self.gross += abs(share)
        if len(placed) > MAX_ACCOUNTS:
            self.placed = placed = _largest(placed)
        return max(map(abs, placed.values()), default=0.0) / math.sqrt(1.0 + self.gross)


def _largest(placed: Mapping[str, float]) -> dict[str, float]:
    ordered = sorted(placed.items(), key=lambda item: -abs(item[1]))
    return dict(ordered[: MAX_ACCOUNTS // 2])
