"""Evidence against a venue's fairness that may be looked at after every liquidation.

A p-value is valid once: who looks every minute and stops at the first small one is wrong far more
often than it says. An e-value is the capital of a bettor who may not lose money on average if the
venue is fair. It may be looked at whenever you like: the probability that it ever reaches 1,000 is
at most 0.001 (Ville's inequality).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

ALARM = 1_000.0
"""The e-value of an alarm: a fair venue reaches it with a probability of at most 1 / 1,000."""

_MOST_OF_CAPITAL = 0.75
"""The largest share of its capital that a bettor can lose with one bet."""

_PRIOR_MEAN = 0.5
_PRIOR_VARIANCE = 0.25


class Claim(NamedTuple):
    """A claim that an e-value judges: the mean of a bounded number is at most ``mean``.

    ``mean`` is above ``lowest`` and below ``highest``; values beyond these two count as them, which
    keeps the claim true where it was true of the bounded number.
    """

    mean: float
    lowest: float
    highest: float


class Capital(Struct):
    """The capital of a bettor against one claim; it begins with 1.

    Attributes
    ----------
    log
        Natural logarithm of the capital, which is the e-value.
    count
        Number of bets.
    total
        Sum of the values so far.
    squares
        Sum of the squared differences of the values, scaled to [0, 1], to their mean before them.
    """

    log: float = 0.0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Mean of the values; NaN without one."""
        return self.total / self.count if self.count else math.nan


def bet(capital: Capital, claim: Claim, value: float) -> None:
    r"""Bet on a value, and settle.

    The bet depends on the values before only. With $x$ and $m$ scaled to [0, 1], the capital is
    multiplied by $1 + \lambda (x - m)$ with $0 \le \lambda \le 3 / (4 m)$. Its expectation is at
    most 1 if the claim holds, whatever the dependence on what was before. $\lambda$ is the
    approximate growth rate's optimum of Waudby-Smith and Ramdas (aGRAPA), of the mean and the
    variance so far.

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
    A claimed excess of at most 5 %, and one of 40 % each time: fourteen of them pass 1,000.

    >>> capital = Capital()
    >>> for n in range(14):
    ...     bet(capital, Claim(0.05, 0.0, 1.0), 0.4)
    >>> round(capital.mean, 6), capital.log > math.log(ALARM)
    (0.4, True)

    References
    ----------
    [^1]: [Waudby-Smith, I. & Ramdas, A., 2024. Estimating means of bounded random variables by
    betting. JRSS B 86(1).](https://doi.org/10.1093/jrsssb/qkad009) Section 4 and appendix B.3.
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
    seen = (capital.total - capital.count * low) / (high - low)
    mean = (_PRIOR_MEAN + seen) / (capital.count + 1)
    variance = (_PRIOR_VARIANCE + capital.squares) / (capital.count + 1)
    ahead = mean - m
    stake = min(max(ahead / (variance + ahead * ahead), 0.0), _MOST_OF_CAPITAL / m)
    capital.log += math.log1p(stake * (x - m))
    capital.count += 1
    capital.total += value
    capital.squares += (x - mean) ** 2


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
