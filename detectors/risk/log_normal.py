"""What is learned of a positive factor from its occurrences and from what was expected before."""

import math
from typing import NamedTuple

_NORMAL_P90 = 1.2815515655446004
"""The 90 % quantile of the standard normal distribution."""


class LogNormal(NamedTuple):
    """A log-normal factor.

    Attributes
    ----------
    mean, deviation
        Of the factor's logarithm.
    events
        How many occurrences this knowledge is worth.
    """

    mean: float
    deviation: float
    events: float

    @property
    def median(self) -> float:
        """The median of the factor."""
        return math.exp(self.mean)

    @property
    def p90(self) -> float:
        """The 90 % quantile of the factor."""
        return math.exp(self.mean + _NORMAL_P90 * self.deviation)


def from_quantiles(median: float, p90: float, events: float) -> LogNormal:
    """Return the factor with this median and 90 % quantile, worth so many events.

    Raises
    ------
    ValueError
        If not 0 < median < p90, or if ``events`` is not above 0.

    Examples
    --------
    >>> factor = from_quantiles(1.4, 2.9, 8.0)
    >>> round(factor.median, 6), round(factor.p90, 6)
    (1.4, 2.9)
    """
    if not 0.0 < median < p90:
        raise ValueError(f"median is {median}, p90 is {p90}: both above 0, p90 the larger")
    if not events > 0.0:
        raise ValueError(f"events is {events}: it must be above 0")
    return LogNormal(math.log(median), math.log(p90 / median) / _NORMAL_P90, events)


def learned(factor: LogNormal, value: float) -> LogNormal:
    """Return the factor after one more occurrence.

    The mean moves by 1 / (events + 1) of the surprise, and the variance is the pooled one: both are
    those of all events so far, the expected ones included.

    Raises
    ------
    ValueError
        If the value is not finite and above 0.

    Examples
    --------
    Mean 0, deviation 1, worth 3 events, and one at log 2: (3 x 0 + 2) / 4, and
    (3 x 1 + 3 x 0.5^2 + 1.5^2) / 4.

    >>> factor = learned(LogNormal(0.0, 1.0, 3.0), math.exp(2.0))
    >>> factor.mean, round(factor.deviation**2, 9), factor.events
    (0.5, 1.5, 4.0)

    References
    ----------
    [^1]: [Gelman, A. et al., 2013. Bayesian Data Analysis. 3rd ed., section 3.3: the
    normal-inverse-chi-squared posterior, here with as many degrees of freedom as events.]
    (https://doi.org/10.1201/b16018)
    """
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"value is {value}: it must be finite and above 0")
    events = factor.events + 1.0
    surprise = math.log(value) - factor.mean
    variance = factor.events * (factor.deviation**2 + surprise**2 / events) / events
    return LogNormal(factor.mean + surprise / events, math.sqrt(variance), events)
