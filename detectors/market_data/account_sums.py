"""Signed sums by account that fade with time: who leans on one side of the book.

A layer is not visible in sums over all accounts, but it is visible per account: a market maker's
quotes balance.
"""

import math
from collections.abc import Mapping, Sequence

MEMORY_SECONDS = 30.0

MAX_ACCOUNTS = 64
"""The largest number of remembered accounts. Above it, only the half with the larger sums is
kept."""

SignedAmount = tuple[str, float]
"""An account, and an amount: positive on the bid side, negative on the ask side."""


class AccountSums:
    """The recent signed amounts of each account.

    Parameters
    ----------
    bar_seconds
        The length of a bar.

    Examples
    --------
    >>> sums = AccountSums(bar_seconds=1.0)
    >>> amounts = [("maker", 0.1), ("maker", -0.1), ("layer", -0.1), ("layer", -0.1)]
    >>> sums.learn(amounts, bars=1)
    0.2
    >>> round(sums.learn([], bars=30), 3)
    0.074
    """

    __slots__ = ("_decay", "sums")

    def __init__(self, bar_seconds: float) -> None:
        self._decay = math.exp(-bar_seconds / MEMORY_SECONDS)
        self.sums: dict[str, float] = {}

    def tracks(self, account: str) -> bool:
        """Whether an account has a recent amount."""
        return account in self.sums

    def learn(self, amounts: Sequence[SignedAmount], bars: int) -> float:
        """Let ``bars`` intervals pass, the last of them with ``amounts``; return the largest sum.

        The result is the largest absolute sum of one account.
        """
        sums = self.sums
        if not sums and not amounts:
            return 0.0
        if sums and bars:
            factor = self._decay**bars
            self.sums = sums = {account: amount * factor for account, amount in sums.items()}
        for account, amount in amounts:
            sums[account] = sums.get(account, 0.0) + amount
        if len(sums) > MAX_ACCOUNTS:
            self.sums = sums = _largest(sums)
        return max(map(abs, sums.values()), default=0.0)


def _largest(sums: Mapping[str, float]) -> dict[str, float]:
    ordered = sorted(sums.items(), key=lambda item: -abs(item[1]))
    return dict(ordered[: MAX_ACCOUNTS // 2])
