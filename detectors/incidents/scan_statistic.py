"""The rate at which chance alone puts several events into one short window (a scan statistic)."""

import math

DAY_NS = 86_400_000_000_000


def at_least(events: int, mean: float) -> float:
    """Return the probability that a Poisson variable with this mean is at least ``events``.

    >>> round(at_least(2, 0.5), 6)  # 1 - exp(-0.5) (1 + 0.5)
    0.090204
    """
    if events <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    if events <= mean:  # the lower tail is the smaller one
        below = [_poisson(count, mean) for count in range(events)]
        return max(0.0, 1.0 - math.fsum(below))
    total, count, term = 0.0, events, _poisson(events, mean)
    while term > 1e-17 * total:
        total += term
        count += 1
        term *= mean / count
    return total


def _poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def deviation(events: int, mean: float) -> float:
    """Return the deviance residual of a count with a smaller Poisson mean, in standard deviations.

    >>> round(deviation(5, 0.1), 2)
    5.41

    References
    ----------
    [^1]: [McCullagh, P. and Nelder, J. A., 1989. Generalized Linear Models. 2nd ed., chapter 2.4.]
    (https://doi.org/10.1201/9780203753736)
    """
    return math.sqrt(max(0.0, 2.0 * (events * math.log(events / mean) - events + mean)))


def clusters_per_day(events: int, events_per_day: float, window_ns: int) -> float:
    """Return the chance events a day that are the last of at least ``events`` in a window.

    The rate is exact for a Poisson process: the number of points in the window before a point does
    not depend on that point. At least one event completes each cluster. The number of clusters is
    therefore at most this rate, which bounds the rate of upcrossings of the scan statistic.

    >>> round(clusters_per_day(3, 24.0, 60_000_000_000), 6)  # one in ten months
    0.003297

    References
    ----------
    [^1]: [Naus, J. I., 1982. Approximations for distributions of scan statistics. Journal of the
    American Statistical Association, 77(377), pp.177-183.](https://doi.org/10.2307/2287783)
    [^2]: [Alm, S. E., 1983. On the distributions of the scan statistic of a Poisson process.
    Probability and Mathematical Statistics, Uppsala, pp.1-10.]
    """
    return events_per_day * at_least(events - 1, events_per_day * window_ns / DAY_NS)
