"""Evidence against a venue's fairness that may be looked at after every liquidation.

A p-value is valid once: who looks every minute and stops at the first small one is wrong far more
often than it says. An e-value is the capital of a bettor who may not lose money on average if the
venue is fair. It may be looked at whenever you like: the probability that it ever reaches 1,000 is
at most 0.001 (Ville's inequality).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct, field

ALARM = 1_000.0
"""The e-value of an alarm: a fair venue reaches it with a probability of at most 1 / 1,000."""

STAKES = tuple(0.75 / 2.0**n for n in range(6))
"""The shares of their capital that bettors can lose with one bet, each with a part of the start."""


class Claim(NamedTuple):
    """A claim that an e-value judges: the mean of a bounded number is at most ``mean``.

    ``mean`` is above ``lowest`` and below ``highest``; values beyond these two count as them, which
    keeps the claim true where it was true of the bounded number.
    """

    mean: float
    lowest: float
    highest: float


class Capital(Struct):
    """The capital of the bettors against one claim; together they begin with 1.

    Attributes
    ----------
    logs
        Natural logarithm of what each of `STAKES` has made of 1.
    count
        Number of bets.
    total
        Sum of the values so far.
    """

    logs: list[float] = field(default_factory=lambda: [0.0] * len(STAKES))
    count: int = 0
    total: float = 0.0

    @property
    def log(self) -> float:
        """Natural logarithm of the capital, which is the e-value."""
        return log_mean(self.logs)

    @property
    def mean(self) -> float:
        """Mean of the values; NaN without one."""
        return self.total / self.count if self.count else math.nan


def bet(capital: Capital, claim: Claim, value: float) -> None:
    r"""Bet on a value, and settle.

    With $x$ and $m$ scaled to [0, 1], the capital of a bettor is multiplied by
    $1 + \lambda (x - m)$ with a fixed $0 \le \lambda < 1 / m$. Its expectation is at most 1 if the
    claim holds, whatever the dependence on what was before. The bettors differ in $\lambda$: large
    ones find large effects after a few values, small ones find small effects in the end.

    Parameters
    ----------
    capital
        The bettor, which is changed.
    claim
        What is bet against.
    value
        The next value.

    Raises
    ------
    ValueError
        If the claimed mean is not between the bounds, or the value is not a number.

    Examples
    --------
    A claimed excess of at most 5 %, and one of 40 % each time: five of them pass 1,000.

    >>> capital = Capital()
    >>> for n in range(5):
    ...     bet(capital, Claim(0.05, 0.0, 1.0), 0.4)
    >>> round(capital.mean, 6), capital.log > math.log(ALARM)
    (0.4, True)

    References
    ----------
    [^1]: [Waudby-Smith, I. & Ramdas, A., 2024. Estimating means of bounded random variables by
    betting. JRSS B 86(1).](https://doi.org/10.1093/jrsssb/qkad009) A mixture over a grid of bets.
    [^2]: [Shafer, G., 2021. Testing by betting. JRSS A 184(2).]
    (https://doi.org/10.1111/rssa.12647)
    [^3]: [Ville, J., 1939. Étude critique de la notion de collectif.]
    (https://archive.numdam.org/item/THESE_1939__218__1_0/)
    """
    low, high = claim.lowest, claim.highest
    if not low < claim.mean < high:
        raise ValueError(f"mean is {claim.mean}: it must be between {low} and {high}")
    if math.isnan(value):
        raise ValueError("value is not a number: leave it out")
    value = min(max(value, low), high)
    m, x = (claim.mean - low) / (high - low), (value - low) / (high - low)
    capital.logs = [
        its + math.log1p(stake / m * (x - m))
        for its, stake in zip(capital.logs, STAKES, strict=True)
    ]
    capital.count += 1
    capital.total += value


def log_mean(logs: Iterable[float]) -> float:
    """Return the logarithm of the mean of e-values, from their logarithms; -inf without any.

    The mean of e-values is an e-value, however they depend on each other; their product is one only
    if they are independent.

    >>> round(math.exp(log_mean([math.log(3.0), math.log(1.0)])), 9)
    2.0

    References
    ----------
    [^1]: [Vovk, V. & Wang, R., 2021. E-values: Calibration, combination and applications. Annals of
    Statistics 49(3).](https://doi.org/10.1214/20-AOS2020)
    """
    values = list(logs)
    if not values:
        return -math.inf
    most = max(values)
    return most + math.log(math.fsum(math.exp(its - most) for its in values) / len(values))
